package eftpay

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Vectors made by another implementation of SHA-256 over the secret and the text
// as the vendor describes it, not by this package.
func TestSignatureVectors(t *testing.T) {
	page := with(notification)
	for name, test := range map[string]struct {
		fields map[string]string
		keep   bool
		want   string
	}{
		"notification":             {page, false, "e4114209650bded4bbe1ff6006154b10a6230ee2a6b09bebde9c18c7ee6f4d59"},
		"empty values are dropped": {map[string]string{"b": "2", "a": "1", "empty": "", "sign": "x"}, false, "70129bbdb7e2f6daeb925ce8c1bbca9abf12f66d6f4059de717c7a9431a503ee"},
		"empty values are kept":    {map[string]string{"b": "2", "a": "1", "empty": "", "sign": "x"}, true, "ae149a3b38445f6d85cbf609db416aba330bf71bf0322fcbe8a5d9f56bfd924c"},
		"sorted by bytes, raw":     {map[string]string{"a_b": "退 款", "aB": "x y+%20", "Z": "&"}, false, "ffcad5e73718440fd4a10763e037c5844a23ef3be5b08036dd95a84ec74f2750"},
	} {
		k := &keyring{keepEmpty: test.keep}
		if got := signature("secret-of-the-test", k.canonical(test.fields)); got != test.want {
			t.Errorf("%s: %s over %q, want %s", name, got, k.canonical(test.fields), test.want)
		}
	}
}

func TestSignStampsInUTC8AndSendsWhatItSigned(t *testing.T) {
	k := &keyring{secret: testSecret, accepted: []string{testSecret}}
	body, err := k.sign(fields{"a": "<退&款>", "empty": ""}, time.Date(2023, 6, 8, 20, 6, 46, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseFlat(body)
	if err != nil || got["time"] != "20230609040646" || got["a"] != "<退&款>" {
		t.Fatalf("%s: %v", body, err)
	}
	if k.verify(got) != genuine {
		t.Error("the signature is not over what is sent")
	}
	if _, err := k.sign(fields{"a": "\xff"}, time.Now()); err == nil {
		t.Error("JSON would change what was signed")
	}
}

func TestVerifyAcceptsTheRotatedSecretOnlyWhereConfigured(t *testing.T) {
	f, err := parseFlat([]byte(signedBody(notification, "the-old-one")))
	if err != nil {
		t.Fatal(err)
	}
	if got := (&keyring{accepted: []string{testSecret}}).verify(f); got != forged {
		t.Errorf("another secret: %v", got)
	}
	if got := (&keyring{accepted: []string{testSecret, "the-old-one"}}).verify(f); got != genuine {
		t.Errorf("a secret in rotation: %v", got)
	}
	delete(f, "sign")
	if got := (&keyring{accepted: []string{testSecret}}).verify(f); got != unsigned {
		t.Errorf("no sign: %v", got)
	}
}

func object() *rapid.Generator[fields] {
	name := rapid.StringMatching(`[a-zA-Z_]{1,12}`).Filter(func(s string) bool { return s != "sign" })
	value := rapid.String().Filter(func(s string) bool { return !ambiguous("x", s) && utf8.ValidString(s) })
	return rapid.Custom(func(t *rapid.T) fields { return rapid.MapOfN(name, value, 1, 12).Draw(t, "fields") })
}

// A body is what the standard library would write, byte for byte.
func TestABodyIsWrittenAsEncodingJSONDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := object().Draw(t, "fields")
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
		if got := written(f); string(got)+"\n" != want.String() {
			t.Fatalf("%s, want %s", got, &want)
		}
	})
}

// Any field changed, added or dropped breaks the signature, unless the signed text
// does not hold it (an empty one, where those are dropped).
func TestAnyChangeBreaksTheSignature(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := &keyring{accepted: []string{testSecret}, keepEmpty: rapid.Bool().Draw(t, "keep")}
		f := object().Draw(t, "fields")
		f["sign"] = signature(testSecret, k.canonical(f))
		if k.verify(f) != genuine {
			t.Fatal("unchanged, it is refused")
		}
		changed, names := maps.Clone(f), make([]string, 0, len(f))
		for name := range f {
			names = append(names, name)
		}
		name := rapid.SampledFrom(names).Draw(t, "name")
		value := rapid.String().Filter(func(s string) bool { return !ambiguous("x", s) }).Draw(t, "value")
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			changed[name] = value
		case 1:
			delete(changed, name)
		case 2:
			changed["x"+rapid.StringMatching(`[a-z]{3}`).Draw(t, "added")] = value
		}
		same := k.canonical(changed) == k.canonical(f) && changed["sign"] == f["sign"]
		if got := k.verify(changed) == genuine; got != same {
			t.Fatalf("%q signed as %q: accepted %v", changed, f["sign"], got)
		}
		if same && visible(changed, k.keepEmpty) != visible(f, k.keepEmpty) {
			t.Fatalf("%q and %q have one signature", changed, f)
		}
	})
}

