package bridge

import (
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/refund"
)

// Outcome is what became of one request: a closed set, for counters and log lines. A callback that is not verified, or
// not about a refund, has its refund.CallbackReason as outcome.
type Outcome string

const (
	Changed     Outcome = "changed"      // 200: the record has a new event
	Repeated    Outcome = "repeated"     // 200: nothing new; the stored event was published again
	Mismatched  Outcome = "mismatched"   // 200: other amount, order or currency; no status changed
	Unavailable Outcome = "unavailable"  // 503: store or topic not to be reached, or the record being rebuilt
	NoMerchant  Outcome = "no_merchant"  // 404
	WrongMethod Outcome = "wrong_method" // 405
	Unread      Outcome = "unread"       // 408: the body did not arrive in time or whole
	TooLarge    Outcome = "too_large"    // 413
	TooMany     Outcome = "too_many"     // 429
	Panicked    Outcome = "panicked"     // 500: a defect; the gateway repeats
)

// Report is one request with its answer.
type Report struct {
	Merchant string // empty unless it is in the configuration: anybody may write anything into a URL
	Provider string
	RefundNo string // empty unless verified
	Code     int    // HTTP status
	Outcome  Outcome
	Owed     bool // a follow-up query was left
	Took     time.Duration
	Err      error // why it was Unavailable
}

// verified: the sender has proved to be the gateway.
func (r Report) verified() bool { return r.RefundNo != "" }

// write puts the report into one line. The body is never in it, nor anything that was not verified.
func (r Report) write(log zerolog.Logger) {
	level := zerolog.InfoLevel
	switch {
	case r.Code == http.StatusInternalServerError:
		level = zerolog.ErrorLevel
	case r.Code != http.StatusOK || r.Outcome == Mismatched:
		level = zerolog.WarnLevel
	}
	line := log.WithLevel(level).Str("refund_no", r.RefundNo).Str("merchant", r.Merchant).Str("provider", r.Provider).
		Str("outcome", string(r.Outcome)).Int("answer", r.Code).Bool("owed", r.Owed).Dur("took", r.Took)
	if r.Err != nil {
		line = line.Err(r.Err)
	}
	line.Msg("callback")
}

// answer is what is written back.
type answer struct {
	code        int
	contentType string
	body        []byte
}

// plain is an answer of one line that says nothing of what was received.
func plain(code int) answer {
	return answer{code: code, contentType: "text/plain; charset=utf-8", body: []byte(http.StatusText(code) + "\n")}
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch a.code {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body) // a gateway that has gone repeats
}

// changed says whether Note wrote an event that was not there before.
func changed(before refund.Record, noted refund.Noted) bool {
	return noted.Record.Last.Sequence > before.Last.Sequence
}
