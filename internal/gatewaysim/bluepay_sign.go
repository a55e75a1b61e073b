package gatewaysim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// bluepaySign signs the exact bytes of param: Base64 of RSA PKCS#1 v1.5 with
// SHA-256.
func bluepaySign(key *rsa.PrivateKey, param string) (string, error) {
	sum := sha256.Sum256([]byte(param))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("gatewaysim: sign param: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}

func bluepayVerify(key *rsa.PublicKey, param, sign string) bool {
	sig, err := base64.StdEncoding.Strict().DecodeString(sign)
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(param))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) == nil
}

// foreignKey signs forged notifications; it is made at the first of them.
var foreignKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// ParsePrivateKey reads a PKCS#8 or PKCS#1 key, as PEM or as its bare Base64.
func ParsePrivateKey(text string) (*rsa.PrivateKey, error) {
	der, err := keyBytes(text)
	if err != nil {
		return nil, err
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("gatewaysim: private key is neither PKCS#8 nor PKCS#1: %w", err)
	}
	key, ok := any.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("gatewaysim: private key is not RSA")
	}
	return key, nil
}

// ParsePublicKey reads an X.509 SubjectPublicKeyInfo, as PEM or as its bare
// Base64.
func ParsePublicKey(text string) (*rsa.PublicKey, error) {
	der, err := keyBytes(text)
	if err != nil {
		return nil, err
	}
	any, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("gatewaysim: public key is not X.509: %w", err)
	}
	key, ok := any.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("gatewaysim: public key is not RSA")
	}
	return key, nil
}

func keyBytes(text string) ([]byte, error) {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes, nil
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("gatewaysim: key is neither PEM nor Base64")
	}
	return der, nil
}

// KeyPair is an RSA pair as PEM: PKCS#8 and X.509.
type KeyPair struct{ Private, Public string }

// NewKeyPair makes a pair of so many bits, 2048 or 4096.
func NewKeyPair(bits int) (KeyPair, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return KeyPair{}, fmt.Errorf("gatewaysim: new key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return KeyPair{}, fmt.Errorf("gatewaysim: new key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return KeyPair{}, fmt.Errorf("gatewaysim: new key: %w", err)
	}
	return KeyPair{
		Private: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		Public:  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	}, nil
}
