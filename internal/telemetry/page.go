package telemetry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Page is docs/metrics.md: all metrics in one table, and what logs and traces have.
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
	out.WriteString(`
## Log lines

JSON, one object a line (` + "`log.format: console`" + `: lines for people). One line at level info, message ` + "`refund`" + `, for each refund that ended; corrections
and REVIEW are warnings, the steps between are debug. Of a step at Kafka or Redis that fails again and again one line is written every few
seconds, of a partition that stands still one a minute, each with the number of those ` + "`left_out`" + ` since; nothing else is sampled but callbacks that
prove nothing about their sender (20 lines a second; all are counted). What is masked and escaped: [security.md](security.md).

| field | meaning |
|---|---|
`)
	for _, name := range slices.Sorted(maps.Keys(Fields)) {
		fmt.Fprintf(&out, "| `%s` | %s |\n", name, Fields[name])
	}
	out.WriteString(`
## Traces

Off unless ` + "`tracing.endpoint`" + ` names an OTLP collector (HTTP, protobuf); then every delivery, follow-up and callback of a refund is in one trace:
that of its request's ` + "`traceparent`" + `, which its status events carry on, or one whose id is made of merchant and refund number. Spans: receive and
process of a message, the store's scripts, the gateway's calls and queries, the sending of a status event, the callback. Attributes follow
the semantic conventions ` + "`" + conventions + "`" + `; ours begin with ` + "`refund.`" + `. What its publisher did not sample is not sampled; further settings by
OpenTelemetry's own variables (` + "`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`" + `). Spans that a collector does not take are dropped.
`)
	return out.String()
}
