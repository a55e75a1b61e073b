//go:build unix

package realparts

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Secure lets clients connect to brokers by SASL (SCRAM-SHA-512) over TLS alone.
type Secure struct {
	User, Password string
	CA             []byte // PEM, for the clients

	pem []byte // key, certificate and CA, for the brokers
}

// NewSecure makes a certificate authority and a certificate of the loopback.
func NewSecure(user, password string) (*Secure, error) {
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "realparts CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caBytes, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	certificate := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	bytesOf, err := x509.CreateCertificate(rand.Reader, certificate, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	s := &Secure{User: user, Password: password, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caBytes})}
	s.pem = bytes.Join([][]byte{
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: bytesOf}), s.CA,
	}, nil)
	return s, nil
}

// properties of a broker: the plaintext listener inside is the administrator's,
// and the brokers' among themselves.
func (s *Secure) properties(home, client, inside, controller string) ([]string, error) {
	file := filepath.Join(home, "broker.pem")
	return []string{
		"listeners=SASL_SSL://" + client + ",INTERNAL://" + inside + ",CONTROLLER://" + controller,
		"advertised.listeners=SASL_SSL://" + client + ",INTERNAL://" + inside,
		"inter.broker.listener.name=INTERNAL",
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,SASL_SSL:SASL_SSL",
		"sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN",
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_" + s.User + `="` + s.Password + `";`,
		"ssl.keystore.type=PEM",
		"ssl.keystore.location=" + file,
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS;User:" + s.User,
	}, os.WriteFile(file, s.pem, 0o600)
}
