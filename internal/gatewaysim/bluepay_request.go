package gatewaysim

import (
	"net/http"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"
)

// BluePay's codes that the simulator answers by itself.
const (
	blueSuccess     = 10000
	blueBadSign     = "21001"
	blueBadParam    = "21002"
	blueNoApp       = "21003"
	blueNotFound    = "21006"
	blueBadTime     = "21008"
	blueStaleTime   = "21009"
	blueBadAmount   = "21406"
	blueUnknownCode = "29999" // on no page
)

// blueMessages is the vendor's code table.
var blueMessages = map[string]string{
	"10000": "Success", "21000": "Server error", "21001": "Sign error", "21002": "Param error", "21003": "AppId error",
	"21004": "Merchant error", "21005": "Channel error", "21006": "Transaction not found", "21007": "Duplicate order",
	"21008": "Timestamp error", "21009": "Timestamp expired", "21010": "Amount over the limit", "21011": "Network error",
	"21014": "Balance insufficient", "21015": "Duplicate idempotency id", "21016": "IP not allowed", "21020": "Too many requests",
	"21023": "Create failed", "21401": "Refund in process", "21402": "Refund not allowed", "21403": "Original over 60 days old",
	"21404": "Channel has no full refund", "21405": "Channel has no partial refund", "21406": "Refund amount invalid",
	"21407": "Duplicate mchRefundOrderId", "21408": "Original not completed", "21409": "A pending refund exists",
}

var (
	refundOrderID = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)
	transactionID = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)
)

// bluepayAuthenticate opens the envelope {appId, sign, param}: the signature
// is checked over the raw param before param is parsed.
func (s *Sim) bluepayAuthenticate(body []byte) (*account, map[string]value, *violation) {
	envelope, err := parseFlat(body)
	if err != nil {
		return nil, nil, violate(blueBadParam, "body is %v", err)
	}
	for _, name := range []string{"appId", "sign", "param"} {
		if envelope[name].kind != kindString || envelope[name].text == "" {
			return nil, nil, violate(blueBadParam, "%s is missing or not a string", name)
		}
	}
	if len(envelope) != 3 {
		return nil, nil, violate(blueBadParam, "the body has more than appId, sign and param")
	}
	a := s.account(ProviderBluePay, envelope["appId"].text)
	if a == nil {
		return nil, nil, violate(blueNoApp, "appId %q is not known", envelope["appId"].text)
	}
	if !bluepayVerify(a.bluepay.MerchantKey, envelope["param"].text, envelope["sign"].text) {
		return a, nil, violate(blueBadSign, "sign does not fit param")
	}
	param, err := parseFlat([]byte(envelope["param"].text))
	if err != nil {
		return a, nil, violate(blueBadParam, "param is %v", err)
	}
	if bad := s.checkTimestamp(a, param["timestamp"]); bad != nil {
		return a, nil, bad
	}
	return a, param, nil
}

func (s *Sim) checkTimestamp(a *account, v value) *violation {
	n, err := strconv.ParseInt(v.text, 10, 64)
	if v.kind != kindNumber || err != nil {
		return violate(blueBadTime, "timestamp is not an integer")
	}
	t := time.Unix(n, 0)
	if a.bluepay.Milliseconds {
		t = time.UnixMilli(n)
	}
	switch now := s.clock.Now(); {
	case t.After(now.Add(s.cfg.TimeTolerance)):
		return violate(blueBadTime, "timestamp lies in the future: is its unit right?")
	case t.Before(now.Add(-s.cfg.TimeTolerance)):
		return violate(blueStaleTime, "timestamp is too old")
	}
	return nil
}

// field is one line of BluePay's tables.
type field struct {
	name     string
	kind     kind
	max      int // characters
	required bool
}

var blueRefundFields = []field{
	{"originalTransactionId", kindString, 64, true}, {"mchRefundOrderId", kindString, 32, true}, {"refundAmount", kindNumber, 15, true},
	{"refundReason", kindString, 256, false}, {"refundCallbackUrl", kindString, 256, false}, {"timestamp", kindNumber, 13, true},
}

var blueQueryFields = []field{
	{"originalTransactionId", kindString, 64, false}, {"refundTransactionId", kindString, 64, false}, {"timestamp", kindNumber, 13, true},
}

func obeyBlue(param map[string]value, table []field) *violation {
	known := map[string]bool{}
	for _, f := range table {
		known[f.name] = true
		v, there := param[f.name]
		switch {
		case !there && !f.required:
		case !there:
			return violate(blueBadParam, "%s is missing", f.name)
		case v.kind != f.kind:
			return violate(blueBadParam, "%s has another JSON type", f.name)
		case v.text == "" && f.required:
			return violate(blueBadParam, "%s is empty", f.name)
		case utf8.RuneCountInString(v.text) > f.max:
			return violate(blueBadParam, "%s is longer than %d characters", f.name, f.max)
		}
	}
	for name := range param {
		if !known[name] {
			return violate(blueBadParam, "%s is not a field of this call", name)
		}
	}
	return nil
}

// bluepayOpen reads and authenticates; false where it has answered already.
func (s *Sim) bluepayOpen(w http.ResponseWriter, r *http.Request, table []field) (*account, map[string]value, bool) {
	body, ok := readJSON(w, r)
	if !ok {
		return nil, nil, false
	}
	a, param, bad := s.bluepayAuthenticate(body)
	if bad == nil {
		bad = obeyBlue(param, table)
	}
	if bad != nil {
		s.bluepayRefuse(w, r, a, bad)
		return nil, nil, false
	}
	return a, param, true
}

func (s *Sim) bluepayRefuse(w http.ResponseWriter, r *http.Request, a *account, bad *violation) {
	x := Refusal{Time: s.clock.Now(), Provider: ProviderBluePay, Code: bad.code, Reason: bad.reason}
	if a != nil {
		x.Merchant = a.merchant
	}
	s.refusals.add(x)
	s.write(w, r, Step{}, blueBody(bad.code, blueMessages[bad.code]+": "+bad.reason, nil))
}
