package gatewaysim

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	eftMerchant = "S0003469"
	eftSecret   = "top secret"
	blueApp     = "733b887a4a784708bb369524db5b6ded"
	shopURL     = "http://us.example/callback"
)

// shop is a merchant that follows both vendors' pages, over Transport or over
// a socket.
type shop struct {
	t    *testing.T
	sim  *Sim
	http *http.Client
	base string
	blue BluePayMerchant
}

var keys = sync.OnceValue(func() (m BluePayMerchant) {
	merchant, err := ParsePrivateKey(testKey("merchant.pkcs8.pem"))
	if err != nil {
		panic(err)
	}
	gateway, err := ParsePrivateKey(testKey("gateway.pkcs1.pem"))
	if err != nil {
		panic(err)
	}
	merchantPrivate = merchant
	return BluePayMerchant{AppID: blueApp, MerchantKey: &merchant.PublicKey, GatewayKey: gateway, Currency: "THB"}
})

// open makes a simulator with one merchant at each gateway, reached without
// a socket. change adapts its configuration.
func open(t *testing.T, change func(*Config)) *shop {
	t.Helper()
	cfg := Config{EftPay: []EftPayMerchant{{UserConfirmKey: eftMerchant, Secret: eftSecret}}, BluePay: []BluePayMerchant{keys()}}
	if change != nil {
		change(&cfg)
	}
	sim, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	return &shop{t: t, sim: sim, base: "http://sim", blue: keys(),
		http: &http.Client{Transport: sim.Transport(), CheckRedirect: noRedirect}}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// overSocket moves the shop to a real listener.
func (c *shop) overSocket() *shop {
	c.t.Helper()
	server, err := c.sim.Listen("127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	transport := &http.Transport{}
	c.t.Cleanup(transport.CloseIdleConnections)
	c.base, c.http = server.URL(), &http.Client{Transport: transport, CheckRedirect: noRedirect}
	return c
}

// answer is what came back: err where no whole answer did.
type answer struct {
	err    error
	status int
	header http.Header
	body   []byte
	fields map[string]value // eftPay
	code   int              // BluePay
	data   map[string]any
	list   []map[string]any
}

func (a answer) field(name string) string { return a.fields[name].text }

func (c *shop) post(ctx context.Context, path string, body []byte) (a answer) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	a.status, a.header = response.StatusCode, response.Header
	a.body, a.err = io.ReadAll(response.Body)
	return a
}

func (c *shop) stamp() string { return c.sim.clock.Now().In(vendorZone).Format("20060102150405") }

// eft builds a signed eftPay body from pairs; a pair with the value "-"
// removes the field.
func (c *shop) eft(fields map[string]string, pairs ...string) []byte {
	fields = maps.Clone(fields)
	if fields["time"] == "" {
		fields["time"] = c.stamp()
	}
	for i := 0; i < len(pairs); i += 2 {
		if fields[pairs[i]] = pairs[i+1]; pairs[i+1] == "-" {
			delete(fields, pairs[i])
		}
	}
	if _, given := fields["sign"]; !given {
		flat := map[string]value{}
		for k, v := range fields {
			flat[k] = value{kindString, v}
		}
		fields["sign"] = eftpaySign(eftSecret, flat, false)
	}
	body, _ := json.Marshal(fields)
	return body
}

// eftRefundFields is the seed page's sample.
func eftRefundFields(no string) map[string]string {
	return map[string]string{"service": "service.wechat.jsapi.Refund", "user_confirm_key": eftMerchant, "transaction_amount": "0.01",
		"out_trade_no": "rrn_1686280006045", "paytype": "WeChat", "payment_type": "WECHATCN", "refund_no": no, "tid": "tid_3378",
		"total_fee": "10.01", "refund_desc": "test测试退款"}
}

func eftQueryFields(no string) map[string]string {
	return map[string]string{"querytype": "OUT_TRADE", "out_trade_no": "rrn_1686280006045", "refund_no": no,
		"user_confirm_key": eftMerchant, "paytype": "WeChat", "payment_type": "WECHATCN"}
}

func (c *shop) eftSend(path string, body []byte) answer {
	c.t.Helper()
	a := c.post(c.t.Context(), path, body)
	if a.err == nil {
		a.fields, _ = parseFlat(a.body)
	}
	return a
}

func (c *shop) eftRefund(no string, pairs ...string) answer {
	c.t.Helper()
	return c.eftSend("/VMP/Servlet/JSAPIService.do", c.eft(eftRefundFields(no), pairs...))
}

func (c *shop) eftApply(no string, pairs ...string) answer {
	c.t.Helper()
	return c.eftRefund(no, append([]string{"service", "service.wechat.jsapi.ApplyRefund", "notify_url", shopURL}, pairs...)...)
}

func (c *shop) eftQuery(no string, pairs ...string) answer {
	c.t.Helper()
	return c.eftSend("/VMP/Servlet/QRcodeTradeQuery.do", c.eft(eftQueryFields(no), pairs...))
}

func (c *shop) eftQueryB(no string, pairs ...string) answer {
	c.t.Helper()
	return c.eftSend("/VMP/Servlet/JSAPIService.do", c.eft(map[string]string{"service": eftpayQueryB, "querytype": "OUT_TRADE",
		"out_trade_no": "rrn_1686280006045", "refund_no": no, "user_confirm_key": eftMerchant}, pairs...))
}

// param is BluePay's 5.1 sample with a present timestamp; change adapts it.
func (c *shop) param(no string, change map[string]any) map[string]any {
	p := map[string]any{"originalTransactionId": "CU518563189147832780", "mchRefundOrderId": no, "refundAmount": 10000,
		"refundReason": "testRefund", "refundCallbackUrl": shopURL, "timestamp": c.sim.clock.Now().Unix()}
	override(p, change)
	return p
}

// envelope signs param as it stands.
func (c *shop) envelope(param string) []byte {
	sign, err := bluepaySign(merchantPrivate, param)
	if err != nil {
		c.t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]string{"appId": blueApp, "sign": sign, "param": param})
	return body
}

