package dedupe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

var answers = map[string]refund.ClaimAnswer{
	"yours": refund.Yours, "indoubt": refund.InDoubt, "running": refund.Running, "notnow": refund.NotNow,
	"finished": refund.Finished, "chainended": refund.ChainEnded, "unmatched": refund.Unmatched,
	"conflict": refund.Conflict, "orderconflict": refund.OrderConflict, "overtotal": refund.OverTotal,
	"toomany": refund.TooMany, "notyours": refund.NotYours, "missing": refund.Missing,
}

// Claim implements refund.Claims (lua/claim.lua). Errors: *refund.Unavailable.
func (s *Store) Claim(ctx context.Context, c refund.Claim) (answer refund.Claimed, err error) {
	if err := checkClaim(c); err != nil {
		return answer, err
	}
	k, req := s.keys(c.Request.Merchant), &c.Request
	reply, err := s.run(ctx, "claim", req.Merchant,
		[]string{k.record(req.RefundNo), k.order(c.Order), k.rate(), k.queue()},
		req.RefundNo, c.Token, millis(c.Lease), strconv.Itoa(c.FollowUp), c.Place, req.Content(),
		number(req.Amount.Minor), packCurrency(req.Amount.Currency), number(req.OrderAmount.Minor),
		strconv.Itoa(c.Limits.Rate), strconv.Itoa(c.Limits.MaxRefundsPerOrder), millis(c.Limits.OrderInterval), c.Order,
		packRequest(*req, c.Provider, c.Order, true), number(stamp(c.FirstSeen)), s.retention)
	if err != nil {
		return answer, err
	}
	err = claimed(&answer, req.Key, reply)
	return answer, err
}

// Resend implements refund.Claims (lua/resend.lua). The proof was judged on rec:
// where anything but follow-ups and publishing has changed it since, or the
// store's epoch has moved on, the answer is NotYours. Errors:
// *refund.Unavailable.
func (s *Store) Resend(ctx context.Context, rec refund.Record, token string, lease time.Duration) (answer refund.Claimed, err error) {
	if token == "" {
		return answer, errors.New("dedupe: resend without a token")
	}
	key, k := rec.Key(), s.keys(rec.Request.Merchant)
	reply, err := s.runAt(ctx, "resend", key.Merchant, rec.Epoch,
		[]string{k.record(key.RefundNo), k.order(rec.Order), k.rate()},
		number(rec.Version), token, millis(lease), number(rec.Request.OrderAmount.Minor), s.retention)
	if _, moved := errors.AsType[*movedError](err); moved {
		now, err := s.Load(ctx, key)
		return refund.Claimed{Answer: refund.NotYours, Record: now}, err
	}
	if err != nil {
		return answer, err
	}
	err = claimed(&answer, key, reply)
	return answer, err
}

// claimed makes of a reply the answer of a claim, into c.
func claimed(c *refund.Claimed, key refund.Key, reply reply) error {
	answer, ok := answers[reply.word]
	if !ok {
		return fmt.Errorf("dedupe: a script answered %q", reply.word)
	}
	c.Answer, c.Wait = answer, time.Duration(reply.number(0))*time.Microsecond
	return reply.record(key, &c.Record)
}

func checkClaim(c refund.Claim) error {
	switch {
	case c.Token == "":
		return errors.New("dedupe: claim without a token")
	case c.Lease < time.Millisecond:
		return fmt.Errorf("dedupe: claim with a lease of %s", c.Lease)
	case c.FollowUp > 0: // what is stored counts: of a refund known from a callback alone the message may tell less
	case c.Order == "":
		return errors.New("dedupe: claim without an order")
	case c.Request.Amount.Minor <= 0 || c.Request.Amount.Minor > refund.MaxMinor || c.Request.OrderAmount.Minor > refund.MaxMinor:
		return fmt.Errorf("dedupe: claim of %d minor units of an order of %d", c.Request.Amount.Minor, c.Request.OrderAmount.Minor)
	}
	if err := checkWord("token", c.Token); err != nil {
		return err
	}
	return checkWord("place", c.Place)
}
