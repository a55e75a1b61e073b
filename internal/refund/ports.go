package refund

import (
	"context"
	"fmt"
	"time"
)

// Claims is how a worker gets the right to work on a refund. Every method is one
// atomic step of the store, and safe to repeat with the same token: a lost reply
// is harmless.
type Claims interface {
	// Claim dedupes, then looks at the merchant's rate, then reserves the amount
	// at its order, in one step.
	Claim(context.Context, Claim) (Claimed, error)
	// Resend begins another attempt after a query proved that the gateway has no
	// such refund. It is refused (NotYours) unless token is still the latest and
	// its lease still runs, and (OverTotal) where the order has no room.
	Resend(ctx context.Context, rec Record, token string, lease time.Duration) (Claimed, error)
}

// Records is how news reach the store.
type Records interface {
	// Load answers the record, or for an unknown refund one with Version 0.
	Load(context.Context, Key) (Record, error)
	// Record stores next where the stored version still is next.Version, moves
	// the reservation to next.Holding, and answers what is stored now with its new
	// version, and true. Where the version has moved on it stores nothing and
	// answers what is there, and false. endLease, where it is the record's latest
	// token, ends that lease: its holder's call has returned.
	Record(ctx context.Context, next Record, endLease string) (Record, bool, error)
	// Published notes that the event of this sequence is on the status topic, and
	// answers the record as it is now.
	Published(ctx context.Context, key Key, sequence int64) (Record, error)
}

// Unavailable is the error of a store that cannot answer now: not reachable,
// read-only, loading, or being rebuilt. Nothing is assumed meanwhile; the same
// step is tried again.
type Unavailable struct {
	Why    string // in words, for /readyz and the log
	Err    error  // may be nil
	Closed bool   // the merchant is closed until it is rebuilt; the store itself answers
}

func (u *Unavailable) Error() string {
	if u.Err == nil {
		return "store unavailable: " + u.Why
	}
	return fmt.Sprintf("store unavailable: %s: %v", u.Why, u.Err)
}

func (u *Unavailable) Unwrap() error { return u.Err }

// Claim asks for a refund.
type Claim struct {
	Request   Request
	Provider  string
	Order     string        // Gateway.Order of the request
	Token     string        // random per claim; only a repeat of the same claim has the same
	Lease     time.Duration // begins, for the caller, before the claim is sent
	FollowUp  int           // number of the follow-up that is being handled; 0: a request
	Place     string        // where this message lies
	FirstSeen time.Time
	Limits    Limits
}

// Limits of a merchant that the store keeps over all workers.
type Limits struct {
	Rate               int           // calls a second, queries too; burst: one second's worth
	MaxRefundsPerOrder int           // reserved and succeeded together
	OrderInterval      time.Duration // between two refunds of one order
}

// ClaimAnswer is what a claim met.
type ClaimAnswer int

const (
	// Yours: not called before, or surely not sent: the record is PENDING now, its
	// attempt one more, its amount reserved, the lease ours.
	Yours ClaimAnswer = iota + 1
	// InDoubt: open (or Doubt is set) and no lease runs: money may have moved. The
	// lease is ours, for a query.
	InDoubt
	// Running: open, and somebody's lease runs or the gateway has it: nothing to
	// do now but to see that it is followed up.
	Running
	// NotNow: the merchant's rate, or its order's interval: come back in Wait. The
	// place in the merchant's queue is kept under the refund's number.
	NotNow
	// Finished: the refund is final; Record is what is stored.
	Finished
	// ChainEnded: this follow-up is not the one that goes on.
	ChainEnded
	// Unmatched: known from a callback alone; it must be adopted first.
	Unmatched
	// Conflict: the refund number was used with other content.
	Conflict
	// OrderConflict: the order is pinned to another total or currency.
	OrderConflict
	// OverTotal: reserved, succeeded and this amount exceed the order's total.
	OverTotal
	// TooMany: the order has its most refunds.
	TooMany
	// NotYours: the token is not the latest, or its lease has ended (Resend).
	NotYours
	// Missing: a follow-up of a refund that the store does not have.
	Missing
)

// Claimed is the answer of a claim. Record is what is stored after it; with
// Version 0 where nothing is stored.
type Claimed struct {
	Answer ClaimAnswer
	Record Record
	Wait   time.Duration // NotNow
}

// Gateway is one merchant's account at a payment gateway. It classifies and
// decides nothing.
type Gateway interface {
	// Order is what the refund's total belongs to, within the merchant.
	Order(Request) string
	// Check holds a request against the merchant's configuration and the gateway's
	// field limits; nil: may be sent.
	Check(Request) *Rejection
	// Sign builds and signs the refund call, with a fresh time. Nothing is signed
	// after it, so a call that leaves late is refused by the gateway as stale. An
	// error means that our settings are wrong.
	Sign(Request) (Call, error)
	// Query asks for the refund. It answers NotFound only on proof.
	Query(context.Context, Record) Outcome
}

// Call sends exactly the bytes that were signed, once.
type Call func(context.Context) Outcome

// Rejection says why a request is refused here, before any call.
type Rejection struct {
	Code    string // CodeFieldLimit, CodeUnsupported, ...
	Message string // names the field
}

// CallKind tells refund calls from queries; a half-open breaker is probed by
// queries first.
type CallKind int

const (
	RefundCall CallKind = iota + 1
	QueryCall
)

// Slots says when a merchant's gateway may be called: concurrency, breaker, error
// rate, holds.
type Slots interface {
	// Acquire waits for room, at most the merchant's max_wait. With a nil Wait the
	// slot is taken and must be given back by exactly one Done, with the zero
	// Outcome where no call was made.
	Acquire(context.Context, CallKind) (Slot, *Wait)
}

// Slot is room for one call.
type Slot interface{ Done(Outcome) }

// Wait says why a merchant cannot be called now, and when to come back.
type Wait struct {
	After   time.Duration
	Code    string // CodeGatewayDown, CodeRateLimited, CodeOnHold, CodeMisconfigured
	Message string
}

// Publisher writes a record's newest event to the status topic and returns once
// every in-sync replica has it. After its context has ended it may still have
// been written.
type Publisher interface {
	Publish(context.Context, Record) error
}

// Account is a merchant as the handler knows it.
type Account struct {
	Merchant    string
	Provider    string
	Gateway     Gateway
	Slots       Slots
	Timeout     time.Duration // of one call; a call lands within it plus ResendAfter, or never
	MaxWait     time.Duration // a shorter wait than this is waited for in place
	ResendAfter time.Duration
	Limits      Limits
}

// Accounts finds a merchant's account.
type Accounts interface {
	Account(merchant string) (*Account, bool)
}
