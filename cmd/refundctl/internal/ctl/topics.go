package ctl

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
)

func newTopics(r *run) *cobra.Command {
	var partitions, replication int
	create := &cobra.Command{
		Use:   "create",
		Short: "Create the topics that are missing, with the settings that the system needs",
		Long: `Create makes the topics of the configuration that do not exist yet: requests,
statuses, dead letters, control, audit, and one for each delay. Topics that exist
are left as they are; topics check says what is wrong with them.

Partitions and replication are those of kafka.create_topics unless given.`,
		Example: `  refundctl topics create
  refundctl topics create --partitions 24 --replication 3`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.topicsCreate(c.Context(), partitions, replication) },
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Compare the topics with what the system needs",
		Long: `Check names each topic that is missing, each setting by which something could be
lost, and delay topics that hold messages although their delay is not configured any
more. More is no finding where more is safe.

Exit code 0: all is as it should be; 1: something is not.`,
		Example: `  refundctl topics check
  refundctl topics check -o json`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return r.topicsCheck(c.Context(), partitions, replication) },
	}
	for _, c := range []*cobra.Command{create, check} {
		c.Flags().IntVar(&partitions, "partitions", 0, "`N` of requests and statuses (default: kafka.create_topics.partitions)")
		c.Flags().IntVar(&replication, "replication", 0, "`N` replicas of each (default: kafka.create_topics.replication)")
	}
	return group("topics", "Create and check the topics", "Topics looks after the topics of the configuration.",
		"  refundctl topics create\n  refundctl topics check", create, check)
}

func (s *system) specs(partitions, replication int) []kafka.TopicSpec {
	if partitions == 0 {
		partitions = s.Config.Kafka.CreateTopics.Partitions
	}
	if replication == 0 {
		replication = s.Config.Kafka.CreateTopics.Replication
	}
	return consumer.Specs(s.Topics, s.Delays, partitions, replication)
}

// topic is one topic of the answer.
type topic struct {
	Name        string `json:"topic"`
	Partitions  int    `json:"partitions"`
	Replication int    `json:"replication"`
	Created     bool   `json:"created"`
}

func (r *run) topicsCreate(ctx context.Context, partitions, replication int) error {
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	there, err := s.Kafka.TopicNames(ctx)
	if err != nil {
		return err
	}
	specs := s.specs(partitions, replication)
	if err := s.Kafka.EnsureTopics(ctx, specs); err != nil {
		return err
	}
	var all []topic
	created := 0
	for _, spec := range specs {
		isNew := !slices.Contains(there, spec.Name)
		if isNew {
			created++
		}
		all = append(all, topic{spec.Name, spec.Partitions, spec.Replication, isNew})
	}
	if created > 0 { // the trail is one of them, so it cannot be told before
		task, err := r.begin(ctx, s, entry{What: "topics create", Detail: fmt.Sprintf("%d topics", created)})
		if err != nil {
			return err
		}
		if err := task.end(ctx, nil, "%d topics", created); err != nil {
			return err
		}
	}
	return out.NewRows(r.Out, r.format, []out.Column[topic]{
		{Name: "topic", Cell: func(t topic) string { return t.Name }},
		{Name: "partitions", Cell: func(t topic) string { return fmt.Sprint(t.Partitions) }},
		{Name: "replication", Cell: func(t topic) string { return fmt.Sprint(t.Replication) }},
		{Name: "created", Cell: func(t topic) string {
			if t.Created {
				return "yes"
			}
			return "was there"
		}},
	}).All(all)
}

// drift is one finding about topics.
type drift struct {
	Topic   string `json:"topic"`
	Setting string `json:"setting,omitempty"`
	Want    string `json:"want,omitempty"`
	Have    string `json:"have,omitempty"`
	Missing bool   `json:"missing,omitempty"`
	Words   string `json:"words"`
}

func (r *run) topicsCheck(ctx context.Context, partitions, replication int) error {
	ctx, s, err := r.connect(ctx, kafkaUp)
	if err != nil {
		return err
	}
	defer s.close()
	found, err := s.Kafka.CheckTopics(ctx, s.specs(partitions, replication))
	if err != nil {
		return err
	}
	var drifts []drift
	for _, d := range found {
		drifts = append(drifts, drift{d.Topic, d.Setting, d.Want, d.Have, d.Missing, d.String()})
	}
	if err := consumer.CheckDelays(ctx, s.Kafka, s.Config.Kafka.Group, s.Topics, s.Delays); err != nil {
		drifts = append(drifts, drift{Topic: s.Topics.DelayPrefix + "*", Words: err.Error()})
	}
	if len(drifts) == 0 {
		if r.format != out.JSON {
			fmt.Fprintf(r.Out, "%d topics are as they should be\n", len(s.specs(partitions, replication)))
		}
		return nil
	}
	err = out.NewRows(r.Out, r.format, []out.Column[drift]{
		{Name: "topic", Cell: func(d drift) string { return d.Topic }},
		{Name: "setting", Wide: true, Cell: func(d drift) string { return d.Setting }},
		{Name: "want", Wide: true, Cell: func(d drift) string { return d.Want }},
		{Name: "have", Wide: true, Cell: func(d drift) string { return d.Have }},
		{Name: "finding", Cell: func(d drift) string { return d.Words }},
	}).All(drifts)
	if err == nil {
		err = &exit{code: ExitWrong}
	}
	return err
}
