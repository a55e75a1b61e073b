package events

import (
	"bytes"
	"errors"
	"testing"

	"github.com/refundworker/refundworker/internal/refund"
)

// modes are the headers under which a fuzzed value is read.
var modes = [][]Header{
	nil, binary(), headers("content-type", "application/cloudevents+json"),
	headers("content-type", "application/json", "ce_specversion", "1.0", "ce_type", TypeStatus, "ce_id", "1", "ce_source", "/x"),
}

// Whatever comes, the decoder answers a typed error of one line or a request that
// keeps the rules: it is encoded and read again as the same one.
func FuzzDecodeRequest(f *testing.F) {
	for _, seed := range append(jsonSeeds, structured(`"data":`+contractRequest), structured(`"data_base64":"e30="`), replaceField(contractRequest, "amount", "0.01")) {
		for mode := range modes {
			f.Add([]byte(seed), mode)
		}
	}
	f.Fuzz(func(t *testing.T, value []byte, mode int) {
		hs := modes[uint(mode)%uint(len(modes))]
		before := bytes.Clone(value)
		req, err := DecodeRequest(value, hs)
		if !bytes.Equal(before, value) {
			t.Fatal("the message was changed")
		}
		if err != nil {
			typed(t, err)
			if req != (refund.Request{}) {
				t.Fatalf("an error with a request: %+v", req)
			}
			return
		}
		if req.Amount.Minor <= 0 || req.OrderAmount.Minor <= 0 || req.Amount.Currency != req.OrderAmount.Currency || req.Merchant == "" || req.RefundNo == "" {
			t.Fatalf("against the rules: %+v", req)
		}
		again, hs := EncodeRequest(req)
		if got, err := DecodeRequest(again, hs); err != nil || !same(got, req) {
			t.Fatalf("%s read as %+v, %v; want %+v", again, got, err, req)
		}
		if follow, err := DecodeFollowUp(value, modes[uint(mode)%uint(len(modes))]); err != nil || !same(follow, req) {
			t.Fatalf("as follow-up %+v, %v; want %+v", follow, err, req)
		}
	})
}

// The same for status events: what is restored renders to the same bytes for ever.
func FuzzDecodeStatus(f *testing.F) {
	_, value, _ := EncodeStatus(succeeded())
	f.Add(value, []byte(`{"method":"WeChat"}`))
	for _, seed := range jsonSeeds {
		f.Add([]byte(seed), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, value, request []byte) {
		st, err := DecodeStatus(value, nil)
		if err != nil {
			typed(t, err)
			return
		}
		hs := headers(HeaderVersion, "1", HeaderEpoch, "0", HeaderRequest, string(request), HeaderContent,
			refund.Request{Key: st.Key, OrderNo: st.OrderNo, TransactionID: st.TransactionID, Amount: st.Amount, OrderAmount: st.OrderAmount}.Content())
		rec, err := RestoreRecord(value, hs)
		if err != nil {
			return
		}
		_, once, hs := EncodeStatus(rec)
		rec, err = RestoreRecord(once, hs)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if _, twice, _ := EncodeStatus(rec); !bytes.Equal(once, twice) {
			t.Fatalf("got  %s\nwant %s", twice, once)
		}
	})
}

func typed(t *testing.T, err error) {
	t.Helper()
	var failed *Error
	if !errors.As(err, &failed) || len(failed.Problems) == 0 || bytes.ContainsAny([]byte(err.Error()), "\n\r") || len(err.Error()) > 2000 {
		t.Fatalf("not a typed error of one short line: %q", err)
	}
}
