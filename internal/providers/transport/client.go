package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Client posts to one base_url. It is safe for use by several goroutines.
type Client struct {
	base   string
	wire   http.RoundTripper
	pooled *http.Transport // nil where Options.RoundTripper is set
}

// Answer is what a gateway answered, of any HTTP status but the 3xx. Whether
// it means anything is the gateway's package to judge.
type Answer struct {
	Status int
	Body   []byte
}

// Post sends body as application/json to the base_url with path added (it begins
// with a slash), exactly once, and reads the answer. It ends with the context,
// which must have a deadline. Every error is an *Error.
func (c *Client) Post(ctx context.Context, path string, body []byte) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, &Error{Stage: BeforeDial, Err: err}
	}
	answer, failed := c.once(ctx, path, body)
	if failed != nil && failed.stale && ctx.Err() == nil {
		// A kept connection had been closed before our first byte, which is proved:
		// this is still the first time that the body is sent.
		answer, failed = c.once(ctx, path, body)
	}
	if failed != nil {
		return Answer{}, failed
	}
	return answer, nil
}

// headers of every request. A RoundTripper may not write into them, so all share them.
var headers = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"refundworker"}}

func (c *Client) once(ctx context.Context, path string, body []byte) (Answer, *Error) {
	ex := &exchange{}
	req, err := http.NewRequestWithContext(ex.trace(ctx), http.MethodPost, c.base+path, nil)
	if err != nil {
		return Answer{}, &Error{Stage: BeforeDial, Err: errors.New("base_url and path make no address")}
	}
	// Neither GetBody nor Idempotency-Key: with either net/http would send the
	// body again on another connection.
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	req.Header = headers

	// RoundTrip, not Do: a redirect is an answer like any other.
	resp, err := c.wire.RoundTrip(req)
	if err != nil {
		return Answer{}, c.failed(ctx, ex, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return Answer{}, &Error{Sent: true, Stage: Redirected, Err: fmt.Errorf("answered HTTP %d, which is not followed", resp.StatusCode)}
	case resp.StatusCode < 200: // 101: such a body would not end with the context
		return Answer{}, &Error{Sent: true, Stage: Reading, Err: fmt.Errorf("answered HTTP %d, which was not asked for", resp.StatusCode)}
	}
	read, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	switch {
	case err != nil:
		return Answer{}, &Error{Sent: true, Stage: Reading, Err: cause(ctx, err)}
	case len(read) > MaxAnswer:
		return Answer{}, &Error{Sent: true, Stage: Oversize, Err: fmt.Errorf("the answer is longer than %d bytes", MaxAnswer)}
	}
	return Answer{Status: resp.StatusCode, Body: read}, nil
}

// failed classifies an exchange that brought no response. Where nothing was
// written yet it also sees to it that nothing will be.
func (c *Client) failed(ctx context.Context, ex *exchange, err error) *Error {
	sent, stage := !ex.seal(), ex.stage()
	if c.pooled == nil { // no connection to watch
		var dial *net.OpError
		sent, stage = true, Awaiting
		if errors.As(err, &dial) && dial.Op == "dial" {
			sent, stage = false, Connecting
		}
	}
	if sent && stage < Sending {
		stage = Sending
	}
	return &Error{Sent: sent, Stage: stage, Err: cause(ctx, err), stale: !sent && ex.reused.Load()}
}

// cause prefers the context's own error: whether we gave up or ran out of time
// decides whether the gateway is to blame.
func cause(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return err
}
