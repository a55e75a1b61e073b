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
	"errors"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Secure lets clients connect to brokers by TLS alone, where they prove who they
// are by SASL (SCRAM-SHA-512, PLAIN) or, where Mutual, by certificates of this CA.
type Secure struct {
	User, Password string            // by SASL; may do everything
	Users          map[string]string // further ones by SCRAM-SHA-512, with the rights that they are given
	Mutual         bool              // no SASL: who a client is stands in its certificate (Issue)
	CA             []byte            // PEM, for the clients

	pem    []byte // key, certificate and CA, for the brokers
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey
	serial int64
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
	s := &Secure{User: user, Password: password, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caBytes}), ca: ca, caKey: caKey, serial: 1}
	certificate, key, err := s.Issue("localhost")
	if err != nil {
		return nil, err
	}
	s.pem = bytes.Join([][]byte{key, certificate, s.CA}, nil)
	return s, nil
}

// Issue makes a certificate of the CA for a server on the loopback, or a client,
// and its key, both in PEM.
func (s *Secure) Issue(name string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	s.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(s.serial), Subject: pkix.Name{CommonName: name}, NotBefore: s.ca.NotBefore, NotAfter: s.ca.NotAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.ca, &private.PublicKey, s.caKey)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}

// scram are the users that brokers know by SCRAM-SHA-512.
func (s *Secure) scram() map[string]string {
	users := map[string]string{}
	maps.Copy(users, s.Users)
	if s.User != "" {
		users[s.User] = s.Password
	}
	return users
}

// properties of a broker: the plaintext listener inside is the administrator's,
// and the brokers' among themselves.
func (s *Secure) properties(home, client, inside, controller string) ([]string, error) {
	file := filepath.Join(home, "broker.pem")
	if s.Mutual {
		return s.mutual(home, client, inside, controller)
	}
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

// mutual is properties for clients that show certificates; their common name is
// the principal.
func (s *Secure) mutual(home, client, inside, controller string) ([]string, error) {
	file, trust := filepath.Join(home, "broker.pem"), filepath.Join(home, "ca.pem")
	return []string{
		"listeners=SSL://" + client + ",INTERNAL://" + inside + ",CONTROLLER://" + controller,
		"advertised.listeners=SSL://" + client + ",INTERNAL://" + inside,
		"inter.broker.listener.name=INTERNAL",
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,SSL:SSL",
		"ssl.client.auth=required",
		"ssl.principal.mapping.rules=RULE:^CN=(.*?)$/$1/",
		"ssl.keystore.type=PEM",
		"ssl.keystore.location=" + file,
		"ssl.truststore.type=PEM",
		"ssl.truststore.location=" + trust,
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS",
	}, errors.Join(os.WriteFile(file, s.pem, 0o600), os.WriteFile(trust, s.CA, 0o600))
}
