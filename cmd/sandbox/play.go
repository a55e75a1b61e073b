package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/sandbox"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// patience is how long one sample may take.
const patience = 10 * time.Second

// seen is one event of the status topic, or one dead letter.
type seen struct {
	status events.Status
	again  bool
	dead   refund.Reason
	line   string
}

// watch follows status topic and dead letters until ctx ends.
func watch(ctx context.Context, client *app.Client) <-chan seen {
	all := make(chan seen, 256)
	tell := func(s seen) error {
		select {
		case all <- s:
		case <-ctx.Done():
		}
		return nil
	}
	ids := map[string]bool{}
	go func() {
		_ = client.Watch(ctx, func(e statuslog.Entry) error {
			if e.Err != nil {
				return tell(seen{line: "   unreadable status event: " + e.Err.Error()})
			}
			again := ids[e.Status.ID()]
			ids[e.Status.ID()] = true
			return tell(seen{status: e.Status, again: again, line: line(e.Status, again)})
		})
	}()
	go func() {
		_ = client.WatchDeadLetters(ctx, func(d consumer.DeadLetter, r kafka.Record) error {
			return tell(seen{dead: refund.Reason(d.Reason), line: deadLine(d, r)})
		})
	}()
	return all
}

// play shows every sample, then audits.
func play(ctx context.Context, system *sandbox.System, out io.Writer) error {
	client, err := app.NewClient(system.Config)
	if err != nil {
		return err
	}
	defer client.Close()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	all := watch(watching, client)
	fmt.Fprintf(out, "\n%s\n", columns())
	var failed []error
	for i, s := range samples() {
		fmt.Fprintf(out, "\n%2d. %s\n", i+1, s.title)
		if err := s.play(ctx, system, client, all, out); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(out, "   WRONG: %v\n", err)
			failed = append(failed, fmt.Errorf("sample %d: %w", i+1, err))
		}
	}
	settling, settled := context.WithTimeout(ctx, patience)
	defer settled()
	if err := client.AwaitTaken(settling); err != nil {
		return errors.Join(append(failed, fmt.Errorf("requests are not taken: %w", err))...)
	}
	report, err := system.Audit(ctx)
	if err != nil {
		return errors.Join(append(failed, fmt.Errorf("audit: %w", err))...)
	}
	fmt.Fprintf(out, "\n%s\n", strings.TrimRight(report.String(), "\n"))
	if !report.OK() {
		failed = append(failed, errors.New("the audit found broken promises"))
	}
	if refusals, n := system.Gateways.Refusals(); n > 0 {
		failed = append(failed, fmt.Errorf("the gateways refused %d calls as not following their pages, first: %+v", n, refusals[0]))
	}
	return errors.Join(failed...)
}

// play runs one sample and waits for its endings.
func (s sample) play(ctx context.Context, system *sandbox.System, client *app.Client, all <-chan seen, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if s.prepare != nil {
		if err := s.prepare(system.Gateways); err != nil {
			return err
		}
	}
	for _, message := range s.publish {
		if err := client.Publish(ctx, []byte(s.title), []byte(message)); err != nil {
			return err
		}
	}
	if s.forge != "" {
		answer, err := forgeCallback(ctx, system, s.forge)
		fmt.Fprintln(out, "   "+answer)
		return err
	}
	for waiting := slices.Clone(s.ends); len(waiting) > 0; {
		select {
		case e := <-all:
			fmt.Fprintln(out, e.line)
			if i := slices.IndexFunc(waiting, func(end ending) bool { return end.is(e) }); i >= 0 {
				waiting = slices.Delete(waiting, i, i+1) // refunds of their own have no order between them
			}
		case <-ctx.Done():
			return fmt.Errorf("no %s within %s", waiting[0], patience)
		}
	}
	return nil
}

// is says whether an event is the one waited for.
func (e ending) is(s seen) bool {
	if e.dead != "" {
		return s.dead == e.dead
	}
	return s.status.Key == e.key && s.status.Status == e.status && strings.Contains(why(s.status, s.again), e.says)
}

func (e ending) String() string {
	if e.dead != "" {
		return "dead letter " + string(e.dead)
	}
	return fmt.Sprintf("%s of %s (%s)", e.status, e.key, e.says)
}
