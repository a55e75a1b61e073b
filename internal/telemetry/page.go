package telemetry

import (
	"fmt"
	"strings"
)

// Page is docs/metrics.md: all metrics in one table.
func Page() string {
	var out strings.Builder
	out.WriteString(`# Metrics

` + "`/metrics`" + ` at the ` + "`admin`" + ` addresses of worker and notify-bridge. Names and units follow Prometheus' conventions; beside these there
are those of the Go runtime (` + "`go_*`" + `) and the process (` + "`process_*`" + `). Every label is a closed set: its own words, or names of the
configuration. This page is written from the code: ` + "`go test ./internal/telemetry -update`" + `.

What waits for work, for a gateway, for a limit or for a hold is told apart by ` + "`refund_wait_seconds`" + `. Scale workers by
` + "`sum(refund_due_records)`" + `, never by ` + "`refund_lag_records`" + ` of delay topics: there most records merely wait for their time, and in an
outage many do.

| metric | type | made by | meaning | labels |
|---|---|---|---|---|
`)
	for _, f := range families {
		by := "both"
		if len(f.by) > 0 {
			by = string(f.by[0])
		}
		var labels []string
		for _, l := range f.labels {
			labels = append(labels, fmt.Sprintf("`%s`: %s", l.name, l.words()))
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s |\n", f.name, f.kind, by, f.help, strings.Join(labels, "<br>"))
	}
	return out.String()
}
