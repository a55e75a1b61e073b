package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/admin"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/transport"
	"github.com/refundworker/refundworker/internal/refund"
)

// core is what worker and bridge have in common. Each part is closed in the
// reverse order of its opening.
type core struct {
	cfg      *config.Config
	log      zerolog.Logger
	metrics  *metrics
	kafka    *kafka.Client
	producer *kafka.Producer
	redis    dedupe.Client
	store    *dedupe.Store
	accounts providers.Accounts
	delays   consumer.Delays
	schedule refund.Schedule
	recorder *refund.Recorder
	closers  []func()

	// lost is told each time that the store says it cannot answer; nil in the
	// bridge, which rebuilds nothing.
	lost func()

	mu     sync.Mutex
	logged map[string]time.Time // by step: when its trouble was last written
}

// open builds the parts. It does not dial: what is not reachable now is waited for
// by prepare.
func open(cfg *config.Config, log zerolog.Logger) (*core, error) {
	c := &core{cfg: cfg, log: log, metrics: newMetrics(), logged: map[string]time.Time{}}
	if err := c.open(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *core) open() error {
	kafkaTLS, err := tlsConfig("kafka", c.cfg.Kafka.TLS)
	if err != nil {
		return err
	}
	sasl := c.cfg.Kafka.SASL
	c.kafka, err = kafka.Open(kafka.Config{
		Brokers: c.cfg.Kafka.Brokers, TLS: kafkaTLS, ClientID: "refundworker",
		SASL: kafka.SASL{Mechanism: sasl.Mechanism, Username: sasl.Username, Password: sasl.Password},
	})
	if err != nil {
		return err
	}
	c.onClose(func() { _ = c.kafka.Close() })
	c.producer = c.kafka.Producer()
	c.onClose(func() { _ = c.producer.Close() })

	redisTLS, err := tlsConfig("redis", c.cfg.Redis.TLS)
	if err != nil {
		return err
	}
	c.redis = dedupe.Dial(dedupe.Address{
		Addrs: c.cfg.Redis.Addrs, Username: c.cfg.Redis.Username, Password: c.cfg.Redis.Password, TLS: redisTLS,
	})
	c.onClose(func() { _ = c.redis.Close() })
	c.store = dedupe.New(c.redis, dedupe.Options{
		Prefix: c.cfg.Redis.KeyPrefix, Retention: c.cfg.Redis.Retention, FailoverGrace: c.cfg.Redis.FailoverGrace,
	})

	pool := transport.NewPool(transport.Options{})
	c.onClose(pool.Close)
	if c.accounts, err = providers.Build(settings(c.cfg.Merchants), pool, c.guardHooks()); err != nil {
		return err
	}
	if c.delays, err = consumer.NewDelays(c.cfg.Worker.Delays...); err != nil {
		return err
	}
	c.schedule = refund.Schedule(c.delays)
	c.recorder = &refund.Recorder{
		Records:   c.store,
		Publisher: &statusTopic{producer: c.producer, topic: c.cfg.Kafka.Topics.Status},
		Fresh:     c.cfg.Kafka.SessionTimeout / 2,
		Observe: func(rec refund.Record) {
			c.metrics.event(rec)
			logEvent(c.log, rec)
		},
		Trouble: c.trouble,
	}
	return nil
}

func (c *core) onClose(close func()) { c.closers = append(c.closers, close) }

func (c *core) close() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
}

func (c *core) guardHooks() providers.Hooks {
	return providers.Hooks{
		Breaker: func(merchant, from, to string) {
			c.log.Warn().Str("merchant", merchant).Str("from", from).Str("to", to).Msg("breaker")
		},
		Hold: func(merchant string, held bool, why string) {
			c.log.Error().Str("merchant", merchant).Bool("held", held).Str("why", why).Msg("the gateway refuses our settings: the merchant holds by itself")
		},
		Refused: func(_ string, wait refund.Wait) { c.metrics.refused.WithLabelValues(wait.Code).Inc() },
	}
}

// trouble is told each failed try of a step that is tried again. All are counted;
// of each step one every few seconds is written.
func (c *core) trouble(step string, err error) {
	c.metrics.troubles.WithLabelValues(step).Inc()
	var away *refund.Unavailable
	if errors.As(err, &away) && c.lost != nil {
		c.lost()
	}
	c.mu.Lock()
	quiet := time.Since(c.logged[step]) < troubleEvery
	if !quiet {
		c.logged[step] = time.Now()
	}
	c.mu.Unlock()
	if !quiet {
		c.log.Warn().Str("step", step).Err(err).Msg("tried again until it succeeds")
	}
}

