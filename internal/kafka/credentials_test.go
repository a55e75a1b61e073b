package kafka

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// A password that changes is taken by the next connection; nobody has to open the client anew.
func TestCredentialsThatChange(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "worker", "new"))
	must(t, err)
	t.Cleanup(fake.Close)
	var password atomic.Value
	password.Store("old")
	client, err := Open(Config{
		Brokers: fake.ListenAddrs(), SASL: SASL{Mechanism: "SCRAM-SHA-512", Username: "worker", Password: "old"},
		Credentials: func() (string, string) { return "worker", password.Load().(string) },
	})
	must(t, err)
	defer client.Close()
	if err := client.Ping(within(t, 5*time.Second)); err == nil || strings.Contains(err.Error(), "old") {
		t.Fatalf("with the wrong password: %v", err)
	}
	password.Store("new")
	must(t, client.Ping(within(t, 5*time.Second)))
	if _, err := Open(Config{Brokers: fake.ListenAddrs(), SASL: SASL{Mechanism: "GSSAPI"}, Credentials: func() (string, string) { return "", "" }}); err == nil {
		t.Error("an unknown mechanism is let through")
	}
}
