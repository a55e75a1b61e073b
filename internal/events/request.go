package events

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/refundworker/refundworker/internal/refund"
)

// The fields of a request in the order of DESIGN.md, section 4. All are strings.
const (
	refundNo = iota
	merchant
	orderNo
	transactionID
	amount
	orderAmount
	currency
	method
	wallet
	terminal
	flow
	reason
	requestedAt
	fieldCount
)

var fieldNames = [fieldCount]string{
	refundNo: "refund_no", merchant: "merchant", orderNo: "order_no", transactionID: "transaction_id",
	amount: "amount", orderAmount: "order_amount", currency: "currency",
	method: "method", wallet: "wallet", terminal: "terminal",
	flow: "flow", reason: "reason", requestedAt: "requested_at",
}

const (
	maxReason = 256 // characters
	// maxWord bounds what has no rule of its own and is kept with the refund: the
	// status event that carries it must fit where the request did.
	maxWord = 1024
	// maxExponent is the most decimals that any currency has: with it the form of
	// an amount is looked at where its currency is not known.
	maxExponent = 4
)

// DecodeRequest reads a message of the requests topic: a CloudEvent in binary or
// structured mode, or bare JSON. The request keeps every rule of the contract
// that is decidable from the event alone. The error is an *Error that names every
// field that breaks one.
//
// Optional fields may be missing, null or empty, which is the same. Fields that
// are not known are skipped.
func DecodeRequest(value []byte, headers []Header) (refund.Request, error) {
	req, problems, err := decode(value, headers)
	if err != nil {
		return refund.Request{}, err
	}
	if len(problems) > 0 {
		return refund.Request{}, &Error{Reason: Invalid, Problems: problems}
	}
	return req, nil
}

// DecodeFollowUp reads a message that asks about a refund which is known already.
// It may stem from a callback for a refund that was never requested here, so only
// merchant and refund_no must be right; of the rest it answers what keeps its
// rule. The record in the store is what counts.
func DecodeFollowUp(value []byte, headers []Header) (refund.Request, error) {
	req, problems, err := decode(value, headers)
	if err != nil {
		return refund.Request{}, err
	}
	problems = slices.DeleteFunc(problems, func(p Problem) bool {
		return p.Field != "" && p.Field != fieldNames[refundNo] && p.Field != fieldNames[merchant]
	})
	if len(problems) > 0 {
		return refund.Request{}, &Error{Reason: Invalid, Problems: problems}
	}
	return req, nil
}

// decode answers the request as far as it keeps the rules, and what breaks them.
func decode(value []byte, headers []Header) (refund.Request, []Problem, error) {
	env, failed := open(value, headers, TypeRequest)
	if failed != nil {
		return refund.Request{}, nil, failed
	}
	fields, problems, err := readFields(env.data)
	if err != nil {
		return refund.Request{}, nil, undecodable("no readable JSON: %v", err)
	}
	c := checker{fields: fields, problems: problems}
	req := c.request()
	req.Trace = env.trace
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return slices.Index(fieldNames[:], a.Field) - slices.Index(fieldNames[:], b.Field)
	})
	return req, c.problems, nil
}

// readFields reads the known fields of a JSON object and checks that the text is
// JSON to its end.
func readFields(data string) (fields [fieldCount]string, problems []Problem, err error) {
	s := scanner{doc: data}
	if k := s.peek(); k != kindObject {
		if err := s.skip(); err != nil {
			return fields, nil, err
		}
		return fields, []Problem{{What: "not a JSON object"}}, s.end()
	}
	err = s.object(func(key string) error {
		field := slices.Index(fieldNames[:], key)
		switch k := s.peek(); {
		case field < 0 || k == kindNull:
			return s.skip()
		case k == kindString:
			fields[field], err = s.text()
			return err
		}
		problems = append(problems, Problem{key, "not a string"})
		return s.skip()
	})
	if err == nil {
		err = s.end()
	}
	return fields, problems, err
}

// checker holds the fields against their rules.
type checker struct {
	fields   [fieldCount]string
	problems []Problem
}

