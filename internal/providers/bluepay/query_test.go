package bluepay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/refund"
)

// entry is one refund of a list of 5.2; empty fields are those of sample.
type entry struct{ no, original, id, amount, status string }

func (e entry) json() string {
	return fmt.Sprintf(`{"mchRefundOrderId":%q,"originalTransactionId":%q,"refundTransactionId":%q,"refundAmount":%s,"feeRefunded":0,`+
		`"refundStatus":%q,"refundCreateTime":"2024-07-31 16:37:40","refundReturnTime":"2024-07-31 16:38:02","failedCode":"","failedMessage":""}`,
		cmp.Or(e.no, "refund488455057142"), cmp.Or(e.original, "CU518563189147832780"), cmp.Or(e.id, "1818566685947728"), cmp.Or(e.amount, "10000"), e.status)
}

func list(entries ...entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.json())
	}
	return `{"code":10000,"message":"Success","data":[` + strings.Join(all, ",") + `]}`
}

func object(e entry) string { return `{"code":10000,"message":"Success","data":` + e.json() + `}` }

func TestQueryFindsOursAmongOthers(t *testing.T) {
	other := entry{no: "another1", status: "COMPLETE"}
	for _, c := range []struct {
		name, body string
		want       refund.Class
	}{
		{"alone", list(entry{status: "COMPLETE"}), refund.Succeeded},
		{"as an object", object(entry{status: "COMPLETE"}), refund.Succeeded},
		{"between others", list(other, entry{status: "FAILED"}, entry{no: "another2", status: "PENDING"}), refund.Declined},
		{"beside an unknown status", list(entry{no: "another2", status: "NEW"}, entry{status: "COMPLETE"}), refund.Succeeded},
		{"number in another case", list(entry{no: "REFUND488455057142", status: "COMPLETE"}), refund.NotFound},

		{"failed, then sent again and paid", list(entry{status: "FAILED"}, entry{id: "2", status: "COMPLETE"}), refund.Succeeded},
		{"paid, then sent again and failed", list(entry{status: "COMPLETE"}, entry{id: "2", status: "FAILED"}), refund.Succeeded},
		{"failed and pending", list(entry{status: "FAILED"}, entry{id: "2", status: "PENDING"}), refund.Pending},
		{"paid and not known", list(entry{status: "COMPLETE"}, entry{id: "2", status: "NEW"}), refund.Unknown},
		{"ours with another amount", list(entry{amount: "10001", status: "COMPLETE"}), refund.Unknown},
		{"ours of another payment", list(entry{original: "CU1", status: "COMPLETE"}), refund.Unknown},

		{"not in the list", list(other), refund.NotFound},
		{"an empty list", list(), refund.NotFound},
		{"not the one object", object(other), refund.Unknown},
		{"a list of another payment", list(entry{no: "another1", original: "CU1", status: "COMPLETE"}), refund.Unknown},
		{"a list that mixes payments", list(other, entry{no: "another2", original: "CU1", status: "COMPLETE"}), refund.Unknown},
		{"an entry without a number", strings.Replace(list(other), `"mchRefundOrderId":"another1",`, "", 1), refund.Unknown},
		{"an entry without its payment", strings.Replace(list(other), `"originalTransactionId":"CU518563189147832780",`, "", 1), refund.Unknown},
		{"an entry that is no object", `{"code":10000,"data":[7]}`, refund.Unknown},
		{"null", `{"code":10000,"data":null}`, refund.Unknown},
		{"no data", `{"code":10000}`, refund.Unknown},
		{"an empty object", `{"code":10000,"data":{}}`, refund.Unknown},
		{"text", `{"code":10000,"data":"[]"}`, refund.Unknown},
		{"a page of a list", `{"code":10000,"data":{"total":7,"list":[]}}`, refund.Unknown},
		{"transaction not found", `{"code":21006,"message":"Transaction not found","data":[]}`, refund.Unknown},
		{"an error with a list", `{"code":21000,"data":[]}`, refund.Unknown},
	} {
		if o := querying(t, &wire{body: c.body}, refund.Record{Request: sample()}); o.Class != c.want {
			t.Errorf("%s: %+v, want %s", c.name, o, c.want)
		}
	}
}

