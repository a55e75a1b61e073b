package audit

import (
	"cmp"
	"slices"

	"github.com/refundworker/refundworker/internal/refund"
)

// state is all that is kept of one refund.
type state struct {
	order     string
	amount    int64 // minor units, as is total
	total     int64 // of the order; 0: not told
	high      int64 // highest sequence seen
	tail      int64 // sequence of the last record in the partition that holds high
	standing  int64 // money by the books: paid less taken back
	lastPaid  int64
	said      uint64   // content of its matched statuses; 0: none
	asked     []uint64 // contents that were asked for
	dead      []uint64 // contents that are dead letters
	events    []event  // one of each sequence
	rewritten []int64  // sequences that have several contents
	partition int32    // that holds high
	paid      int32    // payments, taken back or not
	currency  uint16
	changed   bool // matched statuses of several contents
	queued    bool
	ourMoney  bool // a payment that is not surely foreign
}

// event is one sequence of a refund.
type event struct {
	sequence int64
	digest   uint64 // of the value
	status   uint16 // in Checker.statuses
	flags    flags
}

type flags uint8

const (
	matched flags = 1 << iota
	correction
	final
	intent // money may move by our own call
)

func flagsOf(e refund.Event) (f flags) {
	if e.Matched {
		f |= matched
	}
	if e.Correction {
		f |= correction
	}
	if e.Status.Final() {
		f |= final
	}
	if e.Matched && e.Status.Open() && e.Attempt > 0 {
		f |= intent
	}
	return f
}

func (e event) is(f flags) bool { return e.flags&f != 0 }

// known: a request or a status has told what it is about.
func (s *state) known() bool { return s.amount != 0 || s.total != 0 }

// add keeps an event, and reports false where its sequence is there with other content.
func (s *state) add(e event) bool {
	for _, old := range s.events {
		if old.sequence == e.sequence {
			return old.digest == e.digest
		}
	}
	s.events = append(s.events, e)
	return true
}

// place notes in which order the records of the key lie. Keys stay in one partition; where partitions were added, what
// counts is the end of the one that holds the highest sequence.
func (s *state) place(partition int32, sequence int64) {
	switch {
	case sequence >= s.high:
		s.high, s.partition, s.tail = sequence, partition, sequence
	case partition == s.partition:
		s.tail = sequence
	}
}

// stale: the last record of the key is not its highest sequence.
func (s *state) stale() bool { return s.tail < s.high }

// sorted puts the events into the order in which the refund lived them.
func (s *state) sorted() []event {
	slices.SortFunc(s.events, func(a, b event) int { return cmp.Compare(a.sequence, b.sequence) })
	return s.events
}
