package ctl

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// auditRead feeds the checker, in the order that is fair to a system at work: what
// the group has taken, the books, dead letters, what waits, requests, statuses.
type auditRead struct {
	auditing
	run     *run
	system  *system
	taken   map[string]map[int]int64
	records int64                      // that there are to be read
	read    atomic.Int64               // of them
	books   string                     // none, partial or complete
	only    func(refundNo string) bool // nil: all payments

	mu         sync.Mutex // of what follows: records are decoded side by side
	checker    *audit.Checker
	unreadable int
	times      *overTime
}

func (a *auditRead) all(ctx context.Context) (report audit.Report, err error) {
	a.books = "none"
	switch {
	case len(a.ledgers) > 0 && len(a.settlements) == 0, len(a.ledgers)+len(a.settlements) > 0 && a.complete:
		a.books = "complete"
	case len(a.ledgers)+len(a.settlements) > 0:
		a.books = "partial"
	}
	a.times = newOverTime()
	parts, err := a.size(ctx)
	if err != nil {
		return report, err
	}
	a.checker = audit.New(audit.Options{Whole: a.whole, Books: a.books == "complete", Parts: parts, Dir: a.temp})
	defer a.checker.Close()
	defer a.memoryOf()()
	for _, step := range []func(context.Context) error{a.committed, a.payments, a.letters, a.delays, a.requests, a.statuses} {
		err := step(ctx)
		if failed := a.checker.Err(); failed != nil {
			err = usage("%w: --temp says where", failed)
		}
		if err != nil {
			return report, err
		}
	}
	report = a.checker.Report()
	if err := a.checker.Err(); err != nil {
		return report, usage("%w: --temp says where", err)
	}
	return report, ctx.Err()
}

// What an audit needs in memory: for its own, and for each refund that is looked at
// at a time with half as much again, so that the garbage collector finds something
// when it looks. On disk a refund has some three records.
const (
	auditOwnMB      = 96
	auditRefund     = audit.RefundBytes * 3 / 2
	auditRefundFile = 350
)

// memoryOf has the garbage collector look only when the memory that is allowed is
// nearly used up, until it is called off.
func (a *auditRead) memoryOf() (off func()) {
	limit, percent := debug.SetMemoryLimit(int64(a.memory)<<20), debug.SetGCPercent(-1)
	return func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}

// size answers in how many parts the refunds are to be looked at, so that each fits
// into the memory that is allowed.
func (a *auditRead) size(ctx context.Context) (parts int, err error) {
	var most int64 // refunds there can be
	for _, topic := range append([]string{a.system.Topics.Requests, a.system.Topics.Status, a.system.Topics.DeadLetters}, a.system.delayTopics()...) {
		spans, err := a.system.Kafka.Spans(ctx, topic)
		if err != nil {
			return 0, err
		}
		var there int64
		for _, s := range spans {
			there += s.End - s.First
		}
		a.records += there
		most = max(most, there)
	}
	room := int64(a.memory-auditOwnMB) << 20
	parts = int((most*auditRefund + room - 1) / room)
	if parts > mostParts {
		return 0, usage("%d refunds at most are too many for --memory %d: want %d, or one --merchant after another", most, a.memory, auditOwnMB+most*auditRefund/mostParts>>20+1)
	}
	if parts > 1 && a.run.ErrTerminal {
		folder := a.temp
		if folder == "" {
			folder = os.TempDir()
		}
		fmt.Fprintf(a.run.Err, "%d records, of %d refunds at most: looked at in %d parts, with %d MB of memory and up to %d MB of files in %s\n",
			a.records, most, parts, a.memory, most*auditRefundFile>>20+1, folder)
	}
	return parts, nil
}

// mostParts bounds the open files.
const mostParts = 400

// judged says whether a merchant's refunds are looked at.
func (a *auditRead) judged(merchant string) bool { return a.merchant == "" || a.merchant == merchant }

func (a *auditRead) committed(ctx context.Context) error {
	a.taken = map[string]map[int]int64{}
	for _, topic := range append([]string{a.system.Topics.Requests}, a.system.delayTopics()...) {
		committed, err := a.system.Kafka.Committed(ctx, a.system.Config.Kafka.Group, topic)
		if err != nil {
			return err
		}
		a.taken[topic] = committed
	}
	return nil
}

