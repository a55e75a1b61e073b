package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/refund"
)

// A server that answers PING and takes no writes turns readiness false, in words;
// a merchant that is being rebuilt does not.
func TestReadinessSaysWhatIsWrongWithRedis(t *testing.T) {
	server := miniredis.RunT(t)
	client := dedupe.Dial(dedupe.Address{Addrs: []string{server.Addr()}, Timeout: time.Second})
	defer client.Close()
	c := &core{
		store: dedupe.New(client, dedupe.Options{Prefix: "refund", Retention: time.Hour}),
	}
	c.merchants.put(providers.Accounts{"S1": {}, "S2": {}}, nil)
	check := c.checks()[1]
	if err := check.Ready(t.Context()); check.Name != "redis" || err != nil {
		t.Fatalf("%s: %v", check.Name, err)
	}
	for said, want := range map[string]string{
		"OOM command not allowed when used memory > 'maxmemory'.": "out of memory: raise maxmemory",
		"READONLY You can't write against a read only replica.":   "read-only",
	} {
		server.SetError(said)
		err := check.Ready(t.Context())
		if _, ok := errors.AsType[*refund.Unavailable](err); !ok || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), server.Addr()) {
			t.Errorf("%s: %v", said, err)
		}
	}
	server.SetError("")
	server.Close()
	if err := check.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("gone: %v", err)
	}
}
