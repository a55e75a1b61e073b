package ctl

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/eftpay"
	"github.com/refundworker/refundworker/internal/refund"
)

func newGateway(r *run) *cobra.Command {
	ping := &cobra.Command{
		Use:   "ping MERCHANT...",
		Short: "Ask a merchant's gateway whether it takes our settings; moves no money",
		Long: `Ping sends one signed query about a refund that does not exist. It shows whether
the gateway is there, takes our signature, and signs with what we expect. It moves
no money and touches neither Kafka nor Redis.

Exit code 0: all is well; 1: something is wrong, said in words.`,
		Example: `  refundctl gateway ping S0003469
  refundctl gateway ping S0003469 shop-th -o json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("MERCHANT is missing: %s", c.UseLine())
			}
			return nil
		},
		ValidArgsFunction: r.completeMerchants,
		RunE:              func(c *cobra.Command, args []string) error { return r.gatewayPing(c.Context(), args) },
	}
	return group("gateway", "Look at the gateways", "Gateway looks at the gateways of the configuration's merchants.",
		`  refundctl gateway ping S0003469`, ping)
}

// pinged is what came of one ping.
type pinged struct {
	Merchant string `json:"merchant"`
	Provider string `json:"provider"`
	BaseURL  string `json:"base_url"`
	Well     bool   `json:"well"`
	Words    string `json:"words"`
	Code     string `json:"code,omitempty"`
	TookMS   int64  `json:"took_ms"`
}

func (r *run) gatewayPing(ctx context.Context, merchants []string) error {
	ctx, s, err := r.connect(ctx, nothing)
	if err != nil {
		return err
	}
	defer s.close()
	var accounts []*providers.Account
	for _, name := range merchants {
		acct, err := s.account(name)
		if err != nil {
			return err
		}
		accounts = append(accounts, acct)
	}
	rows := out.NewRows(r.Out, r.format, []out.Column[pinged]{
		{Name: "merchant", Width: 16, Cell: func(p pinged) string { return p.Merchant }},
		{Name: "provider", Cell: func(p pinged) string { return p.Provider }},
		{Name: "gateway", Wide: true, Width: 40, Cell: func(p pinged) string { return p.BaseURL }},
		{Name: "well", Cell: func(p pinged) string { return yesNo(p.Well) }},
		{Name: "took", Width: 8, Cell: func(p pinged) string { return fmt.Sprintf("%d ms", p.TookMS) }},
		{Name: "words", Cell: func(p pinged) string { return p.Words }},
	})
	all := true
	for i, acct := range accounts {
		m, err := merchantOf(s.Config, merchants[i])
		if err != nil {
			return err
		}
		p := r.ping(ctx, acct)
		p.BaseURL = m.BaseURL
		if ctx.Err() != nil {
			return ctx.Err()
		}
		all = all && p.Well
		if err := rows.Row(p); err != nil {
			return err
		}
	}
	if !all {
		return found()
	}
	return nil
}

func (r *run) ping(ctx context.Context, acct *providers.Account) pinged {
	ctx, cancel := context.WithTimeout(ctx, acct.Timeout)
	defer cancel()
	began := r.Now()
	o := acct.Callbacks.Ping(ctx)
	p := pinged{Merchant: acct.Merchant, Provider: acct.Provider, Code: o.Code, TookMS: r.Now().Sub(began).Milliseconds()}
	p.Well, p.Words = pingWords(acct.Provider, o)
	return p
}

// pingWords says what a ping's outcome means. eftPay refuses what it cannot verify
// with an unsigned answer of a negative code: there, but not well.
func pingWords(provider string, o refund.Outcome) (well bool, words string) {
	detail := strings.Trim(o.Code+": "+o.Message, ": ")
	switch {
	case o.Hold || o.Class == refund.Misconfigured:
		return false, "the gateway is there but refuses our settings (" + detail + "): the merchant would hold"
	case o.Outage:
		return false, "the gateway cannot be reached or does not do its work: " + o.Message
	case provider == eftpay.Name && strings.HasPrefix(o.Code, "-"):
		return false, "the gateway is there but refuses the question (" + detail + "): look at user_confirm_key, secret, sign_empty and the clock"
	case o.Class == refund.NotFound:
		return true, "the gateway is there, takes our signature, and says that it has no such refund"
	case o.Code == "":
		return true, "the gateway is there and takes our signature; its answer: " + strings.TrimSpace(o.ProviderStatus+" "+o.Message)
	default:
		return true, "the gateway is there and takes our signature; its answer to a refund that does not exist: " + detail
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}
