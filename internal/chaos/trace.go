//go:build unix

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// traced is how many findings get their whole story.
const traced = 10

// trace writes the story of each refund that a finding names.
func (r *run) trace(ctx context.Context, report audit.Report) error {
	var keys []refund.Key
	for _, f := range report.Findings {
		if f.RefundNo != "" && len(keys) < traced {
			keys = append(keys, f.Key)
		}
	}
	open, _ := r.seen.open(r.shop.tally)
	for _, one := range open[:min(len(open), traced)] {
		keys = append(keys, one.key)
	}
	if len(keys) == 0 {
		return nil
	}
	file, err := os.Create(filepath.Join(r.Dir, "traces.txt"))
	if err != nil {
		return err
	}
	defer file.Close()
	for _, key := range keys {
		if err := r.system.Trace(ctx, key, file); err != nil {
			return fmt.Errorf("tracing %s: %w", key, err)
		}
	}
	return nil
}

// moment is one thing that happened to a refund.
type moment struct {
	at    time.Time
	words string
}

// Trace writes all that topics, books and logs tell of one refund, in the order of
// time. Log lines of the daemons come last: their clock shows seconds.
func (s *System) Trace(ctx context.Context, key refund.Key, out io.Writer) error {
	client, err := kafka.Open(kafka.Config{Brokers: s.Kafka.Brokers, ClientID: "chaos"})
	if err != nil {
		return err
	}
	defer client.Close()
	var all []moment
	topics := s.Config.Kafka.Topics
	names := []string{topics.Requests, topics.DeadLetters, topics.Status}
	for _, delay := range s.Config.Worker.Delays {
		names = append(names, topics.DelayPrefix+delay.String())
	}
	var errs []error
	for _, topic := range names {
		_, err := client.Scan(ctx, topic, kafka.FromFirst(), func(r kafka.Record) error {
			if about(r, key) {
				all = append(all, moment{r.Time, fmt.Sprintf("%s/%d/%d %s | %s", r.Topic, r.Partition, r.Offset, headers(r), r.Value)})
			}
			return nil
		})
		errs = append(errs, err)
	}
	ledger, err := s.Books.Ledger(ctx)
	errs = append(errs, err)
	for _, e := range ledger {
		if e.Merchant == key.Merchant && e.RefundNo == key.RefundNo {
			all = append(all, moment{e.Time, fmt.Sprintf("LEDGER %d minor units by call %d of %d (%d queries)", e.Amount, e.Call, e.Calls, e.Queries)})
		}
	}
	callbacks, err := s.Books.Callbacks(ctx)
	errs = append(errs, err)
	for _, c := range callbacks {
		if c.Merchant == key.Merchant && c.RefundNo == key.RefundNo {
			all = append(all, moment{c.Time, fmt.Sprintf("CALLBACK %s %s, try %d: HTTP %d %s", c.Status, c.Sign, c.Try, c.HTTPStatus, c.Problem)})
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	fmt.Fprintf(out, "\n=== %s\n", key)
	for _, m := range all {
		fmt.Fprintf(out, "%s %s\n", m.at.Local().Format(clockForm), m.words)
	}
	errs = append(errs, s.logLines(key, out))
	return errors.Join(errs...)
}

// about: the record's key is the refund's, or its value names it.
func about(r kafka.Record, key refund.Key) bool {
	return string(r.Key) == key.String() ||
		strings.Contains(string(r.Value), `"`+key.RefundNo+`"`) && strings.Contains(string(r.Value), `"`+key.Merchant+`"`)
}

func headers(r kafka.Record) string {
	var words []string
	for _, h := range r.Headers {
		if strings.HasPrefix(h.Key, "refund-") && h.Key != "refund-content" || strings.HasPrefix(h.Key, "dlq-") {
			words = append(words, h.Key+"="+string(h.Value))
		}
	}
	return strings.Join(words, " ")
}

func (s *System) logLines(key refund.Key, out io.Writer) error {
	files, err := filepath.Glob(filepath.Join(s.dir, "*.log"))
	for _, name := range files {
		file, openErr := os.Open(name)
		if openErr != nil {
			err = errors.Join(err, openErr)
			continue
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if strings.Contains(lines.Text(), `"`+key.RefundNo+`"`) {
				fmt.Fprintf(out, "%s: %s\n", filepath.Base(name), lines.Text())
			}
		}
		err = errors.Join(err, lines.Err(), file.Close())
	}
	return err
}
