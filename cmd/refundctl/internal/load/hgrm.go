package load

import (
	"bufio"
	"fmt"
	"io"
	"math"
)

// WriteHGRM writes the distribution in the text form of HdrHistogram, which other
// programs plot: value (ms), percentile, count up to there, 1/(1-percentile).
func (r *Result) WriteHGRM(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")
	for _, p := range steps(len(r.sorted)) {
		upTo := int(math.Ceil(float64(len(r.sorted)) * p))
		if p < 1 {
			fmt.Fprintf(b, "%12.3f %14.12f %10d %14.2f\n", ms(percentile(r.sorted, p*100)), p, upTo, 1/(1-p))
		} else {
			fmt.Fprintf(b, "%12.3f %14.12f %10d\n", ms(percentile(r.sorted, 100)), p, upTo)
		}
	}
	var deviation float64
	for _, latency := range r.sorted {
		deviation += (ms(latency) - r.Latency.Mean) * (ms(latency) - r.Latency.Mean)
	}
	if n := len(r.sorted); n > 0 {
		deviation = math.Sqrt(deviation / float64(n))
	}
	fmt.Fprintf(b, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", r.Latency.Mean, deviation)
	fmt.Fprintf(b, "#[Max     = %12.3f, Total count    = %12d]\n", r.Latency.Max, len(r.sorted))
	fmt.Fprintf(b, "#[Buckets = %12d, SubBuckets     = %12d]\n", len(r.sorted), 1)
	return b.Flush()
}

// steps are the percentiles of the distribution, denser towards 1, as far as there
// are values behind them.
func steps(values int) (all []float64) {
	if values == 0 {
		return nil
	}
	const perHalf = 5
	for distance, left := 1.0, float64(values); left >= 1; distance, left = distance/2, left/2 {
		for i := range perHalf {
			all = append(all, 1-distance+distance/2*float64(i)/perHalf)
		}
	}
	return append(all, 1)
}
