package ctl

import (
	"context"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/sandbox"
)

// publish writes a message to the request topic as it is.
func publish(t testing.TB, configFile string, messages ...string) {
	t.Helper()
	cfg, err := app.Load(configFile)
	if err != nil {
		t.Fatal(err)
	}
	client, err := app.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, m := range messages {
		if err := client.Publish(t.Context(), []byte("key"), []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
}

// noTopics is a world whose Kafka has none.
func noTopics(t testing.TB) world {
	t.Helper()
	_, w := bareKafka(t)
	return w
}

func bareKafka(t testing.TB) (*kfake.Cluster, world) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, changedConfig(t, "brokers: ["+theSystem(t).Kafka+"]", "brokers: ["+strings.Join(cluster.ListenAddrs(), ",")+"]")
}

// noRecords is a world whose topics are empty.
func noRecords(t testing.TB) world {
	t.Helper()
	_, w := emptyKafka(t)
	return w
}

func emptyKafka(t testing.TB) (*kfake.Cluster, world) {
	t.Helper()
	cluster, w := bareKafka(t)
	cfg, err := app.Load(w.config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := app.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	p := client.Parts()
	if err := p.Kafka.EnsureTopics(t.Context(), consumer.Specs(p.Topics, p.Delays, 2, 1)); err != nil {
		t.Fatal(err)
	}
	return cluster, w
}

// ownSystem is a system that no other test has touched.
func ownSystem(t testing.TB) (*sandbox.System, world) {
	t.Helper()
	s, err := sandbox.Start(context.Background(), sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s, world{config: s.ConfigFile}
}

// parts are those of a system's configuration.
func parts(t testing.TB, configFile string) app.Parts {
	t.Helper()
	cfg, err := app.Load(configFile)
	if err != nil {
		t.Fatal(err)
	}
	client, err := app.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client.Parts()
}
