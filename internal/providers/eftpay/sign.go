package eftpay

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
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
func (k *keyring) canonical(f fields) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if name == "sign" || f[name] == "" && !k.keepEmpty {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name + "=" + f[name])
	}
	return b.String()
}

// signature is lowercase hex of SHA-256 over the secret and the canonical text
// (no HMAC: four integrators agree, see the package's sources).
func signature(secret, canonical string) string {
	sum := sha256.Sum256([]byte(secret + canonical))
	return hex.EncodeToString(sum[:])
}

// sign stamps the fields with now, signs them, and answers the body that holds
// exactly them.
func (k *keyring) sign(f fields, now time.Time) ([]byte, error) {
	f["time"] = now.In(zone).Format(stamp)
	canonical := k.canonical(f)
	if !utf8.ValidString(canonical) {
		return nil, errors.New("a field is not UTF-8, so JSON cannot hold what would be signed")
	}
	f["sign"] = signature(k.secret, canonical)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
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
	canonical, right := k.canonical(f), 0
	for _, secret := range k.accepted {
		right |= subtle.ConstantTimeCompare([]byte(sign), []byte(signature(secret, canonical)))
	}
	if right == 1 {
		return genuine
	}
	return forged
}
