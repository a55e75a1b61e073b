package bluepay

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// envelope is what every call sends (vendor page "Merchant Unified API Param").
type envelope struct {
	AppID string `json:"appId"`
	Sign  string `json:"sign"`
	Param string `json:"param"`
}

// seal serialises param once, signs exactly those bytes and wraps them. The
// answer is the body to send.
func (g *Gateway) seal(param any) ([]byte, error) {
	text, err := plainJSON(param)
	if err != nil {
		return nil, err
	}
	sign, err := signature(g.key, text)
	if err != nil {
		return nil, err
	}
	return plainJSON(envelope{AppID: g.appID, Sign: sign, Param: string(text)})
}

// signature is Base64( RSA PKCS#1 v1.5 with SHA-256 over text ).
func signature(key *rsa.PrivateKey, text []byte) (string, error) {
	digest := sha256.Sum256(text)
	sign, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(sign), nil
}

// verified says whether one of the gateway's keys signed text.
func (g *Gateway) verified(text, sign string) bool {
	raw, err := base64.StdEncoding.DecodeString(sign)
	if err != nil {
		return false
	}
	digest := sha256.Sum256([]byte(text))
	for _, key := range g.verify {
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw) == nil {
			return true
		}
	}
	return false
}

// plainJSON is JSON without the escapes that only HTML needs: what is signed
// reads the same for every implementation.
func plainJSON(v any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// stamp is the time of signing in the merchant's unit.
func (g *Gateway) stamp() int64 { return g.now().UnixNano() / int64(g.unit) }
