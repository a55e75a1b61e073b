package gatewaysim

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// The return_status values of the simulator. 00, 12, 51 and -13 are seen at
// eftPay; its appendix is not public, so the others are the simulator's own.
const (
	eftAccepted    = "00"
	eftStale       = "12"  // time is off
	eftOtherAmount = "41"  // Idempotent: the refund_no was used with another amount
	eftSystemError = "51"  // refund failed: SYSTEM_EXCEPTION
	eftMalformed   = "-1"  // no JSON object of strings
	eftNoMerchant  = "-2"  // user_confirm_key is not known
	eftBadSign     = "-3"  // sign is missing or wrong
	eftBadField    = "-4"  // a field breaks the vendor's table; return_char names it
	eftOtherWallet = "-5"  // paytype or payment_type differ from the sale's
	eftNoSale      = "-6"  // the sale is not known (KnownSalesOnly, queries)
	eftBadService  = "-13" // service is not known
)

var eftpayServices = map[string]Service{
	"service.wechat.jsapi.Refund":      {Paytype: "WeChat"},
	"service.wechat.jsapi.ApplyRefund": {Paytype: "WeChat", Apply: true},
	"service.alipay.jsapi.Refund":      {Paytype: "Alipay"},
}

const eftpayQueryB = "service.unified.RefundStatusQuery"

var eftpayWallets = map[string][]string{
	"WeChat": {"WECHATCN", "WECHATHK"},
	"Alipay": {"ALIPAYCN", "ALIPAYHK"},
}

// violation is a call that fails validation: the code to answer and a reason
// for people.
type violation struct{ code, reason string }

func violate(code, format string, args ...any) *violation {
	return &violation{code, fmt.Sprintf(format, args...)}
}

// maxRequest bounds what is read of a request.
const maxRequest = 64 << 10

// readJSON reads a POST of JSON; false where it has answered already.
func readJSON(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return nil, false
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || (params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8")) {
		http.Error(w, "Content-Type must be application/json in UTF-8", http.StatusUnsupportedMediaType)
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	switch {
	case err != nil:
		http.Error(w, "body cannot be read", http.StatusBadRequest)
		return nil, false
	case len(body) > maxRequest:
		http.Error(w, "body over 64 KiB", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	return body, true
}

// eftpayAuthenticate parses a request and checks what every service shares:
// strings only, merchant, signature, time. The account is nil where the
// merchant is not known.
func (s *Sim) eftpayAuthenticate(body []byte) (*account, map[string]value, *violation) {
	fields, err := parseFlat(body)
	if err != nil {
		return nil, nil, violate(eftMalformed, "%v", err)
	}
	a := s.account(ProviderEftPay, fields["user_confirm_key"].text)
	if a == nil {
		return nil, fields, violate(eftNoMerchant, "user_confirm_key %q is not known", fields["user_confirm_key"].text)
	}
	for k, v := range fields {
		if v.kind != kindString {
			return a, fields, violate(eftMalformed, "%s is not a string", k)
		}
	}
	if !eftpayVerify(a.eftpay.Secret, fields, a.eftpay.KeepEmpty) {
		return a, fields, violate(eftBadSign, "sign is missing or wrong")
	}
	t, err := time.ParseInLocation("20060102150405", fields["time"].text, vendorZone)
	if err != nil || len(fields["time"].text) != 14 {
		return a, fields, violate(eftBadField, "time is not yyyyMMddHHmmss")
	}
	if off := s.clock.Now().Sub(t).Abs(); off > s.cfg.TimeTolerance {
		return a, fields, violate(eftStale, "time mismatch: off by %s", off.Round(time.Second))
	}
	return a, fields, nil
}

// rule is one line of a vendor's table.
type rule struct {
	name     string
	max      int // characters
	required bool
}

var refundRules = []rule{
	{"service", 64, true}, {"user_confirm_key", 12, true}, {"transaction_amount", 8, true}, {"out_trade_no", 28, true},
	{"paytype", 6, true}, {"payment_type", 20, true}, {"refund_no", 28, true}, {"tid", 20, false}, {"total_fee", 8, true},
	{"refund_desc", 256, false}, {"notify_url", 240, false}, {"time", 14, true}, {"sign", 64, true},
}

var queryARules = []rule{
	{"querytype", 20, true}, {"out_trade_no", 28, true}, {"refund_no", 28, false}, {"user_confirm_key", 12, true},
	{"paytype", 6, true}, {"payment_type", 20, true}, {"time", 14, true}, {"sign", 64, true},
}

var queryBRules = []rule{
	{"service", 64, true}, {"querytype", 20, true}, {"out_trade_no", 28, false}, {"eft_trade_no", 28, false},
	{"refund_no", 28, true}, {"user_confirm_key", 12, true}, {"time", 14, true}, {"sign", 64, true},
}

// obey checks the fields against a table: no field beside it, none missing,
// none too long.
func obey(fields map[string]value, rules []rule) *violation {
	listed := 0
	for _, r := range rules {
		v, there := fields[r.name]
		if there {
			listed++
		}
		switch n := utf8.RuneCountInString(v.text); {
		case r.required && n == 0:
			return violate(eftBadField, "%s is missing", r.name)
		case n > r.max:
			return violate(eftBadField, "%s has %d characters, %d are allowed", r.name, n, r.max)
		}
	}
	if listed == len(fields) {
		return nil
	}
	for name := range fields {
		known := false
		for _, r := range rules {
			known = known || r.name == name
		}
		if !known {
			return violate(eftBadField, "%s is not a field of this service", name)
		}
	}
	return nil
}

func wallet(paytype, paymentType string) *violation {
	for _, w := range eftpayWallets[paytype] {
		if w == paymentType {
			return nil
		}
	}
	return violate(eftBadField, "payment_type %q is no wallet of paytype %q", paymentType, paytype)
}

func (s *Sim) checkNotifyURL(raw string) *violation {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return violate(eftBadField, "notify_url is not an absolute http address")
	case s.cfg.NotifyPorts && u.Port() != "" && u.Port() != "80" && u.Port() != "443":
		return violate(eftBadField, "notify_url has port %s, production allows 80 and 443", u.Port())
	}
	return nil
}
