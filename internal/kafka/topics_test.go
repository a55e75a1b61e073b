package kafka

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestEnsureCreatesWhatIsMissingAndLeavesTheRest(t *testing.T) {
	c := newCluster(t)
	ctx := within(t, 20*time.Second)
	old := c.topic("old", 2, "cleanup.policy", "delete")
	specs := []TopicSpec{
		{Name: old, Partitions: 5, Replication: 1, Configs: map[string]string{"cleanup.policy": "compact"}},
		{Name: "new." + c.suffix, Partitions: 3, Replication: 1, Configs: map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "1000"}},
	}
	must(t, c.client.EnsureTopics(ctx, specs))
	must(t, c.client.EnsureTopics(ctx, specs))
	drifts, err := c.client.CheckTopics(ctx, append(specs, TopicSpec{Name: "none." + c.suffix}))
	must(t, err)
	got := fmt.Sprint(drifts)
	want := fmt.Sprintf("[topic %s: the number of partitions is 2, should be 5 topic none.%s does not exist topic %s: cleanup.policy is delete, should be compact]", old, c.suffix, old)
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestMoreIsNoDriftWhereMoreIsSafe(t *testing.T) {
	for _, one := range []struct {
		setting, want, have string
		ok                  bool
	}{
		{"retention.ms", "1000", "2000", true},
		{"retention.ms", "1000", "-1", true},
		{"retention.ms", "1000", "999", false},
		{"retention.ms", "-1", "999999999999", false},
		{"max.message.bytes", "1000", "", false},
		{"min.insync.replicas", "2", "1", false},
		{"cleanup.policy", "compact", "compact,delete", false},
		{"cleanup.policy", "compact", "compact", true},
	} {
		if got := suffices(one.setting, one.want, one.have); got != one.ok {
			t.Errorf("%s %s for %s: %v", one.setting, one.have, one.want, got)
		}
	}
}

func TestPartitionsOfATopicThatIsNotThere(t *testing.T) {
	c := newCluster(t)
	if _, err := c.client.Partitions(within(t, 10*time.Second), "nowhere."+c.suffix); !errors.Is(err, ErrNoTopic) {
		t.Fatalf("got %v", err)
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{Brokers: []string{"no-port"}},
		{Brokers: []string{"a:1"}, SASL: SASL{Mechanism: "GSSAPI"}},
		{Brokers: []string{"a:1"}, SASL: SASL{Username: "somebody"}},
	} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// kafka-go serves metadata from its cache for as long as the brokers are away: that would be no ping.
func TestPingNoticesThatTheBrokerHasGone(t *testing.T) {
	c := newCluster(t)
	c.onlyFake("stopping a broker")
	must(t, c.client.Ping(within(t, 10*time.Second)))
	c.fake.Close()
	if err := c.client.Ping(within(t, 5*time.Second)); err == nil {
		t.Fatal("nobody is there any more")
	}
}

// A client of named topics must still see all when it lists them, and only those otherwise.
func TestAClientOfNamedTopics(t *testing.T) {
	c := newCluster(t)
	one, other := c.topic("one", 1), c.topic("other", 1)
	client, err := Open(Config{Brokers: c.brokers, Topics: []string{one, "new." + c.suffix}})
	must(t, err)
	defer client.Close()
	ctx := within(t, 20*time.Second)
	must(t, client.EnsureTopics(ctx, []TopicSpec{{Name: "new." + c.suffix, Partitions: 1, Replication: 1}}))
	names, err := client.TopicNames(ctx)
	if err != nil || !slices.Contains(names, one) || !slices.Contains(names, other) {
		t.Fatalf("got %v, %v", names, err)
	}
	if _, err := client.Partitions(ctx, one); err != nil {
		t.Error(err)
	}
	if _, err := client.Partitions(ctx, other); !errors.Is(err, ErrNoTopic) {
		t.Errorf("got %v", err)
	}
}

func TestPingSaysWhatIsWrong(t *testing.T) {
	c, err := Open(Config{Brokers: []string{"127.0.0.1:1"}})
	must(t, err)
	defer c.Close()
	if err := c.Ping(within(t, 10*time.Second)); err == nil {
		t.Fatal("nobody is there")
	} else {
		t.Log(err)
	}
}

// Two processes that start together: the one that finds everything created must not take it for missing.
func TestWhatAnotherProcessCreatedJustNowIsSeen(t *testing.T) {
	c := newCluster(t)
	ctx := within(t, 30*time.Second)
	specs := []TopicSpec{{Name: "shared." + c.suffix, Partitions: 2, Replication: 1}}
	other := c.open()
	if _, err := other.CheckTopics(ctx, specs); err != nil { // it knows the cluster without the topic
		t.Fatal(err)
	}
	must(t, c.client.EnsureTopics(ctx, specs))
	must(t, other.EnsureTopics(ctx, specs))
	drifts, err := other.CheckTopics(ctx, specs)
	must(t, err)
	if len(drifts) > 0 {
		t.Errorf("%v", drifts)
	}
}
