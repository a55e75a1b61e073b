package bluepay

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func printedEveryWay(v any) []string {
	var out []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		out = append(out, fmt.Sprintf(verb, v))
	}
	return out
}

// PKCS#1 v1.5 has no randomness: OpenSSL and we must agree to the byte, over a
// param that we must serialise to the byte.
func TestSignIsWhatOpenSSLSigns(t *testing.T) {
	g, w := answering(t, "{}")
	call, err := g.Sign(sample())
	if err != nil {
		t.Fatal(err)
	}
	call(context.Background())
	want := sent{Path: "/open-api/payment/refund", AppID: "733b887a4a784708bb369524db5b6ded",
		Sign: file(t, "refund_param.sign"), Param: file(t, "refund_param.json")}
	if len(w.got) != 1 || w.got[0] != want {
		t.Errorf("sent %+v\nwant %+v", w.got, want)
	}
}

func TestVerifyTakesWhatOpenSSLSigned(t *testing.T) {
	g, _ := answering(t, "")
	rotated := on(t, &wire{}, merchant(block("verify_key_files: [next_public.pem]\n")))
	param := file(t, "notification_param.json")
	old, next := file(t, "notification_param.sign"), file(t, "notification_param.next.sign")
	for _, c := range []struct {
		name string
		g    *Gateway
		sign string
		want bool
	}{
		{"the gateway's key", g, old, true},
		{"the next key, not configured", g, next, false},
		{"rotation: the old key", rotated, old, true},
		{"rotation: the next key", rotated, next, true},
		{"the merchant's own key", g, file(t, "refund_param.sign"), false},
		{"no Base64", g, "!", false},
		{"cut", g, old[:len(old)-4], false},
	} {
		if got := c.g.verified(param, c.sign); got != c.want {
			t.Errorf("%s: verified=%v, want %v", c.name, got, c.want)
		}
	}
	if g.verified(param+" ", old) {
		t.Error("a param with one more blank was verified")
	}
}

// Whatever the reason says, the gateway reads back from the string that was
// signed exactly what was meant.
func TestParamSurvivesAnyReason(t *testing.T) {
	key := privateKey(t, "merchant.pem")
	rapid.Check(t, func(rt *rapid.T) {
		g, w := answering(t, "{}")
		r := sample()
		r.Reason = rapid.StringN(1, maxReason, -1).Draw(rt, "reason")
		r.Amount.Minor = rapid.Int64Range(1, 1<<53-1).Draw(rt, "amount")
		if g.Check(r) != nil {
			rt.Fatalf("refused: %+v", g.Check(r))
		}
		call, err := g.Sign(r)
		if err != nil {
			rt.Fatal(err)
		}
		call(context.Background())
		var back refundParam
		if err := json.Unmarshal([]byte(w.got[0].Param), &back); err != nil {
			rt.Fatal(err)
		}
		if back.RefundReason != r.Reason || back.RefundAmount != r.Amount.Minor || back.MchRefundOrderID != r.RefundNo {
			rt.Errorf("sent %+v for %+v", back, r)
		}
		if again, err := signature(key, []byte(w.got[0].Param)); err != nil || again != w.got[0].Sign {
			rt.Error("what was sent is not what was signed")
		}
	})
}

func TestTimestampIsFreshAtEachSign(t *testing.T) {
	for unit, want := range map[string][]int64{"seconds": {1722415059, 1722415062}, "milliseconds": {1722415059000, 1722415062000}} {
		w := &wire{body: "{}"}
		g := on(t, w, merchant(block("timestamp_unit: "+unit+"\n")))
		for i := range want {
			g.now = func() time.Time { return signedAt.Add(time.Duration(i) * 3 * time.Second) }
			call, err := g.Sign(sample())
			if err != nil {
				t.Fatal(err)
			}
			g.now = func() time.Time { return signedAt.Add(time.Hour) } // after the signing: must not matter
			call(context.Background())
			var param refundParam
			if err := json.Unmarshal([]byte(w.got[i].Param), &param); err != nil {
				t.Fatal(err)
			}
			if param.Timestamp != want[i] {
				t.Errorf("%s: timestamp %d, want %d", unit, param.Timestamp, want[i])
			}
		}
	}
}
