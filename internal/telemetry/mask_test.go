package telemetry

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestMaskCards(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"no digits":                          "no digits",
		"4111111111111111":                   "411111******1111",
		"card 4111111111111111, ok":          "card 411111******1111, ok",
		"4111 1111 1111 1111":                "4111 11** **** 1111",
		"4111-1111-1111-1111.":               "4111-11**-****-1111.",
		"3782 822463 10005":                  "3782 82**** *0005",          // American Express: 15 digits
		"6304000000000000000":                "630400*********0000",        // 19 digits
		"4222222222222":                      "422222***2222",              // 13 digits
		"411111111111111":                    "411111111111111",            // 15 digits, the check fails
		"4111111111111112":                   "4111111111111112",           // the check fails
		"41111111111111111111":               "41111111111111111111",       // 20 digits are no card, nor is a part of them
		"2026-11-22 09:58:59 +08:00":         "2026-11-22 09:58:59 +08:00", // a time
		"x4111111111111111y":                 "x411111******1111y",
		"4111111111111111 and 4222222222222": "411111******1111 and 422222***2222",
		"4111 1111 1111 1111 123":            "4111 11** **** 1111 123", // and what is on its back
		"4111 1111 1111 1111 12/27":          "4111 11** **** 1111 12/27",
		"exp 2026 4111 1111 1111 1111":       "exp 2026 4111 11** **** 1111",
		"41111111 11111111":                  "411111** ****1111",
		"4111.1111.1111.1111":                "4111.11**.****.1111",
		"4111_1111_1111_1111":                "4111_11**_****_1111",
		"4111  1111  1111  1111":             "4111  11**  ****  1111",
		"4111\u00a01111\u00a01111\u00a01111": "4111\u00a011**\u00a0****\u00a01111",
		"1.2.840.113549.1.9.16.2.47":         "1.2.840.113549.1.9.16.2.47", // an object identifier
		"offset 12345 of refund.requests/3":  "offset 12345 of refund.requests/3",
	} {
		if got := MaskCards(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// Whatever stands around it, a card is never shown whole, and nothing else changes.
func TestNoCardIsShown(t *testing.T) {
	const card = "4111111111111111"
	rapid.Check(t, func(r *rapid.T) {
		before := rapid.StringMatching(`([a-z:"{=é世]{0,10}[ ,:]([0-9]{1,4} )?)?`).Draw(r, "before")
		after := rapid.StringMatching(`([,}"a-z][0-9a-zé]{0,10}| [0-9]{2,4})?`).Draw(r, "after")
		got := MaskCards(before + card + after)
		if strings.Contains(got, card) || !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after) || !utf8.ValidString(got) {
			r.Fatalf("%q", got)
		}
	})
}

func FuzzMaskCards(f *testing.F) {
	f.Add("4111 1111 1111 1111 x 4222222222222")
	f.Fuzz(func(t *testing.T, text string) {
		got := MaskCards(text)
		for i := range got {
			if got[i] != text[i] && (got[i] != '*' || !digit(text[i])) {
				t.Fatalf("%q becomes %q", text, got)
			}
		}
		if len(got) != len(text) {
			t.Fatalf("%q becomes %q", text, got)
		}
	})
}

func BenchmarkMaskCardsOfALine(b *testing.B) {
	line := `{"level":"info","process":"worker","merchant":"S0003469","refund_no":"201901010011","provider":"eftpay","status":"SUCCEEDED","sequence":2,"attempt":1,"time":"2026-11-22T09:58:59Z","message":"refund"}`
	for b.Loop() {
		MaskCards(line)
	}
}
