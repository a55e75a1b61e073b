package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/internal/config"
)

func newCallback(r *run) *cobra.Command {
	return group("callback", "Verify, trigger and replay gateways' callbacks",
		`Callbacks are the notifications that gateways send to notify-bridge. A FILE holds
one or more of them, in one of three forms, told apart by their content:

  a body as it was received (one JSON object)
  HTTP requests, each after a line that begins with ###, or one alone
    POST https://us.example/v1/callbacks/S0003469
    content-type: application/json

    {"refund_no": ...}
  JSON lines {"merchant": "S0003469", "body": "{\"refund_no\": ...}"}

"-" is the standard input.`,
		`  refundctl callback verify callback.json --merchant S0003469
  refundctl callback trigger eftpay.success --refund R1 --merchant S0003469`,
		newCallbackVerify(r), newCallbackTrigger(r), newCallbackReplay(r))
}

// recorded is one callback of a file.
type recorded struct {
	Merchant string `json:"merchant,omitempty"`
	Body     string `json:"body"`
}

// readFile reads a file, or the standard input for "-".
func (r *run) readFile(name string) ([]byte, error) {
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(r.In)
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, usage("%w", err)
	}
	return text, nil
}

// readCallbacks reads a file of callbacks in any of its forms. merchant, where
// given, counts before what the file names.
func (r *run) readCallbacks(name, merchant string) ([]recorded, error) {
	text, err := r.readFile(name)
	if err != nil {
		return nil, err
	}
	all, err := parseCallbacks(text)
	if err != nil {
		return nil, usage("%s: %w", name, err)
	}
	for i := range all {
		if merchant != "" {
			all[i].Merchant = merchant
		}
		if all[i].Merchant == "" {
			return nil, usage("%s does not name the merchant: give --merchant", name)
		}
	}
	return all, nil
}

func parseCallbacks(text []byte) ([]recorded, error) {
	trimmed := bytes.TrimSpace(text)
	switch {
	case len(trimmed) == 0:
		return nil, errors.New("is empty")
	case bytes.HasPrefix(trimmed, []byte("POST ")), bytes.HasPrefix(trimmed, []byte("#")):
		return parseRequests(string(text))
	}
	var all []recorded
	d := json.NewDecoder(bytes.NewReader(trimmed))
	d.DisallowUnknownFields()
	for d.More() {
		var one recorded
		if d.Decode(&one) != nil || one.Body == "" {
			return []recorded{{Body: string(trimmed)}}, nil // no line of ours: the body itself
		}
		all = append(all, one)
	}
	return all, nil
}

// parseRequests reads HTTP requests, each behind a line that begins with ###.
func parseRequests(text string) (all []recorded, err error) {
	var one []string
	end := func() {
		if r, ok, wrong := parseRequest(one); wrong != nil {
			err = errors.Join(err, wrong)
		} else if ok {
			all = append(all, r)
		}
		one = nil
	}
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if strings.HasPrefix(line, "###") {
			end()
			continue
		}
		one = append(one, line)
	}
	end()
	if err == nil && len(all) == 0 {
		err = errors.New("holds no POST request")
	}
	return all, err
}

func parseRequest(lines []string) (recorded, bool, error) {
	for len(lines) > 0 && (strings.TrimSpace(lines[0]) == "" || strings.HasPrefix(lines[0], "#")) {
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return recorded{}, false, nil
	}
	words := strings.Fields(lines[0])
	if len(words) < 2 || words[0] != "POST" {
		return recorded{}, false, fmt.Errorf("%q is not of the form POST URL", lines[0])
	}
	target, err := url.Parse(words[1])
	if err != nil {
		return recorded{}, false, err
	}
	var out recorded
	if dir, last := path.Split(target.Path); path.Base(dir) == "callbacks" {
		out.Merchant = last
	}
	for i, line := range lines {
		if line == "" {
			out.Body = strings.TrimSpace(strings.Join(lines[i:], "\n"))
			break
		}
	}
	if out.Body == "" {
		return recorded{}, false, fmt.Errorf("%s has no body behind a blank line", lines[0])
	}
	return out, true, nil
}

// merchant finds a merchant's settings.
func merchantOf(cfg *config.Config, name string) (config.Merchant, error) {
	for _, m := range cfg.Merchants {
		if m.Name == name {
			return m, nil
		}
	}
	return config.Merchant{}, usage("merchant %q is not in the configuration", name)
}

// callbackURL is where a merchant's callbacks are sent: to, or the bridge of the
// configuration on this host.
func callbackURL(cfg *config.Config, merchant, to string) (string, error) {
	if to == "" {
		_, port, err := net.SplitHostPort(cfg.Bridge.Listen)
		if err != nil {
			return "", usage("bridge.listen %q: %w", cfg.Bridge.Listen, err)
		}
		to = "http://127.0.0.1:" + port
	}
	u, err := url.Parse(to)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usage("--to %q: want an address such as http://127.0.0.1:8080", to)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/callbacks/" + merchant
	}
	return u.String(), nil
}

func isLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// sent is one callback that was sent, and what came back.
type sent struct {
	Merchant   string `json:"merchant"`
	RefundNo   string `json:"refund_no,omitempty"`
	Event      string `json:"event,omitempty"`
	URL        string `json:"url"`
	HTTPStatus int    `json:"http_status,omitempty"`
	Words      string `json:"words"`
	Reply      string `json:"reply,omitempty"`
	TookMS     int64  `json:"took_ms"`
}

func (s sent) acknowledged() bool { return s.HTTPStatus == http.StatusOK }

// post sends one callback as a gateway does, without following redirects.
func (r *run) post(ctx context.Context, target string, body []byte) sent {
	client := &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s := sent{URL: target}
	began := r.Now()
	defer func() { s.TookMS = r.Now().Sub(began).Milliseconds() }()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		s.Words = err.Error()
		return s
	}
	request.Header.Set("Content-Type", "application/json;charset=UTF-8")
	answer, err := client.Do(request)
	if err != nil {
		s.Words = "no answer: " + err.Error()
		return s
	}
	defer answer.Body.Close()
	reply, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	s.HTTPStatus, s.Reply, s.Words = answer.StatusCode, strings.TrimSpace(string(reply)), answerWords(answer.StatusCode)
	return s
}

// answerWords says what an answer of the bridge means (DESIGN.md, section 3).
func answerWords(code int) string {
	words := map[int]string{
		200: "acknowledged: the event is durable",
		400: "verified, but not about a refund",
		401: "not verified: nothing was stored (callback verify says why)",
		404: "the bridge does not know this merchant",
		405: "the bridge takes POST only",
		413: "the body is larger than bridge.max_body",
		429: "over the bridge's caps: the gateway would come again",
		503: "the bridge cannot reach Redis or Kafka, or the merchant is being rebuilt: the gateway would come again",
	}[code]
	if words == "" {
		words = "not an answer of the bridge"
	}
	return words
}
