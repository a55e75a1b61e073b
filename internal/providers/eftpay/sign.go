package eftpay

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"
	"unicode/utf8"
)

// keyring signs with one secret and accepts it and those of a rotation. The
// secrets are nowhere else, and it prints without them.
type keyring struct {
	secret    string
	accepted  []string
	keepEmpty bool
}

// newKeyring takes the secrets out of the settings.
func newKeyring(s *settings) *keyring {
	k := &keyring{secret: s.Secret, accepted: append([]string{s.Secret}, s.VerifySecrets...), keepEmpty: s.SignEmpty == keepEmpty}
	s.Secret, s.VerifySecrets = "", nil
	return k
}

func (k keyring) String() string   { return "keyring" }
func (k keyring) GoString() string { return "keyring" }

// canonical is what is signed, without the secret before it: every field but
// sign, sorted by its name's bytes, joined as name=value by "&", values raw.
func (k *keyring) canonical(f fields) string { return string(k.appendCanonical(nil, f)) }

func (k *keyring) appendCanonical(text []byte, f fields) []byte {
	begin := len(text)
	for _, name := range sortedNames(make([]string, 0, usualFields), f) {
		if name == "sign" || f[name] == "" && !k.keepEmpty {
			continue
		}
		if len(text) > begin {
			text = append(text, '&')
		}
		text = append(append(append(text, name...), '='), f[name]...)
	}
	return text
}

// sortedNames appends the names of fields to an empty list, which whoever signs has
// on the stack.
func sortedNames(names []string, f fields) []string {
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// usualBytes are enough for most of what is signed.
const usualBytes = 512

// signature is lowercase hex of SHA-256 over the secret and the canonical text
// (no HMAC: four integrators agree, see the package's sources).
func signature(secret, canonical string) string { return hexSum([]byte(secret + canonical)) }

// signatureOf is signature(secret, k.canonical(f)), of a text that most fields leave
// on the stack.
func (k *keyring) signatureOf(secret string, f fields) string {
	text := append(make([]byte, 0, 2*usualBytes), secret...)
	return hexSum(k.appendCanonical(text, f))
}

func hexSum(text []byte) string {
	sum := sha256.Sum256(text)
	var digits [2 * len(sum)]byte
	hex.Encode(digits[:], sum[:])
	return string(digits[:])
}

// sign stamps the fields with now, signs them, and answers the body that holds
// exactly them.
func (k *keyring) sign(f fields, now time.Time) ([]byte, error) {
	for _, value := range f {
		if !utf8.ValidString(value) {
			return nil, errors.New("a field is not UTF-8, so JSON cannot hold what would be signed")
		}
	}
	f["time"] = now.In(zone).Format(stamp)
	f["sign"] = k.signatureOf(k.secret, f)
	return written(f), nil
}

// written are the fields as a JSON object, sorted by name as encoding/json does.
func written(f fields) []byte {
	b := append(make([]byte, 0, usualBytes), '{')
	for i, name := range sortedNames(make([]string, 0, usualFields), f) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, name)
		b = append(b, ':')
		b = appendString(b, f[name])
	}
	return append(b, '}')
}

// appendString writes one JSON string, without HTML's escapes.
func appendString(b []byte, s string) []byte {
	if asIs(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string cannot fail, nor can a Buffer
	return append(b, bytes.TrimSpace(quoted.Bytes())...)
}

// asIs says whether a JSON string holds s as it is.
func asIs(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// verdict of a signature.
type verdict int

const (
	unsigned verdict = iota
	forged
	genuine
)

// verify holds the sign field against all accepted secrets, in constant time.
func (k *keyring) verify(f fields) verdict {
	sign := f["sign"]
	if sign == "" {
		return unsigned
	}
	right := 0
	for _, secret := range k.accepted {
		right |= subtle.ConstantTimeCompare([]byte(sign), []byte(k.signatureOf(secret, f)))
	}
	if right == 1 {
		return genuine
	}
	return forged
}
