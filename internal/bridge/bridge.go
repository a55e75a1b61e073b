package bridge

import (
	"context"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/refund"
)

// Gateway verifies and answers the callbacks of one merchant's account.
type Gateway interface {
	// ParseCallback verifies the body and says what it tells. Errors are *refund.CallbackError; any other error counts as
	// not verified.
	ParseCallback(body []byte) (refund.Notice, error)
	// Acknowledge is the answer that ends the gateway's repeats.
	Acknowledge() (contentType string, body []byte)
}

// Account is a merchant as the bridge knows it.
type Account struct {
	Provider string // name of the gateway's package, written to the record of a refund that was never requested here
	Gateway  Gateway
}

// Accounts finds a merchant's account by the name in the URL.
type Accounts interface {
	Account(merchant string) (Account, bool)
}

// FollowUps leaves the query that an open or disputed refund is owed. It returns once the message is durable, so that a
// kill a moment later forgets nothing.
type FollowUps interface {
	FollowUp(ctx context.Context, rec refund.Record, after time.Duration) error
}

// Limits of the bridge: the bridge block of the configuration. All are required.
type Limits struct {
	MaxBody        int64         // bytes of a body
	Timeout        time.Duration // for load, record, publish and follow-up together
	MaxConcurrent  int           // callbacks under way, from the body's last byte to the answer
	MaxPerMerchant int           // verified callbacks of one merchant under way
}

// Bridge is the handler's parts.
type Bridge struct {
	Accounts  Accounts
	Recorder  *refund.Recorder
	FollowUps FollowUps
	Schedule  refund.Schedule
	Limits    Limits
	Log       zerolog.Logger
	// Answered is told each callback with its answer. It may be nil.
	Answered func(Report)
}

// callbacks is the one route.
const callbacks = "/v1/callbacks/{merchant}"

// Handler serves POST /v1/callbacks/{merchant}; everything else is 404, or 405 on that path.
func (b Bridge) Handler() http.Handler {
	h := &handler{
		Bridge:    b,
		all:       newLimiter(b.Limits.MaxConcurrent),
		merchants: newLimiter(b.Limits.MaxPerMerchant),
		refused:   b.Log.Sample(&zerolog.BurstSampler{Burst: refusedLines, Period: time.Second}),
	}
	mux := http.NewServeMux()
	mux.Handle(callbacks, h)
	return mux
}

// refusedLines: of requests that prove nothing about their sender at most so many lines a second are written; all are
// counted. Otherwise anybody could fill the disk.
const refusedLines = 20
