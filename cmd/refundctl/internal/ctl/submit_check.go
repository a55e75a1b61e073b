package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/refund"
)

// check gives each row its verdict: what the worker would make a dead letter of,
// what it would reject, and what the rows of one file do to each other.
func check(rows []*row, accounts providers.Accounts) {
	numbers := map[refund.Key]*row{}
	orders := map[string]*orderOf{}
	for _, one := range rows {
		if one.verdict == verdictInvalid {
			continue
		}
		one.verdict = verdictReady
		order := one.checkAlone(accounts)
		if len(one.problems) > 0 {
			one.verdict = verdictInvalid
			continue
		}
		if earlier, there := numbers[one.request.Key]; there {
			one.repeats(earlier)
			continue
		}
		numbers[one.request.Key] = one
		name := one.request.Merchant + "/" + order
		if orders[name] == nil {
			orders[name] = &orderOf{first: one, name: order}
		}
		orders[name].take(one)
	}
}

// checkAlone looks at one row by itself and answers its order.
func (r *row) checkAlone(accounts providers.Accounts) (order string) {
	request, err := events.DecodeRequest(r.text, nil)
	var wrong *events.Error
	if errors.As(err, &wrong) {
		for _, p := range wrong.Problems {
			r.problem("%s", fieldProblem(p.Field, p.What))
		}
		r.request.Key = nameIn(r.text)
		return ""
	}
	r.request = request
	for _, number := range []struct{ field, value string }{
		{"refund_no", request.RefundNo}, {"order_no", request.OrderNo}, {"transaction_id", request.TransactionID},
	} {
		if spreadsheet.MatchString(number.value) {
			r.problem("%s %s: a spreadsheet has rounded this number; format the column as text", number.field, number.value)
		}
	}
	account, ok := accounts[request.Merchant]
	if !ok {
		r.problem("merchant %q is not in the configuration", request.Merchant)
		return ""
	}
	if no := account.Gateway.Check(request); no != nil {
		r.problem("would be rejected: %s: %s", no.Code, no.Message)
	}
	return account.Gateway.Order(request)
}

// nameIn is what a request that is wrong calls itself, as far as it can be read.
func nameIn(text []byte) refund.Key {
	var name struct {
		Merchant string `json:"merchant"`
		RefundNo string `json:"refund_no"`
	}
	_ = json.Unmarshal(text, &name) // what is no JSON has no name
	return refund.Key{Merchant: out.Clip(name.Merchant, 64), RefundNo: out.Clip(name.RefundNo, 64)}
}

// spreadsheet is how programs for tables write a long number.
var spreadsheet = regexp.MustCompile(`^\d(\.\d+)?[eE]\+\d+$`)

func fieldProblem(field, what string) string {
	if field == "" {
		return what
	}
	return field + ": " + what
}

func (r *row) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// repeats: a number that is there twice is one refund, or a mistake.
func (r *row) repeats(earlier *row) {
	if r.request.Content() == earlier.request.Content() {
		r.verdict = verdictRepeated
		r.problem("the same refund as in line %d", earlier.line)
		return
	}
	r.verdict = verdictInvalid
	r.problem("refund_no %s is used in line %d with other content", r.request.RefundNo, earlier.line)
}

// orderOf sums up the rows of one order.
type orderOf struct {
	first *row
	name  string
	sum   int64
}

func (o *orderOf) take(r *row) {
	total := o.first.request.OrderAmount
	if r.request.OrderAmount != total {
		r.verdict = verdictInvalid
		r.problem("order_amount is %s %s, but line %d says %s %s for the same order", r.request.OrderAmount, r.request.OrderAmount.Currency.Code,
			o.first.line, total, total.Currency.Code)
		return
	}
	if o.sum+r.request.Amount.Minor > total.Minor {
		r.verdict = verdictInvalid
		sum := refund.Money{Minor: o.sum + r.request.Amount.Minor, Currency: total.Currency}
		r.problem("would be rejected: over_order_total: with the lines above order %s would be refunded %s of %s", o.name, sum, total)
		return
	}
	o.sum += r.request.Amount.Minor
}
