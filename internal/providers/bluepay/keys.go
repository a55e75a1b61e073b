package bluepay

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Bounds of a key in bits: BluePay has 2048 and 4096. Below, the signature can be
// forged; far above, one signature takes longer than a call may.
const (
	minKeyBits = 2048
	maxKeyBits = 8192
)

// maxKeyFile bounds what is read of a key file, in bytes.
const maxKeyFile = 64 << 10

// Findings about a key file. They say what to do and repeat nothing of the file.
var (
	errNoKeyFile   = errors.New("is missing")
	errNotAKey     = errors.New("holds no key: PEM, or the Base64 of PKCS#8, PKCS#1 or X.509, is needed")
	errEncrypted   = errors.New("is encrypted: give the key without a passphrase")
	errNotRSA      = errors.New("holds a key that is not RSA")
	errPublicOnly  = errors.New("holds a public key: the merchant's private key is needed")
	errPrivateHere = errors.New("holds a private key: the gateway's public key is needed; keep the private one to yourself")
)

func readPrivateKey(resolve func(string) string, file string) (*rsa.PrivateKey, error) {
	key, err := readKey(resolve, file)
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, keySize(k.N.BitLen())
	case *rsa.PublicKey:
		return nil, errPublicOnly
	}
	return nil, errNotRSA
}

func readPublicKey(resolve func(string) string, file string) (*rsa.PublicKey, error) {
	key, err := readKey(resolve, file)
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k, keySize(k.N.BitLen())
	case *rsa.PrivateKey:
		return nil, errPrivateHere
	}
	return nil, errNotRSA
}

func keySize(bits int) error {
	if bits < minKeyBits || bits > maxKeyBits {
		return fmt.Errorf("holds a key of %d bits: %d to %d are accepted", bits, minKeyBits, maxKeyBits)
	}
	return nil
}

func readKey(resolve func(string) string, file string) (any, error) {
	if file == "" {
		return nil, errNoKeyFile
	}
	if resolve != nil {
		file = resolve(file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err // names the file and what is wrong with it
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, err
	}
	return parseKey(text)
}

// parseKey reads the first key of a PEM file, or bare Base64, which is how
// BluePay's portal shows keys. The answer is an *rsa.PrivateKey, an
// *rsa.PublicKey or a key of another kind.
func parseKey(text []byte) (any, error) {
	if !bytes.Contains(text, []byte("-----BEGIN")) {
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			return nil, errNotAKey
		}
		return parseDER(der)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"), block.Type == "ENCRYPTED PRIVATE KEY":
			return nil, errEncrypted
		case block.Type == "EC PRIVATE KEY", block.Type == "DSA PRIVATE KEY", block.Type == "OPENSSH PRIVATE KEY":
			return nil, errNotRSA
		case strings.HasSuffix(block.Type, "KEY"), block.Type == "CERTIFICATE":
			return parseDER(block.Bytes)
		}
	}
	return nil, errNotAKey
}

// parseDER tries every form in turn: their ASN.1 shapes exclude each other. What
// the parsers say is dropped, as it may repeat parts of the key.
func parseDER(der []byte) (any, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return key, nil
	}
	if cert, err := x509.ParseCertificate(der); err == nil {
		return cert.PublicKey, nil
	}
	return nil, errNotAKey
}
