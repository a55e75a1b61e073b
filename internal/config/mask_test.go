package config

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// plainly prints a configuration without what only tells where it stands.
func plainly(c *Config) string {
	copied := *c
	copied.doc, copied.Merchants = nil, nil
	text := fmt.Sprintf("%+v", copied)
	for _, m := range c.Merchants {
		m.doc, m.path, m.block, m.print = nil, "", nil, [32]byte{}
		text += fmt.Sprintf(" %+v", m)
	}
	return text
}

// Wherever a secret stands, in whatever style, and whatever is wrong around it: no
// finding shows it.
func TestNoFindingShowsASecret(t *testing.T) {
	const canary = "c4n4ry"
	t.Setenv("CANARY", canary)
	styles := []string{canary, `"` + canary + `"`, `'` + canary + `'`, `"${CANARY}"`, `"x${CANARY}` + canary + `"`, `"\x63` + canary[1:] + `"`, "&a " + canary, "!!str " + canary, "[" + canary + "]", "{a: " + canary + "}",
		`"` + canary + "\n      " + canary + `"`, "|\n        " + canary + "\n        " + canary, ">-\n        " + canary, "\n        - " + canary + "\n        - \"" + canary + "\""}
	keys := []string{"secret", "verify_secrets", "password", "secert", "pasword", "private_key", "key_passphrase", "unknown"}
	broken := []string{"", "\n  broken: [", "\nx: @", "\nx: \"", "\n\t- x", "\nkafka: 5", "\nx: *nobody", "\n---\nb: 1"}
	rapid.Check(t, func(r *rapid.T) {
		key := rapid.SampledFrom(keys).Draw(r, "key")
		style := rapid.SampledFrom(styles).Draw(r, "style")
		line := "    eftpay:\n      " + key + ": " + style
		if rapid.Bool().Draw(r, "in braces") && !strings.ContainsAny(style, "\n|>") {
			line = "    eftpay: {user_confirm_key: 5, sign_empty: no, " + key + ": " + style + ", services: 7}"
		}
		text := merchant(line + "\n    rate: none" + rapid.SampledFrom(broken).Draw(r, "broken") + "\n")
		if rapid.Bool().Draw(r, "other provider") {
			text = strings.Replace(text, "provider: eftpay", "provider: bluepay", 1)
		}
		if rapid.Bool().Draw(r, "cut") {
			text = text[:rapid.IntRange(0, len(text)).Draw(r, "at")]
		}
		cfg, err := Load(write(t, text), CheckMerchants(provider))
		if err == nil {
			var b block
			for i, m := range cfg.Merchants {
				err = Join(err, cfg.MerchantFinding(i, m.Account().Decode(&b)))
			}
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			r.Fatalf("of\n%s\nthis is shown:\n%s", text, err)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add(merchant("    eftpay: {secret: \"${PATH}\"}\n"))
	f.Add("a: &x {b: *x}\n<<: [*x, {a: b}]\n? [1]\n: - 2\n")
	f.Add("kafka: {brokers: [a:1:2, b:c, {d: e}], tls: !!map {}}\nredis: >-\n  x\nmerchants: [[], {}, null, 5]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file") { // reads no file of the machine
			return
		}
		cfg, err := Load(write(t, text), CheckMerchants(provider))
		if (cfg == nil) == (err == nil) {
			t.Fatalf("%v, %v", cfg, err)
		}
	})
}
