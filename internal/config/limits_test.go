package config

import (
	"fmt"
	"strings"
	"testing"
)

// laughs is a file in which each line names the one before it nine times.
func laughs(lines int) string {
	text := "a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n"
	for i := 1; i < lines; i++ {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	return text
}

// Files that unfold, nest or grow without end are refused in words: without the
// limits each would keep this test busy for longer than it may run.
func TestFilesWithoutEndAreRefused(t *testing.T) {
	merges := "m0: &m0 {k0: 1, k1: 1, k2: 1, k3: 1}\n"
	for i := 1; i < 30; i++ {
		merges += fmt.Sprintf("m%d: &m%d {x: *m%d, y: *m%d, <<: [*m%d, *m%d]}\n", i, i, i-1, i-1, i-1, i-1)
	}
	for name, row := range map[string]struct{ text, want string }{
		"laughs":        {laughs(40), "aliases unfold to more than 100000 values"},
		"merges":        {merges, "aliases unfold to more than 100000 values"},
		"laughs within": {merchant("    eftpay:\n      services: {" + strings.ReplaceAll(strings.TrimSpace(laughs(12)), "\n", ", ") + "}\n"), "aliases unfold"},
		"brackets":      {strings.Repeat("[", 100_000), "more than 100 levels deep"},
		"braces":        {"a: " + strings.Repeat("{a: ", 5_000), "more than 100 levels deep"},
		"size":          {"# " + strings.Repeat("x", 5<<20) + "\n" + merchant(""), "larger than 4194304 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(write(t, row.text), CheckMerchants(provider))
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("%.300v", err)
			}
		})
	}
	// What people write unfolds freely: a hundred merchants by one anchor.
	text := head + "  - &m\n    name: m\n    provider: eftpay\n    base_url: https://a.example\n    currency: HKD\n    eftpay: {user_confirm_key: k, secret: s}\n"
	for i := range 1000 {
		text += fmt.Sprintf("  - {<<: *m, name: m%d}\n", i)
	}
	if _, err := Load(write(t, text), CheckMerchants(provider)); err != nil {
		t.Errorf("%.300v", err)
	}
}

// Block style nests by indentation, which the brackets' limit does not see.
func TestDeepIndentation(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		text.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	if _, err := Load(write(t, text.String())); err == nil {
		t.Error("no finding")
	}
}
