//go:build unix

package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/refundworker/refundworker/internal/audit"
)

// summary prints the run in one block.
func (r *run) summary(report audit.Report, recovery time.Duration, gateways string, verdict error) {
	line := func(name, words string, args ...any) {
		fmt.Fprintf(r.Out, "  %-13s "+words+"\n", append([]any{name}, args...)...)
	}
	p := r.shop.tally
	fmt.Fprintf(r.Out, "%s: %s, seed %d, Kafka %s with %d broker(s)\n", r.name, r.Length, r.Seed, r.KafkaVersion, len(r.system.Kafka.Nodes))
	r.deed.words(line)
	line("gateways", "%s", gateways)
	line("published", "%d messages: %d refunds of %d orders, %d repeats, %d conflicts, %d unreadable", p.Messages, p.Refunds, p.Orders, p.Repeats, p.Conflicts, p.Unreadable)
	line("refunds", "%d, payments %d", report.Refunds, report.Payments)
	line("lost", "%d", report.Count(audit.Lost))
	line("paid twice", "%d", report.Count(audit.PaidTwice))
	line("over total", "%d", report.Count(audit.OverTotal))
	line("dead letters", "%s", sum(report.DeadLetters))
	line("open", "%s (%d are never ended by their gateway)", sum(report.Open), len(p.endless))
	line("recovery", "%s from the end of the publishing until all was settled", recovery.Round(100*time.Millisecond))
	fmt.Fprint(r.Out, report.String())
	if verdict == nil {
		fmt.Fprintf(r.Out, "%s: passed\n", r.name)
		return
	}
	fmt.Fprintf(r.Out, "%s: FAILED; CHAOS_SEED=%d; logs, faults.log and traces.txt in %s\n", r.name, r.Seed, r.Dir)
}

func (r *run) gatewayWords(ctx context.Context) string {
	callbacks, err := r.system.Books.Callbacks(ctx)
	if err != nil {
		return err.Error()
	}
	acknowledged := 0
	for _, c := range callbacks {
		if c.Acknowledged {
			acknowledged++
		}
	}
	refusals, err := r.system.Books.Refusals(ctx)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d callbacks (%d acknowledged), %d calls refused as stale or wrong", len(callbacks), acknowledged, len(refusals))
}

func sum[K comparable](counts map[K]int) string {
	total := 0
	for _, n := range counts {
		total += n
	}
	return fmt.Sprint(total)
}
