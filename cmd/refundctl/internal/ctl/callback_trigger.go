package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/refund"
)

// triggers are the events that can be triggered: provider, a point, the event.
var triggers = []string{"eftpay.success", "eftpay.failed", "bluepay.success", "bluepay.failed", "bluepay.cancel"}

// trigger is what callback trigger is told.
type trigger struct {
	merchant, refundNo, to, keyFile string
	print                           bool
	amount, total, order            string
}

func newCallbackTrigger(r *run) *cobra.Command {
	var t trigger
	c := &cobra.Command{
		Use:   "trigger EVENT --refund N --merchant M",
		Short: "Send a callback as the gateway would, for a test merchant",
		Long: `Trigger signs a notification as the gateway would and sends it to notify-bridge.
EVENT is one of: ` + strings.Join(triggers, ", ") + `.

What it tells is taken from the refund's record in Redis; for a refund that is not
there, --amount, --order-amount and --order say it.

A callback moves a refund to a final status without any money. So it is for
rehearsals alone: the merchant has test: true, or both the bridge and the
merchant's gateway are on this host. eftPay signs with the secret that both sides
share. BluePay signs with its own key, which only a simulated gateway shows:
--gateway-key FILE.`,
		Example: `  refundctl callback trigger eftpay.success --refund R1 --merchant S0003469
  refundctl callback trigger bluepay.failed --refund R2 --merchant shop-th --gateway-key gateway.pem
  refundctl callback trigger eftpay.success --refund R1 --merchant S0003469 --print >> recorded.jsonl`,
		Args:      exactly("EVENT"),
		ValidArgs: triggers,
		RunE:      func(c *cobra.Command, args []string) error { return r.callbackTrigger(c.Context(), args[0], t) },
	}
	f := c.Flags()
	r.merchantFlag(c, &t.merchant, "the merchant `NAME`")
	f.StringVar(&t.refundNo, "refund", "", "the refund's number `N`")
	f.StringVar(&t.to, "to", "", "`URL` of the bridge (default: the configuration's, on this host)")
	f.StringVar(&t.keyFile, "gateway-key", "", "`FILE` of the simulated BluePay's private key")
	f.BoolVar(&t.print, "print", false, "print the callback as a line that callback replay reads; send nothing")
	f.StringVar(&t.amount, "amount", "", "`AMOUNT` of a refund that is not known")
	f.StringVar(&t.total, "order-amount", "", "`AMOUNT` of its order")
	f.StringVar(&t.order, "order", "", "its order_no (eftPay) or transaction_id (BluePay)")
	fatal(c.MarkFlagFilename("gateway-key", "pem"))
	return c
}

func (r *run) callbackTrigger(ctx context.Context, event string, t trigger) error {
	provider, what, _ := strings.Cut(event, ".")
	switch {
	case t.merchant == "":
		return usage("--merchant is missing")
	case t.refundNo == "":
		return usage("--refund is missing")
	}
	needs := redisUp
	if t.amount != "" {
		needs = nothing
	}
	ctx, s, err := r.connect(ctx, needs)
	if err != nil {
		return err
	}
	defer s.close()
	acct, err := s.account(t.merchant)
	if err != nil {
		return err
	}
	if acct.Provider != provider {
		return usage("merchant %s is at %s: EVENT is one of %s", t.merchant, acct.Provider, strings.Join(triggersOf(acct.Provider), ", "))
	}
	target, err := callbackURL(s.Config, t.merchant, t.to)
	if err != nil {
		return err
	}
	if err := s.rehearsal(t.merchant, target); err != nil {
		return err
	}
	rec, err := s.toldOf(ctx, t)
	if err != nil {
		return err
	}
	body, err := writeCallback(acct, account.Told{Refund: rec, Event: what}, t.keyFile)
	if err != nil {
		return err
	}
	if t.print {
		return out.Object(out.Whole{Writer: r.Out}, recorded{Merchant: t.merchant, Body: string(body)}) // a masked one is not what was signed
	}
	answer := r.post(ctx, target, body)
	answer.Merchant, answer.RefundNo, answer.Event = t.merchant, t.refundNo, event
	return r.showSent(answer)
}

