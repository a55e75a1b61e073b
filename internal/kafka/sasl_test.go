package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	kgoplain "github.com/twmb/franz-go/pkg/sasl/plain"
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

// The user is not known, or its password is not right yet: nothing ends, everything says why, and all goes on by itself
// once an operator has put it right.
func TestAUserThatComesLater(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.Ports(0), kfake.NumBrokers(1), kfake.EnableSASL(), kfake.GroupMinSessionTimeout(100*time.Millisecond), kfake.Superuser("PLAIN", "admin", "secret"))
	must(t, err)
	t.Cleanup(fake.Close)
	admin := &cluster{t: t, fake: fake, brokers: fake.ListenAddrs(), suffix: "later"}
	admin.client, err = Open(Config{Brokers: admin.brokers, SASL: SASL{"PLAIN", "admin", "secret"}})
	must(t, err)
	t.Cleanup(func() { admin.client.Close() })
	topic := admin.topic("later", 1)
	fill(t, admin, topic, "v")

	client, err := Open(Config{Brokers: admin.brokers, SASL: SASL{"SCRAM-SHA-512", "worker", "password"}})
	must(t, err)
	defer client.Close()
	ctx := within(t, 30*time.Second)
	refused, joined := make(chan error, 100), make(chan struct{})
	g, err := client.Group(GroupConfig{ID: "later", Topics: []string{topic}, SessionTimeout: time.Second, DrainTimeout: time.Second, OnError: func(err error) {
		select {
		case refused <- err:
		default:
		}
	}})
	must(t, err)
	joining, leave := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- g.Run(joining, func(context.Context, *Generation) error { close(joined); leave(); return nil })
	}()
	f := client.Fetcher(TopicPartition{topic, 0}, First, FetchOptions{MaxWait: 50 * time.Millisecond})
	for what, err := range map[string]error{"joining": <-refused, "reading": second(f.Fetch(ctx))} {
		if err == nil || !strings.Contains(err.Error(), "sasl") || strings.Contains(err.Error(), "\"password\"") {
			t.Errorf("%s: %v", what, err)
		}
	}

	salted, err := pbkdf2.Key(sha512.New, "password", []byte("salt"), 4096, sha512.Size)
	must(t, err)
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	user := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	user.Name, user.Mechanism, user.Iterations, user.Salt, user.SaltedPassword = "worker", 2, 4096, []byte("salt"), salted
	req.Upsertions = append(req.Upsertions, user)
	res, err := req.RequestWith(ctx, admin.kgo(kgo.SASL(kgoplain.Auth{User: "admin", Pass: "secret"}.AsMechanism())))
	if err != nil || res.Results[0].ErrorCode != 0 {
		t.Fatal(err, res)
	}
	<-joined
	must(t, <-ended)
	if got := values(t, f, 1); got[0] != "v" {
		t.Errorf("read %q", got)
	}
}

func second[T any](_ T, err error) error { return err }

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
