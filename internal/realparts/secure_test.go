//go:build unix

package realparts_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/realparts"
)

// A real broker behind SASL over TLS: topics, writing, reading and the group each
// connect in their own way, and all must get in; whoever has no right does not.
func TestSASLOverTLS(t *testing.T) {
	secure, err := realparts.NewSecure("worker", "worker-secret")
	must(t, err)
	cluster := brokers(t, realparts.KafkaOptions{Secure: secure})
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secure.CA) {
		t.Fatal("the CA's certificate cannot be read")
	}
	trust := &tls.Config{RootCAs: roots}

	for _, mechanism := range []string{"SCRAM-SHA-512", "PLAIN"} {
		t.Run(mechanism, func(t *testing.T) {
			client := open(t, kafka.Config{Brokers: cluster.Brokers, TLS: trust, SASL: kafka.SASL{Mechanism: mechanism, Username: "worker", Password: "worker-secret"}})
			must(t, client.Ping(within(t, 10*time.Second)))
			topic := "secured." + mechanism
			must(t, client.EnsureTopics(within(t, 20*time.Second), []kafka.TopicSpec{{Name: topic, Partitions: 1, Replication: 1}}))
			producer := client.Producer()
			defer producer.Close()
			must(t, producer.Write(within(t, 20*time.Second), kafka.Record{Topic: topic, Value: []byte("v")}))
			read := ""
			_, err := client.Scan(within(t, 20*time.Second), topic, kafka.FromFirst(), func(r kafka.Record) error { read += string(r.Value); return nil })
			must(t, err)
			if read != "v" {
				t.Errorf("read %q", read)
			}
			group, err := client.Group(kafka.GroupConfig{ID: topic, Topics: []string{topic}, SessionTimeout: 6 * time.Second, DrainTimeout: time.Second})
			must(t, err)
			ctx, stop := context.WithCancel(within(t, 30*time.Second))
			committed := false
			must(t, group.Run(ctx, func(ctx context.Context, gen *kafka.Generation) error {
				defer stop()
				err := gen.Commit(ctx, map[kafka.TopicPartition]int64{{Topic: topic, Partition: 0}: 1})
				committed = err == nil
				return err
			}))
			if !committed {
				t.Error("never joined")
			}
		})
	}

	for name, refused := range map[string]struct {
		cfg  kafka.Config
		says string
	}{
		"a wrong password":        {kafka.Config{TLS: trust, SASL: kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: "worker", Password: "guessed"}}, ""},
		"a mechanism that is off": {kafka.Config{TLS: trust, SASL: kafka.SASL{Mechanism: "SCRAM-SHA-256", Username: "worker", Password: "worker-secret"}}, ""},
		"an unknown CA":           {kafka.Config{TLS: &tls.Config{RootCAs: x509.NewCertPool()}, SASL: kafka.SASL{Mechanism: "PLAIN", Username: "worker", Password: "worker-secret"}}, "unknown authority"},
		"no TLS":                  {kafka.Config{SASL: kafka.SASL{Mechanism: "PLAIN", Username: "worker", Password: "worker-secret"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			refused.cfg.Brokers = cluster.Brokers
			err := open(t, refused.cfg).Ping(within(t, 10*time.Second))
			if err == nil || !strings.Contains(err.Error(), refused.says) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "worker-secret") || strings.Contains(err.Error(), "guessed") {
				t.Errorf("the error shows a password: %v", err)
			}
			t.Log(err)
		})
	}
}