func triggersOf(provider string) (own []string) {
	for _, event := range triggers {
		if strings.HasPrefix(event, provider+".") {
			own = append(own, event)
		}
	}
	return own
}

// rehearsal refuses what could make a real refund look done.
func (s *system) rehearsal(merchant, target string) error {
	m, err := merchantOf(s.Config, merchant)
	if err != nil {
		return err
	}
	if m.Test || isLoopback(target) && isLoopback(m.BaseURL) {
		return nil
	}
	return usage("merchant %s is not a test merchant: a made-up callback could end a real refund without money; "+
		"set test: true, or have bridge and simulated gateway on this host", merchant)
}

// toldOf is the refund that the callback is about.
func (s *system) toldOf(ctx context.Context, t trigger) (refund.Record, error) {
	key := refund.Key{Merchant: t.merchant, RefundNo: t.refundNo}
	if t.amount == "" {
		rec, err := s.record(ctx, key)
		if err == nil && !rec.Known() {
			err = usage("refund %s of merchant %s is not known: submit it first, or say what it is by --amount, --order-amount and --order", t.refundNo, t.merchant)
		}
		return rec, err
	}
	m, err := merchantOf(s.Config, t.merchant)
	if err != nil {
		return refund.Record{}, err
	}
	r := refund.Request{Key: key, OrderNo: t.order, TransactionID: t.order, Flow: refund.FlowRefund}
	if r.Amount, err = refund.ParseMoney(t.amount, m.Currency); err != nil {
		return refund.Record{}, usage("--amount: %w", err)
	}
	r.OrderAmount = r.Amount
	if t.total != "" {
		if r.OrderAmount, err = refund.ParseMoney(t.total, m.Currency); err != nil {
			return refund.Record{}, usage("--order-amount: %w", err)
		}
	}
	if t.order == "" {
		return refund.Record{}, usage("--order is missing: the order that the refund belongs to")
	}
	if m.Provider == "eftpay" {
		r.TransactionID = ""
	}
	return refund.Record{Request: r}, nil
}

// writeCallback signs by the merchant's own secret, or by the gateway's key.
func writeCallback(acct *providers.Account, t account.Told, keyFile string) ([]byte, error) {
	switch gateway := acct.Callbacks.(type) {
	case interface {
		WriteCallback(account.Told) ([]byte, error)
	}:
		body, err := gateway.WriteCallback(t)
		return body, asUsage(err)
	case interface {
		WriteCallback(account.Told, []byte) ([]byte, error)
	}:
		if keyFile == "" {
			return nil, usage("%s signs with its own private key: give that of the simulated gateway by --gateway-key FILE", acct.Provider)
		}
		key, err := os.ReadFile(keyFile)
		if err != nil {
			return nil, usage("--gateway-key: %w", err)
		}
		body, err := gateway.WriteCallback(t, key)
		return body, asUsage(err)
	}
	return nil, usage("callbacks of provider %s cannot be triggered", acct.Provider)
}

func asUsage(err error) error {
	var e *exit
	if err == nil || errors.As(err, &e) {
		return err
	}
	return usage("%w", err)
}

// showSent prints one answer and ends with 1 where it is no acknowledgement.
func (r *run) showSent(s sent) error {
	var err error
	if r.format == out.JSON {
		err = out.Object(r.Out, s)
	} else {
		status := "-"
		if s.HTTPStatus > 0 {
			status = fmt.Sprint(s.HTTPStatus)
		}
		err = out.Block(r.Out, []out.Line{
			{Name: "sent", Words: s.Event + " of refund " + s.RefundNo + " to " + s.URL},
			{Name: "answer", Words: status + " " + s.Words},
			{Name: "reply", Words: s.Reply},
		})
	}
	if err == nil && !s.acknowledged() {
		err = found()
	}
	return err
}
