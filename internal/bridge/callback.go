package bridge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/refund"
)

// handler is a Bridge at work.
type handler struct {
	Bridge
	all       *limiter // under one name
	merchants *limiter
	refused   zerolog.Logger
}

// ServeHTTP takes one callback to its answer, reports it once, and survives a panic of a gateway's parser.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	var report Report
	a := plain(http.StatusInternalServerError)
	report.Outcome = Panicked
	defer func() {
		if recover() != nil { // its value may repeat the body
			a = plain(http.StatusInternalServerError)
			report.Outcome = Panicked
		}
		report.Code, report.Took = a.code, time.Since(began)
		log := h.Log
		if !report.verified() && report.Outcome != Panicked { // an error is never left out
			log = h.refused
		}
		report.write(log)
		if h.Answered != nil {
			h.Answered(report)
		}
		a.write(w)
	}()
	a = h.take(w, r, &report)
}

// take asks of a request what costs least first. The body is read before a place is taken, so that slow senders, whom
// the server's deadlines end, hold none; a merchant's places are for verified callbacks alone, so that forgers cannot
// shut its gateway out.
func (h *handler) take(w http.ResponseWriter, r *http.Request, report *Report) answer {
	if r.Method != http.MethodPost {
		report.Outcome = WrongMethod
		return plain(http.StatusMethodNotAllowed)
	}
	merchant := r.PathValue("merchant")
	account, ok := h.Accounts.Account(merchant)
	if !ok {
		report.Outcome = NoMerchant
		return plain(http.StatusNotFound)
	}
	report.Merchant, report.Provider = merchant, account.Provider

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.Limits.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		report.Outcome = TooLarge
		return plain(http.StatusRequestEntityTooLarge)
	case err != nil:
		report.Outcome = Unread
		return plain(http.StatusRequestTimeout)
	}
	if !h.all.enter("") {
		report.Outcome = TooMany
		return plain(http.StatusTooManyRequests)
	}
	defer h.all.leave("")

	notice, err := account.Gateway.ParseCallback(body)
	if err == nil && notice.Request.Merchant != merchant {
		err = &refund.CallbackError{Reason: refund.CallbackForeign}
	}
	if err != nil {
		return refuse(err, report)
	}
	report.RefundNo = notice.Request.RefundNo
	if !h.merchants.enter(merchant) {
		report.Outcome = TooMany
		return plain(http.StatusTooManyRequests)
	}
	defer h.merchants.leave(merchant)
	return h.note(r.Context(), account, notice, report)
}

// refuse answers what does not count. Only the reason is kept of the error.
func refuse(err error, report *Report) answer {
	var refused *refund.CallbackError
	if !errors.As(err, &refused) {
		refused = &refund.CallbackError{Reason: refund.CallbackMalformed}
	}
	report.Outcome = Outcome(refused.Reason)
	if refused.Verified {
		return plain(http.StatusBadRequest)
	}
	return plain(http.StatusUnauthorized)
}

// note takes verified news through the recorder and acknowledges. A gateway that hangs up does not end it: the news are
// here, and some gateways tell them once.
//
// A crash before the event is published, or before the follow-up is left, is safe: nothing was acknowledged, the gateway
// repeats, and the repeat publishes the stored event and owes the same follow-up. Should it not repeat, the follow-ups
// of the refund's own request find the stored record.
func (h *handler) note(ctx context.Context, account Account, notice refund.Notice, report *Report) answer {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.Limits.Timeout)
	defer cancel()

	var rec refund.Record
	err := h.persist(ctx, "load", func() (err error) {
		rec, err = h.Recorder.Records.Load(ctx, notice.Request.Key)
		return err
	})
	if err != nil {
		return unavailable(err, report)
	}
	if !rec.Known() {
		rec.Provider = account.Provider
	}
	news := refund.NewsOf(rec, notice)
	noted, err := h.Recorder.Note(ctx, rec, news, nil)
	if err != nil {
		return unavailable(err, report)
	}
	if noted.Ask {
		after := h.Schedule.After(noted.Record.FollowUp + 1)
		err := h.persist(ctx, "follow-up", func() error { return h.FollowUps.FollowUp(ctx, noted.Record, after) })
		if err != nil {
			return unavailable(err, report)
		}
		report.Owed = true
	}
	switch {
	case news.Outcome.Class == refund.Mismatch:
		report.Outcome = Mismatched
	case changed(rec, noted):
		report.Outcome = Changed
	default:
		report.Outcome = Repeated
	}
	contentType, body := account.Gateway.Acknowledge()
	return answer{code: http.StatusOK, contentType: contentType, body: body}
}

func unavailable(err error, report *Report) answer {
	report.Outcome, report.Err = Unavailable, err
	return plain(http.StatusServiceUnavailable)
}

// persist tries a step until it succeeds or ctx ends, as every step of the recorder is tried.
func (h *handler) persist(ctx context.Context, name string, step func() error) error {
	const first, longest = 50 * time.Millisecond, time.Second
	for wait := first; ; wait = min(2*wait, longest) {
		err := step()
		if err == nil {
			return nil
		}
		if h.Recorder.Trouble != nil {
			h.Recorder.Trouble(name, err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
