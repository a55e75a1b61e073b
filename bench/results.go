//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/bench/internal/lab"
)

// results are all rounds of all cells.
type results struct {
	About about    `json:"about"`
	Cells []result `json:"cells"`
}

// about says how and where it was measured.
type about struct {
	When    time.Time `json:"when"`
	Took    string    `json:"took"`
	Machine string    `json:"machine"`
	Kafka   string    `json:"kafka"`
	Rounds  int       `json:"rounds"`
	Window  string    `json:"window"`
	Load    float64   `json:"highest_load"`
}

// result is one cell's.
type result struct {
	cell cell

	Name     string                   `json:"name"`
	Title    string                   `json:"title"`
	Measures map[string][]lab.Measure `json:"rounds"`  // by contender
	Medians  map[string]lab.Measure   `json:"medians"` // by contender
	Speed    map[string]float64       `json:"speed"`   // refunds/s as a ratio to the floor's, median of the rounds' ratios
	CPU      map[string]float64       `json:"cpu"`     // CPU for each refund as a ratio to the floor's
	Goals    []judged                 `json:"goals"`
}

// judged is a goal beside what was reached.
type judged struct {
	Goal    string  `json:"goal"`
	Reached float64 `json:"reached"`
	Met     bool    `json:"met"`
}

// describe takes the medians and judges the goals.
func (r *results) describe(o options, took time.Duration) {
	r.About = about{When: time.Now().UTC().Truncate(time.Second), Took: took.Round(time.Second).String(), Kafka: o.kafka, Rounds: o.rounds, Window: o.window.String(),
		Machine: fmt.Sprintf("%d CPUs, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())}
	for i := range r.Cells {
		c := &r.Cells[i]
		c.Medians, c.Speed, c.CPU = map[string]lab.Measure{}, map[string]float64{}, map[string]float64{}
		for contender, all := range c.Measures {
			c.Medians[contender] = medians(all)
			for _, m := range all {
				r.About.Load = max(r.About.Load, m.Load)
			}
			c.Speed[contender] = ratio(all, c.Measures[c.cell.base()], speed)
			c.CPU[contender] = ratio(all, c.Measures[c.cell.base()], cpu)
		}
	}
	for i := range r.Cells {
		for _, g := range r.Cells[i].cell.goals {
			if reached, ok := g.reached(r, &r.Cells[i]); ok {
				r.Cells[i].Goals = append(r.Cells[i].Goals, judged{g.String(), reached, g.met(reached)})
			}
		}
	}
}

func speed(m lab.Measure) float64 { return m.PerSecond }
func cpu(m lab.Measure) float64   { return m.CPU }
func p99(m lab.Measure) float64   { return m.P99 }
func rss(m lab.Measure) float64   { return m.PeakRSS }

// ratio is the median of the rounds' ratios; 0 where there is none.
func ratio(all, base []lab.Measure, of func(lab.Measure) float64) float64 {
	return median(pairs(all, base, func(own, other lab.Measure) (float64, bool) { return of(own) / of(other), of(other) > 0 }))
}

// pairs takes a figure of each round that both have.
func pairs(all, base []lab.Measure, of func(own, other lab.Measure) (float64, bool)) (values []float64) {
	for _, own := range all {
		for _, other := range base {
			if value, ok := of(own, other); ok && own.Round == other.Round {
				values = append(values, value)
			}
		}
	}
	return values
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// medians takes each figure's own median.
func medians(all []lab.Measure) (m lab.Measure) {
	of := func(value func(lab.Measure) float64) float64 {
		var values []float64
		for _, one := range all {
			values = append(values, value(one))
		}
		return median(values)
	}
	m.Refunds = of(func(m lab.Measure) float64 { return m.Refunds })
	m.Seconds = of(func(m lab.Measure) float64 { return m.Seconds })
	m.PerSecond, m.CPU, m.P99, m.PeakRSS = of(speed), of(cpu), of(p99), of(rss)
	m.KafkaCPU = of(func(m lab.Measure) float64 { return m.KafkaCPU })
	m.RedisCPU = of(func(m lab.Measure) float64 { return m.RedisCPU })
	m.GatewayCPU = of(func(m lab.Measure) float64 { return m.GatewayCPU })
	m.RedisBytes = of(func(m lab.Measure) float64 { return m.RedisBytes })
	m.KafkaBytes = of(func(m lab.Measure) float64 { return m.KafkaBytes })
	m.P50 = of(func(m lab.Measure) float64 { return m.P50 })
	m.Load = of(func(m lab.Measure) float64 { return m.Load })
	m.Lost = int(of(func(m lab.Measure) float64 { return float64(m.Lost) }))
	m.Twice = int(of(func(m lab.Measure) float64 { return float64(m.Twice) }))
	m.Untold = int(of(func(m lab.Measure) float64 { return float64(m.Untold) }))
	return m
}

// goal is what a contender is to reach: a figure as a ratio to another's, as a
// difference, or as it is.
type goal struct {
	who   string
	what  string // for people
	of    func(lab.Measure) float64
	to    string // a contender of the same cell
	cell  string // or the same contender in another cell
	plus  bool   // the difference in place of the ratio
	least float64
	most  float64
}

func (g goal) String() string {
	bound := fmt.Sprintf("at least %g", g.least)
	if g.most > 0 {
		bound = fmt.Sprintf("at most %g", g.most)
	}
	return fmt.Sprintf("%s's %s %s", g.who, g.what, bound)
}

func (g goal) met(reached float64) bool {
	if g.most > 0 {
		return reached <= g.most
	}
	return reached >= g.least
}

func (g goal) reached(r *results, c *result) (float64, bool) {
	own := c.Measures[g.who]
	other := c.Measures[g.to]
	if g.cell != "" {
		for _, x := range r.Cells {
			if x.Name == g.cell {
				other = x.Measures[g.who]
			}
		}
	}
	if len(own) == 0 || (g.to != "" || g.cell != "") && len(other) == 0 {
		return 0, false
	}
	var values []float64
	switch {
	case g.to == "" && g.cell == "":
		for _, m := range own {
			values = append(values, g.of(m))
		}
	case g.plus:
		values = pairs(own, other, func(own, other lab.Measure) (float64, bool) { return g.of(own) - g.of(other), true })
	default:
		values = pairs(own, other, func(own, other lab.Measure) (float64, bool) { return g.of(own) / g.of(other), g.of(other) > 0 })
	}
	reached := median(values)
	return math.Round(reached*1000) / 1000, len(values) > 0
}

// write leaves the table as Markdown, JSON and SVG.
func (r results) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"table.md": r.markdown(), "table.json": string(text) + "\n", "table.svg": r.svg()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// markdown is the one table. Ratios come first; what is this machine's alone is
// behind them.
func (r results) markdown() string {
	var b strings.Builder
	a := r.About
	fmt.Fprintf(&b, "%s, Kafka %s, %d round(s) of %s, highest load average %.1f, %s, took %s.\n", a.Machine, a.Kafka, a.Rounds, a.Window, a.Load,
		a.When.Format(time.DateOnly), a.Took)
	b.WriteString("Ratios are to the floor of the same rounds (medians); the figures marked * are this machine's, with everything on it.\n\n")
	b.WriteString("| work | who | speed | CPU | per second* | CPU us* | Kafka, Redis CPU us* | peak MB | Redis B | Kafka B | |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range r.Cells {
		title := c.Title
		for _, who := range c.cell.contenders {
			m, there := c.Medians[who]
			if !there {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s, %s | %s | %s | %s | %s |\n", title, who, figure("%.2f", c.Speed[who]), figure("%.2f", c.CPU[who]),
				figure("%.0f", m.PerSecond), figure("%.0f", m.CPU), figure("%.0f", m.KafkaCPU), figure("%.0f", m.RedisCPU), figure("%.0f", m.PeakRSS),
				figure("%.0f", m.RedisBytes), figure("%.0f", m.KafkaBytes), c.note(who, m))
			title = ""
		}
	}
	b.WriteString("\n| work | goal | reached | |\n|---|---|---|---|\n")
	for _, c := range r.Cells {
		for _, g := range c.Goals {
			fmt.Fprintf(&b, "| %s | %s | %.2f | %s |\n", c.Title, g.Goal, g.Reached, map[bool]string{true: "yes", false: "no"}[g.Met])
		}
	}
	return b.String()
}

// note is what only some cells measure.
func (c result) note(who string, m lab.Measure) string {
	switch {
	case c.cell.kill:
		return fmt.Sprintf("never paid %d, paid twice %d, paid but never told %d, of %.0f", m.Lost, m.Twice, m.Untold, m.Refunds)
	case m.P99 > 0:
		return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", m.P50, m.P99)
	}
	return ""
}

func figure(format string, x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf(format, x)
}
