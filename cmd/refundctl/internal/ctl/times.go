package ctl

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// parseTime reads a time given on the command line: a duration before now (10m,
// 2h30m, 3d), a time of RFC 3339, or a day.
func (r *run) parseTime(flag, word string) (time.Time, error) {
	if ago, err := parseDuration(word); err == nil {
		return r.Now().Add(-ago), nil
	}
	if t, err := time.Parse(time.RFC3339, word); err == nil {
		return t, nil
	}
	for _, layout := range []string{time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, word, r.Zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%s %q: want a duration before now (10m, 3d), a time (2023-06-09T11:06:46+08:00) or a day (2023-06-09)", flag, word)
}

// parseDuration reads a duration; days (3d) too.
func parseDuration(word string) (time.Duration, error) {
	if days, found := strings.CutSuffix(word, "d"); found {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 100_000 {
			return 0, fmt.Errorf("%q is not a number of days", word)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(word)
	if err == nil && d < 0 {
		err = fmt.Errorf("%q is negative", word)
	}
	return d, err
}

// parseFrom reads where in a topic to begin: beginning, end, or a time.
func (r *run) parseFrom(flag, word string) (kafka.From, error) {
	switch word {
	case "beginning":
		return kafka.FromFirst(), nil
	case "end":
		return kafka.FromEnd(), nil
	}
	t, err := r.parseTime(flag, word)
	if err != nil {
		return kafka.From{}, usage("%s %q: want beginning, end, a duration before now (10m, 3d), or a time (2023-06-09T11:06:46+08:00)", flag, word)
	}
	return kafka.FromTime(t), nil
}

// clock is a time as tables have it.
func (r *run) clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(r.Zone).Format("2006-01-02 15:04:05.000")
}

// age is a duration as people say it: 45s, 12m, 3h20m, 5d4h.
func age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
