package app

import (
	"testing"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// The domain and the consumer do not know each other: here their words are held
// equal, for verdict translates by casting.
func TestTheWordsOfDomainAndConsumerAreTheSame(t *testing.T) {
	reasons := map[refund.Reason]consumer.Reason{
		refund.ReasonUndecodable: consumer.ReasonUndecodable, refund.ReasonInvalid: consumer.ReasonInvalid,
		refund.ReasonUnknownMerchant: consumer.ReasonUnknownMerchant, refund.ReasonConflict: consumer.ReasonConflict,
		refund.ReasonOrderConflict: consumer.ReasonOrderConflict, refund.ReasonInternal: consumer.ReasonInternal,
	}
	for ours, theirs := range reasons {
		if string(ours) != string(theirs) {
			t.Errorf("reason %q is %q at the consumer", ours, theirs)
		}
	}
	causes := map[refund.Cause]consumer.Cause{
		refund.CauseRetry: consumer.CauseRetry, refund.CauseParked: consumer.CauseParked, refund.CauseFollowUp: consumer.CauseFollowUp,
	}
	for ours, theirs := range causes {
		if string(ours) != string(theirs) {
			t.Errorf("cause %q is %q at the consumer", ours, theirs)
		}
	}
}

func exampleTopics() *config.Config {
	return &config.Config{Kafka: config.Kafka{Topics: config.Topics{
		Requests: "refund.requests", Status: "refund.status", DeadLetters: "refund.requests.dlq", DelayPrefix: "refund.delay.", Control: "refund.control",
	}}}
}

// A topic by which money or messages would be lost stops a start; the rest is
// advice.
func TestTopicsThatLoseAreRefused(t *testing.T) {
	c := &core{cfg: exampleTopics()}
	for _, row := range []struct {
		drift   kafka.Drift
		refused bool
	}{
		{kafka.Drift{Topic: "refund.status", Missing: true}, true},
		{kafka.Drift{Topic: "refund.status", Setting: "cleanup.policy", Want: "compact", Have: "delete"}, true},
		{kafka.Drift{Topic: "refund.control", Setting: "min.compaction.lag.ms", Want: "604800000", Have: "0"}, true},
		{kafka.Drift{Topic: "refund.delay.6h", Setting: "retention.ms", Want: "-1", Have: "3600000"}, true},
		{kafka.Drift{Topic: "refund.requests.dlq", Setting: "retention.ms", Want: "-1", Have: "3600000"}, true},
		{kafka.Drift{Topic: "refund.requests", Setting: "retention.ms", Want: "604800000", Have: "3600000"}, true},
		{kafka.Drift{Topic: "refund.requests", Setting: "retention.ms", Want: "604800000", Have: "259200000"}, false},
		{kafka.Drift{Topic: "refund.delay.6h", Setting: "max.message.bytes", Want: "2097176", Have: "1000"}, true},
		{kafka.Drift{Topic: "refund.delay.6h", Setting: "max.message.bytes", Want: "2097176", Have: "1048588"}, false},
		{kafka.Drift{Topic: "refund.status", Setting: "max.message.bytes", Want: "2097176", Have: "1000"}, false},
		{kafka.Drift{Topic: "refund.status", Setting: "min.insync.replicas", Want: "2", Have: "1"}, false},
	} {
		if err := c.judge([]kafka.Drift{row.drift}); (err != nil) != row.refused {
			t.Errorf("%s: %v", row.drift, err)
		}
	}
}
