package ctl

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// submission is what submit is told.
type submission struct {
	fields                map[string]*string // by their names
	format, verdicts      string
	wait, dryRun, partial bool
	waitFor               time.Duration
	file                  string
}

func newSubmit(r *run) *cobra.Command {
	s := submission{fields: map[string]*string{}}
	c := &cobra.Command{
		Use:   "submit [FILE]",
		Short: "Ask for refunds: one by flags, or many of a file",
		Long: `Submit publishes refund requests. FILE holds JSON lines or CSV with a header of the
fields' names; "-" is the standard input. Without FILE one refund is told by flags.

Everything is validated first, as the worker will: fields, the merchant's gateway,
numbers and orders within the file. One wrong line and nothing is sent, unless
--partial. To submit the same file again does no harm: a refund number moves money
once.

--verdicts FILE gets one JSON line for each row: line, refund, verdict, problems,
and with --wait how it ended.

Exit code 0: all sent (with --wait: all SUCCEEDED); 1: a wrong line, or with --wait
a refund that did not succeed in time.`,
		Example: `  refundctl submit --merchant S0003469 --refund-no R1 --order-no O1 --amount 0.01 --order-amount 10.01 \
    --method WeChat --wallet WECHATCN --wait
  refundctl submit refunds.csv --dry-run
  refundctl submit refunds.jsonl --wait --verdicts verdicts.jsonl
  jq -c .refunds[] export.json | refundctl submit -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				s.file = args[0]
			}
			return r.submit(c.Context(), s)
		},
	}
	f := c.Flags()
	for _, field := range requestFields {
		s.fields[field] = new(string)
		f.StringVar(s.fields[field], strings.ReplaceAll(field, "_", "-"), "", fieldWords[field])
	}
	f.StringVar(&s.format, "format", "", "of FILE: jsonl or csv (default: by its first character)")
	f.StringVar(&s.verdicts, "verdicts", "", "write a JSON line for each row to `FILE`")
	f.BoolVar(&s.wait, "wait", false, "follow each refund to its final status")
	f.DurationVar(&s.waitFor, "wait-for", 5*time.Minute, "how long --wait waits")
	f.BoolVar(&s.dryRun, "dry-run", false, "validate, send nothing; needs neither Kafka nor Redis")
	f.BoolVar(&s.partial, "partial", false, "send the lines that are right although others are wrong")
	fatal(c.RegisterFlagCompletionFunc("merchant", r.completeMerchants))
	fatal(c.MarkFlagFilename("verdicts"))
	return c
}

var fieldWords = map[string]string{
	"refund_no": "the refund's own number `N`, never used before", "merchant": "`NAME` of the merchant", "order_no": "order number `N` (eftPay)",
	"transaction_id": "number `N` of the payment (BluePay)", "amount": "`AMOUNT` in the major unit, such as 0.01", "order_amount": "`AMOUNT` of the whole order",
	"currency": "ISO 4217 `CODE` (default: the merchant's)", "method": "WeChat or Alipay (eftPay)", "wallet": "WECHATCN, WECHATHK, ALIPAYCN or ALIPAYHK (eftPay)",
	"terminal": "terminal's number `N` (eftPay)", "flow": "refund or apply", "reason": "`TEXT` for the gateway", "requested_at": "`TIME` of RFC 3339",
}

func (r *run) submit(ctx context.Context, s submission) error {
	needs := kafkaUp
	if s.dryRun {
		needs = nothing
	}
	ctx, sys, err := r.connect(ctx, needs)
	if err != nil {
		return err
	}
	defer sys.close()
	rows, err := r.rows(s, sys.Config)
	if err != nil {
		return err
	}
	check(rows, sys.Accounts)
	bad := 0
	for _, one := range rows {
		if one.verdict == verdictInvalid {
			bad++
		}
	}
	switch {
	case s.dryRun, bad > 0 && !s.partial:
		if err := r.showSubmitted(s, rows, false); err != nil {
			return err
		}
		if bad > 0 {
			fmt.Fprintf(r.Err, "%d of %d refunds are wrong: nothing was sent\n", bad, len(rows))
			return found()
		}
		return nil
	}
	err = r.send(ctx, sys, s, rows)
	if shown := r.showSubmitted(s, rows, s.wait); shown != nil {
		return shown
	}
	switch {
	case err != nil:
		return err
	case bad > 0, s.wait && !allSucceeded(rows):
		return found()
	}
	return nil
}

// rows are those of the file, or the one of the flags.
func (r *run) rows(s submission, cfg *config.Config) ([]*row, error) {
	fields := map[string]string{}
	for name, value := range s.fields {
		if *value != "" {
			fields[name] = *value
		}
	}
	if s.file != "" {
		if len(fields) > 0 {
			return nil, usage("a refund by flags and FILE: give one of them")
		}
		text, err := r.readFile(s.file)
		if err != nil {
			return nil, err
		}
		rows, err := readRows(text, s.format)
		if err != nil {
			return nil, usage("%s: %w", s.file, err)
		}
		if len(rows) == 0 {
			return nil, usage("%s holds no refund", s.file)
		}
		return rows, nil
	}
	if len(fields) == 0 {
		return nil, usage("no refund: give FILE, or --refund-no, --merchant, --amount and so on")
	}
	if m, err := merchantOf(cfg, fields["merchant"]); err == nil && fields["currency"] == "" {
		fields["currency"] = m.CurrencyCode
	}
	return []*row{{text: object(fields)}}, nil
}

// send publishes what is ready, and with --wait follows it.
func (r *run) send(ctx context.Context, sys *system, s submission, rows []*row) (err error) {
	var ready []*row
	for _, one := range rows {
		if one.verdict == verdictReady {
			ready = append(ready, one)
		}
	}
	follower, err := sys.follow(ctx)
	if err != nil {
		return err
	}
	task, err := r.begin(ctx, sys, submitEntry(s, ready))
	if err != nil {
		return err
	}
	published, err := r.publish(ctx, sys, ready)
	if written := task.end(ctx, err, "%d of %d published", published, len(ready)); err == nil {
		err = written
	}
	if err != nil || !s.wait {
		return err
	}
	return r.await(ctx, follower, s.waitFor, ready)
}

func submitEntry(s submission, ready []*row) entry {
	e := entry{What: "submit", Detail: count(len(ready), "refund", "refunds") + " of " + s.file}
	if s.file == "" && len(ready) == 1 {
		key := ready[0].request.Key
		e.Merchant, e.RefundNo, e.Detail = key.Merchant, key.RefundNo, amountOf(ready[0].request.Amount)
	}
	return e
}

// publishTogether is how many requests are written at once.
const publishTogether = 200

// publish writes requests in the order of the rows, which within an order is kept.
func (r *run) publish(ctx context.Context, sys *system, rows []*row) (published int, err error) {
	progress := r.progress()
	defer progress.Clear()
	for first := 0; first < len(rows); first += publishTogether {
		batch := rows[first:min(first+publishTogether, len(rows))]
		var records []kafka.Record
		for _, one := range batch {
			records = append(records, sys.requestRecord(one.request))
		}
		err := sys.Producer.Write(ctx, records...)
		for _, one := range batch {
			if one.verdict = verdictPublished; err != nil {
				one.verdict = verdictPerhaps
			}
		}
		if err != nil {
			return published, err
		}
		published += len(batch)
		progress.Show("published %d of %d", published, len(rows))
	}
	return published, nil
}

// requestRecord is a request for its topic, keyed by its order.
func (s *system) requestRecord(request refund.Request) kafka.Record {
	value, headers := events.EncodeRequest(request)
	key := request.Key.String()
	if account, ok := s.Accounts[request.Merchant]; ok {
		key = account.Gateway.Order(request)
	}
	return kafka.Record{Topic: s.Topics.Requests, Key: []byte(key), Value: value, Headers: events.As[kafka.Header](headers)}
}

// await follows rows to their ends, showing them on the way.
func (r *run) await(ctx context.Context, f *follower, most time.Duration, rows []*row) error {
	byKey := map[refund.Key]*row{}
	var keys []refund.Key
	for _, one := range rows {
		byKey[one.request.Key] = one
		keys = append(keys, one.request.Key)
	}
	progress := r.progress()
	defer progress.Clear()
	bounded, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	ended := 0
	progress.Show("%d refunds are open", len(keys))
	_, err := f.until(bounded, keys, func(h happening) error {
		if h.ended() {
			ended++
		}
		byKey[h.key()].last = h
		progress.Show("%d of %d refunds have ended, the last: %s %s", ended, len(keys), h.key(), h.word())
		return nil
	})
	if bounded.Err() != nil && ctx.Err() == nil {
		err = nil // time is up: the rows say what is open
	} else if ctx.Err() != nil {
		err = ctx.Err()
	}
	return err
}

func allSucceeded(rows []*row) bool {
	for _, one := range rows {
		if one.verdict == verdictPublished && one.last.word() != string(refund.StatusSucceeded) {
			return false
		}
	}
	return true
}