// scan reads a topic and shows how far it is. Records are decoded on all processors,
// those of one partition one after another; what each tells the checker it tells
// within told.
func (a *auditRead) scan(ctx context.Context, topic string, from kafka.From, each func(kafka.Record)) error {
	progress := a.run.progress()
	defer progress.Clear()
	var decoding errgroup.Group
	lanes := make([]chan []kafka.Record, runtime.GOMAXPROCS(0))
	waiting := make([][]kafka.Record, len(lanes))
	for i := range lanes {
		lanes[i] = make(chan []kafka.Record, 2)
		decoding.Go(func() error {
			for records := range lanes[i] {
				for _, r := range records {
					each(r)
				}
				progress.Show("audit: %d of %d records, now %s", a.read.Add(int64(len(records))), a.records, topic)
			}
			return nil
		})
	}
	_, err := a.system.Kafka.Scan(ctx, topic, from, func(r kafka.Record) error {
		lane := r.Partition % len(lanes)
		if waiting[lane] = append(waiting[lane], r); len(waiting[lane]) == decodeTogether {
			lanes[lane] <- waiting[lane]
			waiting[lane] = make([]kafka.Record, 0, decodeTogether)
		}
		return a.checker.Err()
	})
	for i, lane := range lanes {
		lane <- waiting[i]
		close(lane)
	}
	_ = decoding.Wait() // has no error
	return err
}

// decodeTogether is how many records are handed over at once.
const decodeTogether = 250

// told calls tell while nobody else tells the checker anything.
func (a *auditRead) told(tell func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	tell()
}

// window begins where the time begins; a record's timestamp is never before it was
// made.
func (a *auditRead) window() kafka.From {
	if a.from.IsZero() {
		return kafka.FromFirst()
	}
	return kafka.FromTime(a.from)
}

func (a *auditRead) letters(ctx context.Context) error {
	return a.scan(ctx, a.system.Topics.DeadLetters, a.window(), func(r kafka.Record) {
		letter := consumer.ReadDeadLetter(r.Headers)
		request, _ := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers)) // zero where it is no request
		if request.Merchant != "" && !a.judged(request.Merchant) {
			return
		}
		a.told(func() {
			a.times.count(countDead, r.Time)
			a.checker.DeadLetter(audit.DeadLetter{
				Origin: audit.Place{Topic: letter.Topic, Partition: letter.Partition, Offset: letter.Offset},
				Reason: refund.Reason(letter.Reason), Request: request,
			})
		})
	})
}

func (a *auditRead) delays(ctx context.Context) error {
	for _, topic := range a.system.delayTopics() {
		err := a.scan(ctx, topic, kafka.FromOffsets(a.taken[topic]), func(r kafka.Record) {
			if request, err := events.DecodeFollowUp(r.Value, events.As[events.Header](r.Headers)); err == nil && a.judged(request.Merchant) {
				a.told(func() { a.checker.Queued(request.Key) })
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *auditRead) requests(ctx context.Context) error {
	topic := a.system.Topics.Requests
	return a.scan(ctx, topic, a.window(), func(r kafka.Record) {
		if !r.Time.Before(a.to) || r.Time.Before(a.from.Truncate(time.Millisecond)) {
			return
		}
		waits := r.Offset >= a.taken[topic][r.Partition]
		request, err := events.DecodeRequest(r.Value, events.As[events.Header](r.Headers))
		if err != nil {
			if !waits && a.merchant == "" {
				a.told(func() { a.checker.Unreadable(audit.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}) })
			}
			return
		}
		if !a.judged(request.Merchant) {
			return
		}
		asked := audit.Request{Request: request}
		if account, ok := a.system.Accounts[request.Merchant]; ok {
			asked.Order = account.Gateway.Order(request)
		}
		a.told(func() {
			a.times.count(countRequests, r.Time)
			a.checker.Request(asked)
			if waits {
				a.checker.Queued(request.Key)
			}
		})
	})
}

// statuses are read whole: an order's total may rest on old ones. Of a refund that
// was requested before the window nothing is asked but that.
func (a *auditRead) statuses(ctx context.Context) error {
	return a.scan(ctx, a.system.Topics.Status, kafka.FromFirst(), func(r kafka.Record) {
		if merchant, _, _ := strings.Cut(string(r.Key), "/"); r.Value == nil || !a.judged(merchant) {
			return
		}
		rec, err := statuslog.Entry{Record: r}.Restore()
		a.told(func() {
			if err != nil {
				a.unreadable++
				return
			}
			if at := rec.Last.RecordedAt; rec.Last.Status.Final() && !at.Before(a.from) && at.Before(a.to) {
				a.times.ended(rec)
			}
			a.checker.Status(audit.Status{
				Place:  audit.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset},
				Record: rec, Body: r.Value,
			})
		})
	})
}
