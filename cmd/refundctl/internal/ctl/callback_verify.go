package ctl

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/account"
	"github.com/refundworker/refundworker/internal/refund"
)

func newCallbackVerify(r *run) *cobra.Command {
	var merchant string
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Say why a callback's signature is right or wrong",
		Long: `Verify holds a recorded callback against the merchant's settings, as notify-bridge
does, and shows the text that is signed (without the secret), which fields are in
it, which secret or key matched, and, where none did, which single change would
make the signature right. It reads the configuration and FILE, and nothing else.

Exit code 0: the callback counts; 1: it does not.`,
		Example: `  refundctl callback verify callback.json --merchant S0003469
  refundctl callback verify recorded.http -o json
  pbpaste | refundctl callback verify - --merchant shop-th`,
		Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error { return r.callbackVerify(c, args[0], merchant) },
	}
	r.merchantFlag(c, &merchant, "the merchant `NAME` whose callback it is (where FILE does not say)")
	return c
}

// explainer is a gateway that can say how it verifies.
type explainer interface {
	ExplainCallback(body []byte) account.Explanation
}

// verified is the answer of callback verify.
type verified struct {
	Merchant string   `json:"merchant"`
	Provider string   `json:"provider"`
	Counts   bool     `json:"counts"`
	Reason   string   `json:"reason,omitempty"` // the bridge's
	Problem  string   `json:"problem,omitempty"`
	Answer   int      `json:"bridge_answers"`
	Rule     string   `json:"rule"`
	Signed   string   `json:"signed"`
	Fields   []string `json:"fields"`
	LeftOut  []string `json:"left_out"`
	Sign     string   `json:"sign"`
	Keys     []tried  `json:"keys"`
	Hints    []string `json:"hints"`
	Tells    *told    `json:"tells,omitempty"`
}

type tried struct {
	Name    string `json:"name"`
	Matched bool   `json:"matched"`
}

type told struct {
	RefundNo         string `json:"refund_no"`
	Order            string `json:"order,omitempty"`
	Amount           string `json:"amount"`
	Currency         string `json:"currency"`
	Means            string `json:"means"`
	ProviderStatus   string `json:"provider_status,omitempty"`
	ProviderRefundID string `json:"provider_refund_id,omitempty"`
}

func (r *run) callbackVerify(c *cobra.Command, file, merchant string) error {
	_, s, err := r.connect(c.Context(), nothing)
	if err != nil {
		return err
	}
	defer s.close()
	callbacks, err := r.readCallbacks(file, merchant)
	if err != nil {
		return err
	}
	all := true
	for i, one := range callbacks {
		v, err := s.verify(one)
		if err != nil {
			return err
		}
		all = all && v.Counts
		if i > 0 && r.format != out.JSON {
			fmt.Fprintln(r.Out)
		}
		if err := r.showVerified(v); err != nil {
			return err
		}
	}
	if !all {
		return found()
	}
	return nil
}

func (s *system) verify(one recorded) (verified, error) {
	acct, err := s.account(one.Merchant)
	if err != nil {
		return verified{}, err
	}
	gateway, ok := acct.Callbacks.(explainer)
	if !ok {
		return verified{}, usage("provider %s cannot explain its callbacks", acct.Provider)
	}
	x := gateway.ExplainCallback([]byte(one.Body))
	v := verified{Merchant: one.Merchant, Provider: acct.Provider, Counts: x.Err == nil, Answer: 200,
		Rule: x.Rule, Signed: x.Signed, Fields: x.Fields, LeftOut: x.LeftOut, Sign: x.Sign, Hints: x.Hints}
	for _, k := range x.Keys {
		v.Keys = append(v.Keys, tried{k.Name, k.Matched})
	}
	if x.Err == nil {
		n := x.Notice
		v.Tells = &told{
			RefundNo: n.Request.RefundNo, Order: n.Order, Amount: n.Request.Amount.String(), Currency: n.Request.Amount.Currency.Code,
			Means: means(n.Outcome), ProviderStatus: n.Outcome.ProviderStatus, ProviderRefundID: n.Outcome.ProviderRefundID,
		}
		return v, nil
	}
	v.Problem, v.Answer = x.Err.Error(), 401
	var refused *refund.CallbackError
	if errors.As(x.Err, &refused) {
		v.Reason = string(refused.Reason)
		if refused.Verified {
			v.Answer = 400
		}
		if refused.Reason == refund.CallbackForged || refused.Reason == refund.CallbackForeign {
			v.Hints = append(v.Hints, othersOf(s.Accounts, one)...)
		}
		if refused.Reason == refund.CallbackForged && len(v.Hints) == 0 {
			v.Hints = []string{"no single change makes it right: most likely it is signed with another secret or key than the settings have"}
		}
	}
	return v, nil
}

// othersOf names merchants whose settings would take the callback.
func othersOf(accounts providers.Accounts, one recorded) (hints []string) {
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		if name == one.Merchant {
			continue
		}
		if _, err := accounts[name].Callbacks.ParseCallback([]byte(one.Body)); err == nil {
			hints = append(hints, "right for merchant "+name+": it was sent to the wrong address, or verified under the wrong name")
		}
	}
	return hints
}

// means says what an outcome says of the money.
func means(o refund.Outcome) string {
	words := map[refund.Class]string{
		refund.Succeeded: "money moved", refund.Pending: "the gateway has it, not ended", refund.Declined: "refused or failed, no money moved",
		refund.Mismatch: "contradicts itself: a query will ask",
	}[o.Class]
	if words == "" {
		words = "not clear: a query will ask"
	}
	if o.Message != "" {
		words += " (" + o.Message + ")"
	}
	return words
}

func (r *run) showVerified(v verified) error {
	if r.format == out.JSON {
		return out.Object(r.Out, v)
	}
	verdict := "the callback counts: the bridge answers 200 once the event is durable"
	if !v.Counts {
		verdict = fmt.Sprintf("REFUSED, the bridge answers %d: %s", v.Answer, v.Problem)
	}
	lines := []out.Line{
		{Name: "merchant", Words: v.Merchant + " (" + v.Provider + ")"},
		{Name: "verdict", Words: verdict},
	}
	for _, hint := range v.Hints {
		lines = append(lines, out.Line{Name: "hint", Words: hint})
	}
	if v.Counts {
		lines = append(lines, out.Line{Name: "tells", Words: fmt.Sprintf("refund %s of %s %s: %s; %s", v.Tells.RefundNo, v.Tells.Amount, v.Tells.Currency, v.Tells.ProviderStatus, v.Tells.Means)})
	}
	lines = append(lines,
		out.Line{Name: "rule", Words: v.Rule},
		out.Line{Name: "signed", Words: v.Signed},
		out.Line{Name: "fields", Words: strings.Join(v.Fields, ", ")},
		out.Line{Name: "left out", Words: strings.Join(v.LeftOut, ", ")},
		out.Line{Name: "sign", Words: v.Sign})
	for _, k := range v.Keys {
		matched := "does not match"
		if k.Matched {
			matched = "matches"
		}
		lines = append(lines, out.Line{Name: "keys", Words: k.Name + ": " + matched})
	}
	return out.Block(r.Out, lines)
}
