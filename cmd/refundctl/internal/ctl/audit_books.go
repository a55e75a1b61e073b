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
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/refund"
)

// payments feeds the books.
func (a *auditRead) payments(ctx context.Context) error {
	for _, name := range a.ledgers {
		text, err := a.fetch(ctx, name)
		if err != nil {
			return err
		}
		if err := a.ledger(text); err != nil {
			return usage("%s: %w", name, err)
		}
	}
	for _, name := range a.settlements {
		text, err := a.run.readFile(name)
		if err != nil {
			return err
		}
		if err := a.settlement(text); err != nil {
			return usage("%s: %w", name, err)
		}
	}
	return nil
}

// fetch reads a file or an address.
func (a *auditRead) fetch(ctx context.Context, name string) ([]byte, error) {
	if !strings.HasPrefix(name, "http://") && !strings.HasPrefix(name, "https://") {
		return a.run.readFile(name)
	}
	ctx, cancel := context.WithTimeout(ctx, a.run.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, name, nil)
	if err != nil {
		return nil, usage("%w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, usage("%w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, usage("%s answers %s", name, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// ledger takes JSON lines {provider, merchant, order, refund_no, amount}: amounts in
// minor units, merchants by our name or by the gateway's.
func (a *auditRead) ledger(text []byte) error {
	names := a.system.namesAtGateways()
	number := 0
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
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
func (a *auditRead) settlement(text []byte) error {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	c := csv.NewReader(bytes.NewReader(text))
	header, err := c.Read()
	if err != nil {
		return fmt.Errorf("the header: %w", err)
	}
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
