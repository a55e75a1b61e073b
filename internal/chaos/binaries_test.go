//go:build unix

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// sample is a refund for the binaries, and what must come of it.
type sample struct {
	title  string
	times  int               // published so often; once unless set
	fields map[string]string // over those of the flow
	flow   map[string]string
	script map[string]any // what the gateway does
	ends   refund.Status
	says   string // the event's provider_status or error code
}

var (
	direct = map[string]string{"merchant": eftPayMerchant, "currency": "HKD", "method": "WeChat", "wallet": "WECHATCN",
		"amount": "0.01", "order_amount": "10.01", "terminal": "tid_3378", "reason": "test测试退款"}
	apply = map[string]string{"merchant": eftPayMerchant, "currency": "HKD", "method": "WeChat", "wallet": "WECHATCN",
		"amount": "0.29", "order_amount": "0.29", "flow": "apply"}
	bluePay = map[string]string{"merchant": bluePayMerchant, "currency": "THB", "amount": "100.00", "order_amount": "100.00", "reason": "testRefund"}
)

// The flows of the vendors' pages, and what goes wrong most often.
var samples = []sample{
	{title: "a WeChat refund", flow: direct, fields: map[string]string{"refund_no": "201901010011", "order_no": "rrn_1686280006045"}, ends: refund.StatusSucceeded, says: "TRADE_REFUND"},
	{title: "an Alipay refund", flow: direct, fields: map[string]string{"refund_no": "201901010012", "order_no": "rrn_1686280006046", "method": "Alipay", "wallet": "ALIPAYCN"}, ends: refund.StatusSucceeded, says: "TRADE_REFUND"},
	{title: "an application, ended by its callback", flow: apply, fields: map[string]string{"refund_no": "R_rrn_1686280005985", "order_no": "rrn_1686280005985"}, ends: refund.StatusSucceeded, says: "TRADE_CLOSED"},
	{title: "a BluePay refund, ended by its callback", flow: bluePay, fields: map[string]string{"refund_no": "refund488455057142", "transaction_id": "CU518563189147832780"}, ends: refund.StatusSucceeded, says: "COMPLETE"},
	{title: "a full refund", flow: direct, fields: map[string]string{"refund_no": "10000000001", "order_no": "20190823191819", "amount": "10.01"}, ends: refund.StatusSucceeded, says: "TRADE_CLOSED"},
	{title: "a declined one", flow: direct, fields: map[string]string{"refund_no": "201901010013", "order_no": "rrn_1686280006047"},
		script: map[string]any{"calls": []any{map[string]any{"result": "decline"}}}, ends: refund.StatusFailed, says: "TRADE_FAIL"},
	{title: "paid, and never answered", flow: direct, fields: map[string]string{"refund_no": "201901010014", "order_no": "rrn_1686280006048"},
		script: map[string]any{"calls": []any{map[string]any{"result": "succeed", "answer": "hang"}}}, ends: refund.StatusSucceeded, says: "TRADE_REFUND"},
	{title: "lost on the way: sent again after the proof", flow: direct, fields: map[string]string{"refund_no": "201901010019", "order_no": "rrn_1686280006051"},
		script: map[string]any{"calls": []any{map[string]any{"result": "nothing", "answer": "hang"}}}, ends: refund.StatusSucceeded, says: "TRADE_REFUND"},
	{title: "the same three times", times: 3, flow: direct, fields: map[string]string{"refund_no": "201901010015", "order_no": "rrn_1686280006049"}, ends: refund.StatusSucceeded, says: "TRADE_REFUND"},
	{title: "the first of two that exceed their order", flow: direct, fields: map[string]string{"refund_no": "201901010016", "order_no": "rrn_1686280006050", "amount": "6.00", "order_amount": "10.00"}, ends: refund.StatusSucceeded, says: "TRADE_REFUND"},
	{title: "the second", flow: direct, fields: map[string]string{"refund_no": "201901010017", "order_no": "rrn_1686280006050", "amount": "6.00", "order_amount": "10.00"}, ends: refund.StatusRejected, says: refund.CodeOverOrderTotal},
	{title: "a wallet that the vendor does not have", flow: direct, fields: map[string]string{"refund_no": "201901010020", "order_no": "rrn_1686280006052", "wallet": "NOWALLET"}, ends: refund.StatusRejected},
}