func TestQueryAsksByThePaymentOrElseByTheRefundsNumber(t *testing.T) {
	unmatched := refund.Record{Request: sample(), Last: refund.Event{ProviderRefundID: "1818566685947728"}}
	unmatched.Request.TransactionID = ""
	for _, c := range []struct {
		name, body string
		rec        refund.Record
		param      string
		want       refund.Class
	}{
		{"by the payment", list(entry{status: "PENDING"}), refund.Record{Request: sample(), Last: unmatched.Last},
			`{"originalTransactionId":"CU518563189147832780","timestamp":1722415059}`, refund.Pending},
		{"by the gateway's number", object(entry{status: "COMPLETE"}), unmatched, `{"refundTransactionId":"1818566685947728","timestamp":1722415059}`, refund.Succeeded},
		{"which proves no absence", list(), unmatched, `{"refundTransactionId":"1818566685947728","timestamp":1722415059}`, refund.Unknown},
		{"nor a list of others", list(entry{no: "another1", status: "FAILED"}), unmatched, `{"refundTransactionId":"1818566685947728","timestamp":1722415059}`, refund.Unknown},
	} {
		w := &wire{body: c.body}
		o := querying(t, w, c.rec)
		if o.Class != c.want || len(w.got) != 1 || w.got[0].Path != "/open-api/refund/payments" || w.got[0].Param != c.param {
			t.Errorf("%s: %+v after %+v, want %s and %s", c.name, o, w.got, c.want, c.param)
		}
		if sign, err := signature(privateKey(t, "merchant.pem"), []byte(c.param)); err != nil || len(w.got) == 1 && w.got[0].Sign != sign {
			t.Errorf("%s: the query is not signed over its param", c.name)
		}
	}
	w := &wire{}
	if o := querying(t, w, refund.Record{Request: refund.Request{Key: sample().Key}}); o.Class != refund.Unknown || len(w.got) != 0 {
		t.Errorf("nothing to ask by: %+v and %d requests, want unknown and none", o, len(w.got))
	}
}

// A query that cannot connect says nothing of the money; a call that cannot
// connect was not sent.
func TestRefusedConnection(t *testing.T) {
	w := &wire{err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}}
	if o := querying(t, w, refund.Record{Request: sample()}); o.Class != refund.Unknown || !o.Outage {
		t.Errorf("query: %+v, want unknown and an outage", o)
	}
	if o := refunding(t, w, sample()); o.Class != refund.NotSent || !o.Outage {
		t.Errorf("call: %+v, want not sent and an outage", o)
	}
}

func TestPingMovesNoMoneyAndTellsSettingsFromOutages(t *testing.T) {
	for body, want := range map[string]struct{ hold, outage bool }{
		list():                              {},
		`{"code":21006,"message":"x"}`:      {},
		`{"code":10000,"data":null}`:        {},
		`{"code":21001,"message":"x"}`:      {hold: true},
		`{"code":21016,"message":"x"}`:      {hold: true},
		`{"code":21000,"message":"x"}`:      {outage: true},
		"<html>":                            {outage: true},
		`{"code":21020,"message":"slowly"}`: {},
	} {
		g, w := answering(t, body)
		o := g.Ping(context.Background())
		if o.Hold != want.hold || o.Outage != want.outage {
			t.Errorf("%s: %+v, want %+v", body, o, want)
		}
		var param map[string]any
		if err := json.Unmarshal([]byte(w.got[0].Param), &param); err != nil || w.got[0].Path != "/open-api/refund/payments" || param["refundAmount"] != nil {
			t.Errorf("a ping sent %+v", w.got[0])
		}
	}
}

// A gateway that sends anything at all brings down nobody and proves nothing.
func FuzzQueryAnswer(f *testing.F) {
	f.Add(list(entry{status: "COMPLETE"}))
	f.Add(object(entry{status: "PENDING"}))
	f.Add(list())
	f.Add(`{"code":10000,"data":[{"mchRefundOrderId":"x","refundAmount":1}]}`)
	f.Add(`{"code":21006}`)
	f.Add("{\"code\":10000,\"data\":[\xff]}")
	f.Fuzz(func(t *testing.T, body string) {
		o := querying(t, &wire{body: body}, refund.Record{Request: sample()})
		switch o.Class {
		case refund.Succeeded, refund.Pending, refund.Declined, refund.Unknown:
		case refund.NotFound:
			var a map[string]json.RawMessage
			var entries []map[string]any
			if err := errors.Join(json.Unmarshal([]byte(body), &a), json.Unmarshal(a["data"], &entries)); err != nil {
				t.Fatalf("%q proved absence and is no list: %v", body, err)
			}
			for _, e := range entries {
				if e["originalTransactionId"] != "CU518563189147832780" || e["mchRefundOrderId"] == "refund488455057142" {
					t.Fatalf("%q proved absence", body)
				}
			}
		default:
			t.Fatalf("%q: class %s is not a query's", body, o.Class)
		}
	})
}
