package dedupe

import (
	"context"
	"errors"
	"fmt"

	"github.com/refundworker/refundworker/internal/refund"
)

// Load implements refund.Records (lua/load.lua). Errors: *refund.Unavailable.
func (s *Store) Load(ctx context.Context, key refund.Key) (rec refund.Record, err error) {
	reply, err := s.run(ctx, "load", key.Merchant, []string{s.keys(key.Merchant).record(key.RefundNo)})
	if err != nil {
		return rec, err
	}
	err = reply.record(key, &rec)
	return rec, err
}

// Record implements refund.Records (lua/record.lua). What only scripts write is
// taken from what is stored: Token, LeaseEnd, CallEnd, FollowUp, Place and
// Published of next do not count. Where the epoch has moved on since next was
// answered, the version has too. Errors: *refund.Unavailable.
func (s *Store) Record(ctx context.Context, next refund.Record, endLease string) (now refund.Record, won bool, err error) {
	if err := checkRecord(next); err != nil {
		return now, false, err
	}
	key, k := next.Key(), s.keys(next.Request.Merchant)
	reply, err := s.runAt(ctx, "record", key.Merchant, next.Epoch,
		[]string{k.record(key.RefundNo), k.order(next.Order)},
		number(next.Version), pack(next, next.Request.Content(), ""), endLease, number(next.Request.OrderAmount.Minor), s.retention, k.orders())
	if _, moved := errors.AsType[*movedError](err); moved {
		now, err = s.Load(ctx, key)
		return now, false, err
	}
	if err != nil {
		return now, false, err
	}
	err = reply.record(key, &now)
	if err == nil && reply.word == "bad" {
		err = fmt.Errorf("dedupe: record of %s: event %d differs from the stored %d without a higher sequence",
			key, next.Last.Sequence, now.Last.Sequence)
	}
	return now, err == nil && reply.word == "ok", err
}

// Published implements refund.Records (lua/published.lua). Errors:
// *refund.Unavailable.
func (s *Store) Published(ctx context.Context, key refund.Key, sequence int64) (rec refund.Record, err error) {
	reply, err := s.run(ctx, "published", key.Merchant, []string{s.keys(key.Merchant).record(key.RefundNo)}, number(sequence))
	if err != nil {
		return rec, err
	}
	err = reply.record(key, &rec)
	return rec, err
}

func checkRecord(next refund.Record) error {
	key := next.Key()
	switch {
	case next.Last.Sequence <= 0 || next.Last.Sequence > refund.MaxMinor:
		return fmt.Errorf("dedupe: record of %s with sequence %d", key, next.Last.Sequence)
	case next.Request.Amount.Minor <= 0 || next.Request.Amount.Minor > refund.MaxMinor || next.Request.OrderAmount.Minor > refund.MaxMinor:
		return fmt.Errorf("dedupe: record of %s with %d minor units of an order of %d", key, next.Request.Amount.Minor, next.Request.OrderAmount.Minor)
	case next.Last.Status == refund.StatusNone || statusLetters[next.Last.Status] == 0 || sourceLetters[next.Last.Source] == 0,
		next.Holding != refund.HoldsNothing && next.Holding != refund.HoldsReserved && next.Holding != refund.HoldsSucceeded:
		return fmt.Errorf("dedupe: record of %s with status %q from %q that holds %q", key, next.Last.Status, next.Last.Source, next.Holding)
	}
	if err := checkWord("token", next.Token); err != nil {
		return err
	}
	return checkWord("place", next.Place)
}