func (s sample) message(t *testing.T) (key string, body []byte) {
	t.Helper()
	fields := map[string]string{}
	for _, from := range []map[string]string{s.flow, s.fields} {
		for name, value := range from {
			fields[name] = value
		}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return fields["order_no"] + fields["transaction_id"], body
}

func (s sample) key() refund.Key {
	return refund.Key{Merchant: s.flow["merchant"], RefundNo: s.fields["refund_no"]}
}

// The built binaries on a real Kafka and a real Redis: every sample ends as it
// must, what is unreadable is a dead letter with its bytes, a forged callback is
// refused, SIGTERM ends everybody with 0, and the auditor finds nothing.
func TestBinaries(t *testing.T) {
	if os.Getenv("REAL_PARTS") == "" {
		t.Skip("REAL_PARTS is not set: make test-real sets it, and starts real parts")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	system, err := Start(ctx, t.TempDir(), SystemOptions{KafkaVersion: os.Getenv("KAFKA")})
	if err != nil {
		t.Fatal(err)
	}
	defer system.Stop()
	client, err := app.NewClient(system.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	unreadable := `{"refund_no": "201901010018", "merchant": `
	for _, s := range samples {
		if s.script != nil {
			if err := system.Books.Command(ctx, map[string]any{"scripts": map[string]any{s.fields["refund_no"]: s.script}}); err != nil {
				t.Fatal(err)
			}
		}
		key, body := s.message(t)
		for range max(s.times, 1) {
			if err := client.Publish(ctx, []byte(key), body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := client.Publish(ctx, []byte("k"), []byte(unreadable)); err != nil {
		t.Fatal(err)
	}

	for _, s := range samples {
		last := endOf(ctx, t, client, s.key())
		if last.Status != s.ends || !strings.Contains(last.ProviderStatus+" "+last.Code, s.says) {
			t.Errorf("%s (%s): %s %s %s %s; want %s %s", s.title, s.key(), last.Status, last.ProviderStatus, last.Code, last.Message, s.ends, s.says)
		}
	}
	if letter := deadLetter(ctx, t, client); letter != unreadable {
		t.Errorf("the dead letter is %q", letter)
	}
	forged(ctx, t, system, refund.Key{Merchant: eftPayMerchant, RefundNo: "201901010013"})

	report, err := system.Audit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + report.String())
	if !report.OK() || len(report.Findings) > 0 || len(report.Open) > 0 {
		t.Error("the audit has findings")
	}
	if report.Final[refund.StatusSucceeded] != report.Payments || report.Count(audit.PaidTwice) > 0 {
		t.Errorf("%d succeeded, %d payments", report.Final[refund.StatusSucceeded], report.Payments)
	}
	if refusals, err := system.Books.Refusals(ctx); err != nil || len(refusals) > 0 {
		t.Errorf("the gateways refused %+v, %v", refusals, err)
	}
	if err := system.End(); err != nil {
		t.Error(err)
	}
}

var errSeen = errors.New("seen")

// endOf waits for a refund's final event.
func endOf(ctx context.Context, t *testing.T, client *app.Client, key refund.Key) (last statusOf) {
	t.Helper()
	err := client.Watch(ctx, func(e statuslog.Entry) error {
		if s := e.Status; s.Key == key {
			last = statusOf{s.Status, s.ProviderStatus, s.Code, s.Message}
			if s.Status.Final() {
				return errSeen
			}
		}
		return nil
	})
	if !errors.Is(err, errSeen) {
		t.Errorf("%s does not end: %+v, %v", key, last, err)
	}
	return last
}

type statusOf struct {
	Status                        refund.Status
	ProviderStatus, Code, Message string
}

func deadLetter(ctx context.Context, t *testing.T, client *app.Client) (value string) {
	t.Helper()
	err := client.WatchDeadLetters(ctx, func(d consumer.DeadLetter, r kafka.Record) error {
		value = string(r.Value)
		return errSeen
	})
	if !errors.Is(err, errSeen) {
		t.Errorf("no dead letter: %v", err)
	}
	return value
}

// forged has a callback sent that is signed with a foreign key.
func forged(ctx context.Context, t *testing.T, system *System, key refund.Key) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"notify": []any{map[string]any{
		"merchant": key.Merchant, "refund_no": key.RefundNo,
		"notification": map[string]any{"sign": "foreign", "once": true, "status": "TRADE_REFUND", "url": fmt.Sprintf("http://%s/v1/callbacks/%s", system.ports.bridge, key.Merchant)},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	body, err := exchange(ctx, http.MethodPost, system.Books.control+"/control", text)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Deliveries []gatewaysim.Delivery }
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Deliveries) != 1 || answer.Deliveries[0].HTTPStatus != http.StatusUnauthorized {
		t.Errorf("a forged callback: %s, %v", body, err)
	}
}
