package statuslog

import (
	"context"
	"errors"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Index is the store as its keeper sees it: package dedupe says what each method guarantees. Its errors tell of a loss by
// Lost.
type Index interface {
	Epochs
	Locks
	Notes
}

// Epochs begin and end: a merchant without one, or with one of another server, is closed.
type Epochs interface {
	Epoch(ctx context.Context, merchant string) (int64, error)
	// Restore brings refunds of a merchant back, only forward, while the token holds the lock, and answers those that are
	// not final.
	Restore(ctx context.Context, merchant, token string, recs []refund.Record) (open []refund.Record, err error)
	// Finish opens the merchant under this epoch, where the token still holds the lock, and gives it back.
	Finish(ctx context.Context, merchant, token string, epoch int64) (int64, error)
}

// Locks are the right to rebuild a merchant. They are void once the server has changed.
type Locks interface {
	Lock(ctx context.Context, merchant string, ttl time.Duration) (token string, err error)
	Refresh(ctx context.Context, merchant, token string, ttl time.Duration) error
	Unlock(ctx context.Context, merchant, token string) error
}

// Notes say how far the status topic is surely reflected. Note fails where the merchant is closed.
type Notes interface {
	Note(ctx context.Context, merchant, offsets string) error
	Noted(ctx context.Context, merchant string) (string, error)
}

// FollowUps leaves the query that a refund which is not final is owed; it returns once the message is durable.
type FollowUps interface {
	FollowUp(ctx context.Context, rec refund.Record, after time.Duration) error
}

// Lost is the error of an Index that has lost a merchant, or something of it: package dedupe's EpochMissingError and
// ServerChangedError.
type Lost interface {
	error
	// Kept is the epoch that the sentinel still has; false: there is no sentinel.
	Kept() (epoch int64, ok bool)
}

// LossOf reads an error of an Index. One that is not Lost, and nil, are Nothing.
func LossOf(err error) Loss {
	lost, ok := errors.AsType[Lost](err)
	if !ok {
		return Loss{}
	}
	if epoch, kept := lost.Kept(); kept {
		return Loss{Kind: Suffix, Epoch: epoch}
	}
	return Loss{Kind: Everything}
}

// Loss is what an error of the store says about a merchant.
type Loss struct {
	Kind LossKind
	// Epoch that the sentinel still has (Suffix).
	Epoch int64
}

// LossKind is one of three.
type LossKind int

const (
	// Nothing is lost as far as is known: the store cannot be reached, or another process rebuilds.
	Nothing LossKind = iota
	// Everything: there is no sentinel. The merchant is new, or the store was wiped.
	Everything
	// Suffix: the sentinel is another server's, which may have lost its last writes.
	Suffix
)
