package app

import (
	"context"
	"errors"
	"maps"
	"os"
	"runtime/debug"
	"slices"
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
	"github.com/refundworker/refundworker/internal/statuslog"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// core is what worker and bridge have in common. Each part is closed in the
// reverse order of its opening.
type core struct {
	process  telemetry.Process
	cfg      *config.Config
	log      zerolog.Logger
	metrics  *telemetry.Metrics
	tracing  *telemetry.Tracing // nil: off
	kafka    *kafka.Client
	producer *kafka.Producer
	redis    dedupe.Client
	store    *dedupe.Store
	pool     *transport.Pool
	delays   consumer.Delays
	schedule refund.Schedule
	recorder *refund.Recorder
	closers  []func()

	merchants merchants
	toKafka   *link
	toRedis   *link
	inUse     *config.Config // as of the last reload; cfg is that of the start
	signals   <-chan os.Signal
	starting  starting

	// lost is told each time that the store says it cannot answer; nil in the
	// bridge, which rebuilds nothing.
	lost func()

	mu   sync.Mutex
	told map[string]telling // by step
}

// open builds the parts. It does not dial: what is not reachable now is waited for
// by prepare.
func open(process telemetry.Process, cfg *config.Config, log zerolog.Logger, options ...Option) (*core, error) {
	c := &core{process: process, cfg: cfg, inUse: cfg, log: log.With().Str("process", string(process)).Logger(), told: map[string]telling{}}
	c.merchants.held = map[string]statuslog.Hold{}
	for _, option := range options {
		option(c)
	}
	if err := c.open(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *core) open() error {
	var err error
	if c.delays, err = consumer.NewDelays(c.cfg.Worker.Delays...); err != nil {
		return err
	}
	c.schedule = refund.Schedule(c.delays)
	c.metrics = telemetry.NewMetrics(c.process, labelNames(c.topics(), c.delays))
	if err := c.startTracing(); err != nil {
		return err
	}
	sasl := c.cfg.Kafka.SASL
	c.toKafka = newLink(sasl.Username, sasl.Password, c.cfg.Kafka.TLS)
	c.kafka, err = kafka.Open(kafka.Config{
		Brokers: c.cfg.Kafka.Brokers, TLS: c.toKafka.tls(c.cfg.Kafka.TLS), ClientID: "refundworker",
		SASL: kafka.SASL{Mechanism: sasl.Mechanism, Username: sasl.Username, Password: sasl.Password}, Credentials: c.toKafka.credentials,
	})
	if err != nil {
		return err
	}
	c.onClose(func() { _ = c.kafka.Close() })
	c.producer = c.kafka.Producer()
	c.onClose(func() { _ = c.producer.Close() })

	c.toRedis = newLink(c.cfg.Redis.Username, c.cfg.Redis.Password, c.cfg.Redis.TLS)
	c.redis = dedupe.Dial(dedupe.Address{
		Addrs: c.cfg.Redis.Addrs, Credentials: c.toRedis.credentials, TLS: c.toRedis.tls(c.cfg.Redis.TLS),
	})
	c.onClose(func() { _ = c.redis.Close() })
	c.store = dedupe.New(c.redis, dedupe.Options{
		Prefix: c.cfg.Redis.KeyPrefix, Retention: c.cfg.Redis.Retention, FailoverGrace: c.cfg.Redis.FailoverGrace,
	})

	c.pool = transport.NewPool(transport.Options{})
	c.onClose(c.pool.Close)
	accounts, err := c.build(c.cfg.Merchants, func(string) bool { return false })
	if err != nil {
		return err
	}
	if c.signals != nil { // then it is ours alone: ReloadOn
		// What only building the accounts needed goes back to the system: else the
		// collector would let the heap grow to twice of it.
		c.cfg.Forget()
		debug.FreeOSMemory()
	}
	c.merchants.put(accounts, c.cfg.Merchants)
	c.recorder = &refund.Recorder{
		Records:   c.records(),
		Publisher: c.publisher(),
		Fresh:     c.cfg.Kafka.SessionTimeout / 2,
		Observe:   c.observe,
		Trouble:   c.trouble,
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
		Granted: func(_ string, waited time.Duration) {
			if waited >= time.Millisecond { // stood in line
				c.metrics.Waited(telemetry.WaitsForLimit, waited)
			}
		},
		Refused: func(_ string, wait refund.Wait) { c.metrics.Waited(telemetry.WaitsFor(wait), wait.After) },
	}
}

// trouble is told each failed try of a step that is tried again. All are counted;
// of each step one every few seconds is written.
func (c *core) trouble(step string, err error) {
	var away *refund.Unavailable
	if errors.As(err, &away) && away.Closed && c.lost != nil { // all are looked at: not for a store that is slow
		c.lost()
	}
	c.failed(step, err)
}

// failed counts a failed step and writes it down.
func (c *core) failed(step string, err error) {
	c.metrics.Trouble(step, err)
	c.seldom(step, err, "tried again until it succeeds")
}

// seldom writes of each step's failures one every few seconds, with the number of
// those that were left out since.
func (c *core) seldom(step string, err error, what string) {
	c.mu.Lock()
	told := c.told[step]
	if time.Since(told.at) < troubleEvery {
		told.leftOut++
		c.told[step] = told
		c.mu.Unlock()
		return
	}
	c.told[step] = telling{at: time.Now()}
	c.mu.Unlock()
	c.log.Warn().Str("step", step).Int("left_out", told.leftOut).Err(err).Msg(what)
}

// telling is when a step's trouble was last written, and how many times it was not
// since.
type telling struct {
	at      time.Time
	leftOut int
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
		{Name: "redis", Ready: c.redisReady},
	}
}

// redisReady: a server that answers may still take no writes.
func (c *core) redisReady(ctx context.Context) error {
	names := slices.Sorted(maps.Keys(c.merchants.all()))
	return c.store.Writable(ctx, names...)
}
