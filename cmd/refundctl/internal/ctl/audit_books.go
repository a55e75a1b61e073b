package ctl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/refund"
)

// payments feeds the books, line by line: they may be larger than memory.
func (a *auditRead) payments(ctx context.Context) error {
	for _, books := range []struct {
		names []string
		take  func(io.Reader) error
	}{{a.ledgers, a.ledger}, {a.settlements, a.settlement}} {
		for _, name := range books.names {
			text, err := a.open(ctx, name)
			if err != nil {
				return err
			}
			err = books.take(text)
			text.Close()
			if err != nil && ctx.Err() == nil {
				err = usage("%s: %w", name, err)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// open reads a file, or an address, which must not be silent for longer than the
// timeout.
func (a *auditRead) open(ctx context.Context, name string) (io.ReadCloser, error) {
	switch {
	case name == "-":
		return io.NopCloser(a.run.In), nil
	case !strings.HasPrefix(name, "http://") && !strings.HasPrefix(name, "https://"):
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("%w", err)
		}
		return f, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	silent := time.AfterFunc(a.run.timeout, func() { cancel(fmt.Errorf("nothing came for %s", a.run.timeout)) })
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, name, nil)
	if err != nil {
		return nil, usage("%w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		silent.Stop()
		return nil, usage("%w", errors.Join(err, context.Cause(ctx)))
	}
	body := &talking{ReadCloser: answer.Body, ctx: ctx, silent: silent, most: a.run.timeout}
	if answer.StatusCode != http.StatusOK {
		body.Close()
		return nil, usage("%s answers %s", name, answer.Status)
	}
	return body, nil
}

// talking is a body that is given up when nothing comes of it for too long.
type talking struct {
	io.ReadCloser
	ctx    context.Context
	silent *time.Timer
	most   time.Duration
}

func (t *talking) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.silent.Reset(t.most)
	if cause := context.Cause(t.ctx); cause != nil {
		err = cause
	}
	return n, err
}

func (t *talking) Close() error {
	t.silent.Stop()
	return t.ReadCloser.Close()
}

// ledger takes JSON lines {provider, merchant, order, refund_no, amount}: amounts in
// minor units, merchants by our name or by the gateway's.
func (a *auditRead) ledger(text io.Reader) error {
	names := a.system.namesAtGateways()
	number := 0
	s := bufio.NewScanner(text)
	for s.Scan() {
		number++
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		var line struct {
			Provider string `json:"provider"`
			Merchant string `json:"merchant"`
			Order    string `json:"order"`
			RefundNo string `json:"refund_no"`
			Amount   int64  `json:"amount"`
			Foreign  bool   `json:"foreign"`
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		merchant := line.Merchant
		if name, ok := names[line.Provider+"/"+line.Merchant]; ok {
			merchant = name
		}
		if line.RefundNo == "" || line.Amount == 0 {
			return fmt.Errorf("line %d: refund_no or amount is missing", number)
		}
		if err := a.payment(audit.Payment{Merchant: merchant, RefundNo: line.RefundNo, Order: line.Order, Minor: line.Amount, Foreign: line.Foreign}); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	if s.Err() != nil { // the rest was not read
		return fmt.Errorf("line %d: %w", number+1, s.Err())
	}
	return nil
}

// namesAtGateways are our merchants by provider and the gateway's own name.
func (s *system) namesAtGateways() map[string]string {
	names := map[string]string{}
	for name, account := range s.Accounts {
		if g, ok := account.Callbacks.(interface{ Identity() string }); ok {
			names[account.Provider+"/"+g.Identity()] = name
		}
	}
	return names
}

func (a *auditRead) payment(p audit.Payment) error {
	if _, ok := a.system.Accounts[p.Merchant]; !ok {
		return fmt.Errorf("merchant %q is not in the configuration", p.Merchant)
	}
	if a.judged(p.Merchant) && (a.only == nil || a.only(p.RefundNo)) {
		a.checker.Payment(p)
	}
	return nil
}

// settlement takes CSV with a header; columns say what the file calls ours.
func (a *auditRead) settlement(text io.Reader) error {
	whole := bufio.NewReader(text)
	if mark, err := whole.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = whole.Discard(len(mark))
	}
	c := csv.NewReader(whole)
	c.ReuseRecord = true
	header, err := c.Read()
	if err != nil {
		return fmt.Errorf("the header: %w", err)
	}
	header = slices.Clone(header)
	at := map[string]int{}
	for _, ours := range []string{"merchant", "refund_no", "order", "amount"} {
		theirs := ours
		if a.columns[ours] != "" {
			theirs = a.columns[ours]
		}
		at[ours] = slices.IndexFunc(header, func(name string) bool { return strings.TrimSpace(name) == theirs })
		optional := ours == "order" || ours == "merchant" && a.merchant != ""
		if at[ours] < 0 && (!optional || a.columns[ours] != "") {
			return fmt.Errorf("there is no column %q; there are: %s (--column %s=NAME)", theirs, strings.Join(header, ", "), ours)
		}
	}
	for {
		cells, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		line, _ := c.FieldPos(0)
		p, err := a.settled(cells, at)
		if err == nil {
			err = a.payment(p)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func (a *auditRead) settled(cells []string, at map[string]int) (audit.Payment, error) {
	cell := func(name string) string {
		if at[name] < 0 {
			return ""
		}
		return strings.TrimSpace(cells[at[name]])
	}
	p := audit.Payment{Merchant: cell("merchant"), RefundNo: cell("refund_no"), Order: cell("order")}
	if p.Merchant == "" {
		p.Merchant = a.merchant
	}
	if p.RefundNo == "" {
		return p, errors.New("the refund's number is missing")
	}
	m, err := merchantOf(a.system.Config, p.Merchant)
	if err != nil {
		return p, err
	}
	digits, minus := strings.CutPrefix(cell("amount"), "-")
	money, err := refund.ParseMoney(digits, m.Currency)
	if err != nil {
		return p, err
	}
	if p.Minor = money.Minor; minus != a.negative {
		p.Minor = -p.Minor // taken back
	}
	return p, nil
}