// topics of the configuration, as the consumer names them.
func (c *core) topics() consumer.Topics {
	t := c.cfg.Kafka.Topics
	return consumer.Topics{
		Requests: t.Requests, Status: t.Status, Control: t.Control, DeadLetters: t.DeadLetters, Audit: t.Audit, DelayPrefix: t.DelayPrefix,
	}
}

func (c *core) followUps() *followUps {
	return &followUps{consumer.NewDelayer(c.producer, c.topics(), c.delays)}
}

// checks of /readyz that worker and bridge share.
func (c *core) checks() []admin.Check {
	return []admin.Check{
		{Name: "kafka", Ready: c.kafka.Ping},
		{Name: "redis", Ready: func(ctx context.Context) error { return c.redis.Ping(ctx).Err() }},
	}
}

// prepare waits until Kafka and Redis answer and holds them against what this
// system needs. An error is something that a person has to change.
func (c *core) prepare(ctx context.Context) error {
	if err := c.await(ctx, "kafka", c.kafka.Ping, always); err != nil {
		return err
	}
	create := c.cfg.Kafka.CreateTopics
	specs := consumer.Specs(c.topics(), c.delays, create.Partitions, create.Replication)
	if create.Enabled {
		if err := c.await(ctx, "kafka", func(ctx context.Context) error { return c.kafka.EnsureTopics(ctx, specs) }, always); err != nil {
			return err
		}
	}
	var drifts []kafka.Drift
	if err := c.await(ctx, "kafka", func(ctx context.Context) (err error) {
		drifts, err = c.kafka.CheckTopics(ctx, specs)
		return err
	}, always); err != nil {
		return err
	}
	var missing []error
	for _, drift := range drifts {
		if drift.Missing {
			missing = append(missing, errors.New(drift.String()))
			continue
		}
		c.log.Warn().Msg(drift.String())
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: create them, or set kafka.create_topics.enabled", errors.Join(missing...))
	}
	var advice []string
	if err := c.await(ctx, "redis", func(ctx context.Context) error {
		err := c.store.Check(ctx)
		if err == nil {
			advice, err = c.store.Advice(ctx)
		}
		return err
	}, away); err != nil {
		return err
	}
	for _, line := range advice {
		c.log.Warn().Msg(line)
	}
	return nil
}

// always: whatever Kafka says at a start, it may be better soon.
func always(error) bool { return true }

// away: Redis does not answer; any other finding is a setting that loses money.
func away(err error) bool {
	var unavailable *refund.Unavailable
	return errors.As(err, &unavailable) || errors.Is(err, context.DeadlineExceeded)
}

// await asks until the part answers, and says every few seconds that it waits. An
// answer that does not pass by itself is returned.
func (c *core) await(ctx context.Context, part string, ask func(context.Context) error, passing func(error) bool) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, askTime)
		err := ask(bounded)
		cancel()
		if err == nil {
			return nil
		}
		if !passing(err) {
			return err
		}
		c.trouble("start: "+part, err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(askPause):
		}
	}
}

const (
	askTime  = 10 * time.Second
	askPause = 500 * time.Millisecond
)

// settings are the merchants as their gateways' packages take them.
func settings(merchants []config.Merchant) []providers.Settings {
	out := make([]providers.Settings, len(merchants))
	for i, m := range merchants {
		out[i] = Settings(m)
	}
	return out
}

// Settings is one merchant of the configuration as providers take it.
func Settings(m config.Merchant) providers.Settings {
	return providers.Settings{
		Merchant: m.Account(), Provider: m.Provider, Concurrency: m.Concurrency, MaxWait: m.MaxWait,
		Rate: m.Rate, ErrorRate: m.ErrorRate,
		Breaker: providers.Breaker{
			Window: m.Breaker.Window, MinCalls: m.Breaker.MinCalls, FailureRatio: m.Breaker.FailureRatio, OpenFor: m.Breaker.OpenFor,
		},
		MaxRefundsPerOrder: m.MaxRefundsPerOrder, OrderInterval: m.OrderInterval, ResendAfter: m.ResendAfter,
	}
}

// Load reads the configuration and has each merchant checked by its provider, so
// that all findings are told at once.
func Load(path string) (*config.Config, error) {
	pool := transport.NewPool(transport.Options{})
	defer pool.Close()
	return config.Load(path, config.CheckMerchants(func(m config.Merchant) error {
		_, err := providers.Build([]providers.Settings{Settings(m)}, pool, providers.Hooks{})
		var wrong *providers.MerchantError
		if errors.As(err, &wrong) {
			return wrong.Err
		}
		return err
	}))
}