// fail notes a problem, unless the field has one already (not a string).
func (c *checker) fail(field int, what string) {
	name := fieldNames[field]
	if !slices.ContainsFunc(c.problems, func(p Problem) bool { return p.Field == name || p.Field == "" }) {
		c.problems = append(c.problems, Problem{name, what})
	}
}

func (c *checker) request() refund.Request {
	req := refund.Request{
		Key: refund.Key{
			Merchant: c.name(merchant, nameMerchant, "1-64 of letters, digits and . _ -"),
			RefundNo: c.name(refundNo, nameNumber, "1-64 of letters, digits and _ - . : @ + * = |"),
		},
		Method:      c.short(method, maxWord),
		Wallet:      c.short(wallet, maxWord),
		Terminal:    c.short(terminal, maxWord),
		Reason:      c.short(reason, maxReason),
		Flow:        c.flow(),
		RequestedAt: c.time(requestedAt),
	}
	if c.fields[orderNo] != "" {
		req.OrderNo = c.name(orderNo, nameNumber, "at most 64 of letters, digits and _ - . : @ + * = |")
	}
	if c.fields[transactionID] != "" {
		req.TransactionID = c.name(transactionID, nameNumber, "at most 64 of letters, digits and _ - . : @ + * = |")
	}
	cur, known := refund.CurrencyOf(c.fields[currency])
	if !known {
		cur = refund.Currency{Code: "any currency", Exponent: maxExponent}
		c.fail(currency, missingOr(c.fields[currency], "not an active currency of ISO 4217 (three capital letters)"))
	}
	req.Amount, req.OrderAmount = c.money(amount, cur), c.money(orderAmount, cur)
	if !known {
		req.Amount, req.OrderAmount = refund.Money{}, refund.Money{}
	}
	return req
}

func missingOr(value, what string) string {
	if value == "" {
		return "missing"
	}
	return what
}

type nameKind int

const (
	nameMerchant nameKind = iota
	nameNumber
)

func (c *checker) name(field int, kind nameKind, rule string) string {
	v := c.fields[field]
	if validName(v, kind) {
		return v
	}
	c.fail(field, missingOr(v, "must be "+rule))
	return ""
}

func validName(s string, kind nameKind) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '.', b == '_', b == '-':
		case kind == nameNumber && strings.IndexByte(":@+*=|", b) >= 0:
		default:
			return false
		}
	}
	return true
}

func (c *checker) short(field, most int) string {
	v := c.fields[field]
	if len(v) > most && utf8.RuneCountInString(v) > most {
		c.fail(field, "longer than "+strconv.Itoa(most)+" characters")
		return ""
	}
	return v
}

func (c *checker) flow() refund.Flow {
	switch f := refund.Flow(c.fields[flow]); f {
	case "":
		return refund.FlowRefund
	case refund.FlowRefund, refund.FlowApply:
		return f
	}
	c.fail(flow, "must be refund or apply")
	return ""
}

// time reads RFC 3339, in which T and Z may be small letters. The standard library
// also takes an hour of one digit, a decimal comma, and offsets of 24 hours or 60
// minutes, which it does not have.
func (c *checker) time(field int) time.Time {
	v := c.fields[field]
	if v == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, strings.ToUpper(v))
	if err != nil || v[len("2006-01-02T15")] != ':' || strings.Contains(v, ",") || farOff(v[len(v)-len("+08:00"):]) {
		c.fail(field, "not a time of RFC 3339, such as 2023-06-09T11:06:46+08:00")
		return time.Time{}
	}
	return t
}

// farOff: what a time ends with is an offset out of its range.
func farOff(end string) bool {
	return (end[0] == '+' || end[0] == '-') && (end[1:3] > "23" || end[4:] > "59")
}

func (c *checker) money(field int, cur refund.Currency) refund.Money {
	v := c.fields[field]
	if v == "" {
		c.fail(field, "missing")
		return refund.Money{}
	}
	m, err := refund.ParseMoney(v, cur)
	if err != nil {
		c.fail(field, err.Error())
		return refund.Money{}
	}
	return m
}