func (c *shop) blueSend(path string, param map[string]any) answer {
	c.t.Helper()
	raw, _ := json.Marshal(param)
	return c.blueRaw(path, c.envelope(string(raw)))
}

func (c *shop) blueRaw(path string, body []byte) answer {
	c.t.Helper()
	a := c.post(c.t.Context(), path, body)
	if a.err == nil {
		var x struct {
			Code int
			Data json.RawMessage
		}
		if json.Unmarshal(a.body, &x) == nil {
			a.code = x.Code
			_ = json.Unmarshal(x.Data, &a.data)
			_ = json.Unmarshal(x.Data, &a.list)
		}
	}
	return a
}

func (c *shop) blueRefund(no string, change map[string]any) answer {
	c.t.Helper()
	return c.blueSend("/open-api/payment/refund", c.param(no, change))
}

func (c *shop) blueQuery(change map[string]any) answer {
	c.t.Helper()
	p := map[string]any{"originalTransactionId": "CU518563189147832780", "timestamp": c.sim.clock.Now().Unix()}
	override(p, change)
	return c.blueSend("/open-api/refund/payments", p)
}

// moved is the sum and the number of movements of a refund number.
func (c *shop) moved(merchant, no string) (int64, int) {
	r, _ := c.sim.Refund(merchant, no)
	return r.Moved, r.Movements
}

func (c *shop) wantMoved(merchant, no string, amount int64, times int) {
	c.t.Helper()
	if a, n := c.moved(merchant, no); a != amount || n != times {
		c.t.Errorf("refund %s: %d moved in %d movements, want %d in %d", no, a, n, amount, times)
	}
}

func (c *shop) wantRefusals(n int) {
	c.t.Helper()
	if list, got := c.sim.Refusals(); got != n {
		c.t.Errorf("%d refusals, want %d: %v", got, n, list)
	}
}

// desk is the merchant's callback address, as a RoundTripper: it keeps what
// came and answers as told.
type desk struct {
	mu    sync.Mutex
	got   []string
	times []time.Time
	reply func(n int, body string) (int, string)
}

func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.got = append(d.got, string(body))
	d.times = append(d.times, time.Now())
	n := len(d.got)
	d.mu.Unlock()
	status, reply := d.reply(n, string(body))
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(reply)), Request: r}, nil
}

func (d *desk) bodies() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.got...)
}

// acknowledge replies as either vendor expects, by what came in.
func acknowledge(now func() time.Time) func(int, string) (int, string) {
	return func(_ int, body string) (int, string) {
		if strings.Contains(body, `"param"`) {
			return 200, `{"code":10000,"message":"Success"}`
		}
		fields := map[string]value{"return_code": {kindString, "success"}, "time": {kindString, now().In(vendorZone).Format("20060102150405")}}
		return 200, `{"return_code":"success","time":"` + fields["time"].text + `","sign":"` + eftpaySign(eftSecret, fields, false) + `"}`
	}
}

var merchantPrivate *rsa.PrivateKey // set by keys

func testKey(name string) string {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// pass lets d of a synctest bubble's time go by, and all that is due in it
// come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (c *shop) blueWithin(d time.Duration, param map[string]any) {
	raw, _ := json.Marshal(param)
	c.within(d, "/open-api/payment/refund", c.envelope(string(raw)))
}