// visible is what a reader makes of the fields: an empty one is as good as none.
func visible(f fields, keep bool) string {
	seen := map[string]string{}
	for k, v := range f {
		if k != "sign" && (keep || v != "") {
			seen[k] = v
		}
	}
	return fmt.Sprint(seen)
}

// Two different messages that the parser accepts never have the same signed text:
// nobody can move a boundary between fields. Each message is cut anew at any "&"
// and "=" of its text.
func TestNoOtherSplitHasTheSameSignature(t *testing.T) {
	k := &keyring{keepEmpty: true}
	both := func(one, other fields) bool {
		for _, f := range []fields{one, other} {
			body, err := json.Marshal(f)
			if err != nil {
				panic(err)
			}
			if _, err := parseFlat(body); err != nil {
				return false
			}
		}
		return k.canonical(one) == k.canonical(other) && !maps.Equal(one, other)
	}
	for _, pair := range [][2]fields{
		{{"a": "1&b=2"}, {"a": "1", "b": "2"}},
		{{"a": "1", "b&c": "2"}, {"a": "1&b", "c": "2"}},
		{{"a=b": "c"}, {"a": "b=c"}},
	} {
		if k.canonical(pair[0]) != k.canonical(pair[1]) {
			t.Fatalf("%q and %q differ when signed: this shows nothing", pair[0], pair[1])
		}
		if both(pair[0], pair[1]) {
			t.Errorf("%q and %q are both read, and have one signature", pair[0], pair[1])
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.StringOfN(rapid.SampledFrom([]rune("ab1&=")), 0, 6, -1)
		one := rapid.MapOfN(piece, piece, 1, 3).Draw(t, "one")
		tokens := strings.Split(k.canonical(one), "&")
		other := fields{}
		for len(tokens) > 0 {
			n := rapid.IntRange(1, len(tokens)).Draw(t, "tokens in this field")
			field := strings.Join(tokens[:n], "&")
			tokens = tokens[n:]
			cut := rapid.IntRange(0, len(field)).Draw(t, "cut")
			at := strings.IndexByte(field[cut:], '=')
			if at < 0 {
				return // no such split
			}
			other[field[:cut+at]] = field[cut+at+1:]
		}
		if both(one, other) {
			t.Fatalf("%q and %q are both read, and have one signature", one, other)
		}
	})
}

// Length extension: with one signed message and no secret, anybody can sign that
// message with padding and more behind it. Such a text is never valid UTF-8, so no
// JSON that is read can hold it.
func TestLengthExtensionIsNotReadable(t *testing.T) {
	k := &keyring{accepted: []string{testSecret}}
	f := fields{}
	maps.Copy(f, notification)
	text := k.canonical(f)
	known := signature(testSecret, text)

	// The attacker continues the hash from its published value.
	length := len(testSecret) + len(text)
	padding := append([]byte{0x80}, make([]byte, (119-length%64)%64)...)
	bits := uint64(length) * 8
	for shift := 56; shift >= 0; shift -= 8 {
		padding = append(padding, byte(bits>>shift))
	}
	state, _ := hex.DecodeString(known)
	frozen := append([]byte("sha\x03"), state...)
	frozen = append(frozen, make([]byte, 64)...)
	consumed := uint64(length + len(padding))
	for shift := 56; shift >= 0; shift -= 8 {
		frozen = append(frozen, byte(consumed>>shift))
	}
	hash := sha256.New()
	if err := hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(frozen); err != nil {
		t.Fatal(err)
	}
	hash.Write([]byte("&zz=1"))
	extended := fields{}
	maps.Copy(extended, f)
	extended["wallet"] += string(padding)
	extended["zz"] = "1"
	extended["sign"] = hex.EncodeToString(hash.Sum(nil))
	if k.verify(extended) != genuine {
		t.Fatal("the attack no longer works on the bare signature: this test proves nothing")
	}

	raw := `{"wallet":"` + extended["wallet"] + `","sign":"` + extended["sign"] + `"}`
	if _, err := parseFlat([]byte(raw)); err == nil {
		t.Error("raw bytes that are not UTF-8 were read")
	}
	escaped, _ := json.Marshal(extended) // writes U+FFFD for what is not UTF-8
	if got, err := parseFlat(escaped); err == nil && k.verify(got) == genuine {
		t.Error("the extended message was accepted")
	}
}
