package app

import (
	"context"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// Parts are what a Client is made of, wired like the worker's, for programs that
// need more of the system than one message. Whoever changes something by them
// keeps the rules of DESIGN.md. The Client closes them.
type Parts struct {
	Config   *config.Config
	Kafka    *kafka.Client
	Producer *kafka.Producer
	Store    *dedupe.Store
	Accounts providers.Accounts
	Topics   consumer.Topics
	Delays   consumer.Delays
	Schedule refund.Schedule
	Recorder *refund.Recorder // as the bridge has it: it owns no partition
	Log      *statuslog.Log
	Control  *statuslog.Control
	Delayer  *consumer.Delayer

	core *core
}

// Parts answers them.
func (c *Client) Parts() Parts {
	k := c.core
	return Parts{
		Config: k.cfg, Kafka: k.kafka, Producer: k.producer, Store: k.store, Accounts: k.merchants.all(),
		Topics: k.topics(), Delays: k.delays, Schedule: k.schedule, Recorder: k.recorder,
		Log:     &statuslog.Log{Reader: k.kafka, Topic: k.cfg.Kafka.Topics.Status},
		Control: k.control(),
		Delayer: consumer.NewDelayer(k.producer, k.topics(), k.delays), core: k,
	}
}

// PingRedis asks the server, any of them, whether it is there.
func (p Parts) PingRedis(ctx context.Context) error { return p.core.redis.Ping(ctx).Err() }
