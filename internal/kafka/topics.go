package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
)

// TopicSpec is a topic as it should be.
type TopicSpec struct {
	Name        string
	Partitions  int
	Replication int
	// Configs are topic settings by their Kafka names (kafka.apache.org/documentation, Topic Configs).
	Configs map[string]string
}

// EnsureTopics creates the topics that do not exist. It changes no topic that does: see CheckTopics.
func (c *Client) EnsureTopics(ctx context.Context, specs []TopicSpec) error {
	names, err := c.TopicNames(ctx)
	if err != nil {
		return err
	}
	var missing []kafkago.TopicConfig
	for _, s := range specs {
		if slices.Contains(names, s.Name) {
			continue
		}
		t := kafkago.TopicConfig{Topic: s.Name, NumPartitions: s.Partitions, ReplicationFactor: s.Replication}
		for _, k := range slices.Sorted(maps.Keys(s.Configs)) {
			t.ConfigEntries = append(t.ConfigEntries, kafkago.ConfigEntry{ConfigName: k, ConfigValue: s.Configs[k]})
		}
		missing = append(missing, t)
	}
	if len(missing) > 0 {
		if err := c.createTopics(ctx, missing); err != nil {
			return err
		}
	}
	for _, s := range specs { // until our own metadata knows them, whoever created them just now
		if _, err := c.leadersWithin(ctx, s.Name); err != nil {
			return fmt.Errorf("kafka: topic %s exists but is not to be seen: %w", s.Name, explain(err))
		}
	}
	return nil
}

// createTopics creates them; another process may have been quicker.
func (c *Client) createTopics(ctx context.Context, missing []kafkago.TopicConfig) error {
	admin := &kafkago.Client{Addr: c.addr, Transport: c.admin}
	defer c.admin.CloseIdleConnections()
	answer, err := admin.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: missing})
	if err != nil {
		return fmt.Errorf("kafka: creating topics: %w", explain(err))
	}
	var errs []error
	for topic, err := range answer.Errors {
		if err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
			errs = append(errs, fmt.Errorf("kafka: creating topic %s: %w", topic, explain(err)))
		}
	}
	return errors.Join(errs...)
}

// Drift is a way in which a topic is not as it should be, in words.
type Drift struct {
	Topic, Setting, Want, Have string
	Missing                    bool // the topic itself
}

// String says what to change.
func (d Drift) String() string {
	if d.Missing {
		return fmt.Sprintf("topic %s does not exist", d.Topic)
	}
	return fmt.Sprintf("topic %s: %s is %s, should be %s", d.Topic, d.Setting, d.Have, d.Want)
}

// CheckTopics compares the cluster's topics with the specs. More is no drift where more is safe: more partitions, a longer
// retention or compaction lag (-1 is unlimited), a larger max.message.bytes, a higher replication or min.insync.replicas.
func (c *Client) CheckTopics(ctx context.Context, specs []TopicSpec) ([]Drift, error) {
	var names []string
	for _, s := range specs {
		names = append(names, s.Name)
	}
	all, err := c.metadata(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("kafka: checking topics: %w", explain(err))
	}
	var drifts []Drift
	var there []TopicSpec
	for _, s := range specs {
		i := slices.IndexFunc(all.Topics, func(t topicMetadata) bool { return t.Name == s.Name && t.ErrorCode == 0 })
		if i < 0 {
			drifts = append(drifts, Drift{Topic: s.Name, Missing: true})
			continue
		}
		there = append(there, s)
		t := all.Topics[i]
		if len(t.Partitions) < s.Partitions {
			drifts = append(drifts, Drift{Topic: s.Name, Setting: "the number of partitions", Want: strconv.Itoa(s.Partitions), Have: strconv.Itoa(len(t.Partitions))})
		}
		if n := len(t.Partitions[0].ReplicaNodes); n < s.Replication {
			drifts = append(drifts, Drift{Topic: s.Name, Setting: "the replication factor", Want: strconv.Itoa(s.Replication), Have: strconv.Itoa(n)})
		}
	}
	configs, err := c.topicConfigs(ctx, there)
	if err != nil {
		return nil, err
	}
	for _, s := range there {
		for _, setting := range slices.Sorted(maps.Keys(s.Configs)) {
			want, have := s.Configs[setting], configs[s.Name][setting]
			if !suffices(setting, want, have) {
				drifts = append(drifts, Drift{Topic: s.Name, Setting: setting, Want: want, Have: have})
			}
		}
	}
	return drifts, nil
}

// topicConfigs answers settings by topic and name.
func (c *Client) topicConfigs(ctx context.Context, specs []TopicSpec) (map[string]map[string]string, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	req := &kafkago.DescribeConfigsRequest{}
	for _, s := range specs {
		req.Resources = append(req.Resources, kafkago.DescribeConfigRequestResource{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: s.Name, ConfigNames: slices.Sorted(maps.Keys(s.Configs))})
	}
	answer, err := c.api().DescribeConfigs(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("kafka: reading topic settings: %w", explain(err))
	}
	configs := map[string]map[string]string{}
	for _, r := range answer.Resources {
		if r.Error != nil {
			return nil, fmt.Errorf("kafka: reading the settings of topic %s: %w", r.ResourceName, explain(r.Error))
		}
		configs[r.ResourceName] = map[string]string{}
		for _, e := range r.ConfigEntries {
			configs[r.ResourceName][e.ConfigName] = e.ConfigValue
		}
	}
	return configs, nil
}

// suffices compares as CheckTopics says.
func suffices(setting, want, have string) bool {
	if want == have {
		return true
	}
	switch setting {
	case "retention.ms", "retention.bytes", "min.compaction.lag.ms", "max.message.bytes", "min.insync.replicas":
	default:
		return false
	}
	w, err := strconv.ParseInt(want, 10, 64)
	h, err2 := strconv.ParseInt(have, 10, 64)
	if err != nil || err2 != nil {
		return false
	}
	return h == -1 || w != -1 && h >= w
}
