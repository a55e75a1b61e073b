package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Reading, writing and the group each have their own way to connect: all must know TLS and each SASL mechanism.
func TestTLSAndSASL(t *testing.T) {
	server, roots := certificate(t)
	fake, err := kfake.NewCluster(kfake.Ports(0), kfake.NumBrokers(1), kfake.TLS(server), kfake.EnableSASL(), kfake.GroupMinSessionTimeout(100*time.Millisecond),
		kfake.Superuser("PLAIN", "plain", "secret"), kfake.Superuser("SCRAM-SHA-256", "scram256", "secret"), kfake.Superuser("SCRAM-SHA-512", "scram512", "secret"))
	must(t, err)
	t.Cleanup(fake.Close)
	trust := &tls.Config{RootCAs: roots}
	for mechanism, user := range map[string]string{"PLAIN": "plain", "SCRAM-SHA-256": "scram256", "scram-sha-512": "scram512"} {
		t.Run(mechanism, func(t *testing.T) {
			c := &cluster{t: t, fake: fake, brokers: fake.ListenAddrs(), suffix: user}
			c.client, err = Open(Config{Brokers: c.brokers, TLS: trust, SASL: SASL{mechanism, user, "secret"}})
			must(t, err)
			defer c.client.Close()
			must(t, c.client.Ping(within(t, 10*time.Second)))
			topic := c.topic("secured", 1)
			fill(t, c, topic, "v")
			if got := values(t, c.client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{}), 1); got[0] != "v" {
				t.Errorf("got %v", got)
			}
			ctx, stop := context.WithCancel(within(t, 20*time.Second))
			joined := false
			must(t, c.group("secured", topic).Run(ctx, func(context.Context, *Generation) error { joined = true; stop(); return nil }))
			if !joined {
				t.Error("never joined")
			}
		})
	}
	for name, one := range map[string]struct {
		cfg  Config
		says string
	}{
		"wrong password": {Config{TLS: trust, SASL: SASL{"SCRAM-SHA-512", "scram512", "wrong"}}, ""},
		"unknown CA":     {Config{TLS: &tls.Config{}, SASL: SASL{"PLAIN", "plain", "secret"}}, "certificate signed by unknown authority"},
		"no TLS":         {Config{SASL: SASL{"PLAIN", "plain", "secret"}}, ""},
	} {
		one.cfg.Brokers = fake.ListenAddrs()
		c, err := Open(one.cfg)
		must(t, err)
		defer c.Close()
		err = c.Ping(within(t, 5*time.Second))
		if err == nil || !strings.Contains(err.Error(), one.says) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
}

func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	must(t, err)
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}
