package ctl

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// entry is one line of the operators' trail, topic refund.audit.
type entry struct {
	Version  int       `json:"v"`
	At       time.Time `json:"at"`
	Who      string    `json:"who"`
	From     string    `json:"from"` // the host
	What     string    `json:"what"` // the command
	Why      string    `json:"why,omitempty"`
	Run      string    `json:"run"`   // the same on all lines of one command
	Phase    phase     `json:"phase"` // how far it is
	Merchant string    `json:"merchant,omitempty"`
	RefundNo string    `json:"refund_no,omitempty"`
	Letter   string    `json:"letter,omitempty"` // partition/offset of a dead letter
	Detail   string    `json:"detail,omitempty"` // for people
}

// about is what the line is about, for people.
func (e entry) about() string {
	var words []string
	if e.RefundNo != "" {
		words = append(words, e.Merchant+"/"+e.RefundNo)
	} else if e.Merchant != "" {
		words = append(words, e.Merchant)
	}
	if e.Letter != "" {
		words = append(words, "letter "+e.Letter)
	}
	return strings.Join(words, ", ")
}

// phase of a command on the trail.
type phase string

const (
	begins phase = "begins" // written before anything is changed
	does   phase = "does"   // one of many
	done   phase = "done"
	failed phase = "failed"
)

// errand is a command that changes something, on the trail.
type errand struct {
	run    *run
	system *system
	head   entry
}

// begin writes who is about to do what, and why. Without that line nothing is
// changed.
func (r *run) begin(ctx context.Context, s *system, head entry) (*errand, error) {
	head.Version, head.Who, head.From, head.Run = 1, r.Who, r.From, rand.Text()[:12]
	e := &errand{run: r, system: s, head: head}
	if err := e.write(ctx, begins, head); err != nil {
		return nil, fmt.Errorf("the operators' trail cannot be written, so nothing was changed: %w", err)
	}
	return e, nil
}

// line writes one of many changes.
func (e *errand) line(ctx context.Context, line entry) error {
	line.Version, line.Who, line.From, line.Run = 1, e.head.Who, e.head.From, e.head.Run
	line.What, line.Why = e.head.What, e.head.Why
	return e.write(ctx, does, line)
}

// end writes what came of it, also where ctx has ended meanwhile.
func (e *errand) end(ctx context.Context, err error, format string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.run.timeout)
	defer cancel()
	last := e.head
	last.Detail = fmt.Sprintf(format, args...)
	how := done
	if err != nil {
		how = failed
		last.Detail += ": " + err.Error()
	}
	return e.write(ctx, how, last)
}

func (e *errand) write(ctx context.Context, how phase, line entry) error {
	line.At, line.Phase = e.run.Now().UTC(), how
	value, err := json.Marshal(line)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.run.timeout)
	defer cancel()
	var key []byte
	if line.RefundNo != "" {
		key = []byte(line.Merchant + "/" + line.RefundNo)
	}
	return e.system.Producer.Write(ctx, kafka.Record{Topic: e.system.Topics.Audit, Key: key, Value: value})
}
