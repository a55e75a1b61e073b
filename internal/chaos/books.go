//go:build unix

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/gatewaysim"
)

// Books are what the simulated gateways know, over their control page.
type Books struct{ control string }

// Ledger answers every movement of money so far.
func (b Books) Ledger(ctx context.Context) ([]gatewaysim.Entry, error) {
	return lines[gatewaysim.Entry](ctx, b.control+"/ledger")
}

// Payments are the ledger as the auditor reads it.
func (b Books) Payments(ctx context.Context) ([]audit.Payment, error) {
	entries, err := b.Ledger(ctx)
	payments := make([]audit.Payment, len(entries))
	for i, e := range entries {
		payments[i] = audit.Payment{Merchant: e.Merchant, RefundNo: e.RefundNo, Order: e.Order, Minor: e.Amount}
	}
	return payments, err
}

// Callbacks answers each try of a callback.
func (b Books) Callbacks(ctx context.Context) ([]gatewaysim.Delivery, error) {
	return lines[gatewaysim.Delivery](ctx, b.control+"/callbacks")
}

// Refusals are the calls that did not follow the vendors' pages.
func (b Books) Refusals(ctx context.Context) ([]gatewaysim.Refusal, error) {
	return lines[gatewaysim.Refusal](ctx, b.control+"/refusals")
}

func lines[T any](ctx context.Context, url string) ([]T, error) {
	body, err := exchange(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	var all []T
	for decoder := json.NewDecoder(bytes.NewReader(body)); ; {
		var one T
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", url, err)
		}
		all = append(all, one)
	}
}

// Command has the control page carry out a command, written as its JSON.
func (b Books) Command(ctx context.Context, command map[string]any) error {
	text, err := json.Marshal(command)
	if err == nil {
		_, err = exchange(ctx, http.MethodPost, b.control+"/control", text)
	}
	return err
}

func exchange(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, url, answer.Status, text)
	}
	return text, err
}
