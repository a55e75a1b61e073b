package kafka

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cluster is a broker for a test: an embedded one, or the real one at KAFKA_BROKERS. Names are unique to the test, so that
// tests share a real one.
type cluster struct {
	t       testing.TB
	fake    *kfake.Cluster // nil on a real one
	brokers []string
	client  *Client
	suffix  string
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, suffix: strings.ToLower(rand.Text()[:8])}
	if real := os.Getenv("KAFKA_BROKERS"); real != "" {
		c.brokers = strings.Split(real, ",")
	} else {
		fake, err := kfake.NewCluster(kfake.Ports(0), kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		c.fake, c.brokers = fake, fake.ListenAddrs()
	}
	c.client = c.open()
	return c
}

func (c *cluster) open() *Client {
	c.t.Helper()
	client, err := Open(Config{Brokers: c.brokers, ClientID: "test"})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { client.Close() })
	return client
}

// onlyFake skips what needs faults that only the embedded broker can have.
func (c *cluster) onlyFake(what string) {
	if c.fake == nil {
		c.t.Skipf("%s needs the embedded broker, KAFKA_BROKERS is set", what)
	}
}

// topic creates one of a name that begins so.
func (c *cluster) topic(name string, partitions int, configs ...string) string {
	c.t.Helper()
	spec := TopicSpec{Name: name + "." + c.suffix, Partitions: partitions, Replication: 1, Configs: map[string]string{}}
	for i := 0; i < len(configs); i += 2 {
		spec.Configs[configs[i]] = configs[i+1]
	}
	if err := c.client.EnsureTopics(within(c.t, 10*time.Second), []TopicSpec{spec}); err != nil {
		c.t.Fatal(err)
	}
	return spec.Name
}

func (c *cluster) producer() *Producer {
	p := c.client.Producer()
	c.t.Cleanup(func() { p.Close() })
	return p
}

// kgo is another client, to write what ours cannot.
func (c *cluster) kgo(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// values fetches from one partition until n records came.
func values(t testing.TB, f *Fetcher, n int) []string {
	t.Helper()
	ctx := within(t, 20*time.Second)
	var got []string
	for len(got) < n {
		records, err := f.Fetch(ctx)
		if err != nil {
			t.Fatalf("after %d of %d records: %v", len(got), n, err)
		}
		for _, r := range records {
			got = append(got, string(r.Value))
		}
	}
	return got
}

func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}
