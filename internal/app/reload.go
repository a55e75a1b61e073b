package app

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"github.com/refundworker/refundworker/internal/config"
)

// Option changes how Worker or Bridge runs.
type Option func(*core)

// ReloadOn has the configuration's file read again at each signal. The configuration
// that is run with it is nobody else's: once the accounts are made, most of it is
// forgotten (config.Config.Forget).
func ReloadOn(signals <-chan os.Signal) Option { return func(c *core) { c.signals = signals } }

// followSignals reloads until ctx ends.
func (c *core) followSignals(ctx context.Context, added func(merchants []string)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.signals: // nil: never
			c.reload(added)
		}
	}
}

// reload takes the configuration anew: all of it that a running process can take,
// or nothing. Work under way ends as it began; what comes then finds the new
// merchants, passwords and certificates.
func (c *core) reload(added func(merchants []string)) {
	next, err := Load(c.inUse.File())
	if err != nil {
		c.metrics.Reloaded("refused")
		c.log.Error().Err(err).Msg("the configuration is wrong; the one in use stays, nothing of the new one is taken")
		return
	}
	defer debug.FreeOSMemory() // see core.open
	changes := c.inUse.Compare(next)
	switch {
	case len(changes.Restart) > 0:
		c.metrics.Reloaded("refused")
		c.log.Error().Strs("changed", changes.Restart).Msg("only a restart can change this; the configuration in use stays, nothing of the new one is taken")
		return
	case changes.None():
		c.metrics.Reloaded("unchanged")
		c.log.Info().Msg("the configuration has not changed")
		return
	}
	changed := map[string]bool{}
	for _, merchant := range changes.Changed {
		changed[merchant] = true
	}
	accounts, err := c.build(next.Merchants, func(merchant string) bool { return !changed[merchant] })
	if err != nil {
		c.metrics.Reloaded("refused")
		c.log.Error().Err(err).Msg("the configuration in use stays, nothing of the new one is taken")
		return
	}
	c.toKafka.set(next.Kafka.SASL.Username, next.Kafka.SASL.Password, next.Kafka.TLS)
	c.toRedis.set(next.Redis.Username, next.Redis.Password, next.Redis.TLS)
	next.Forget() // before others read it
	c.merchants.put(accounts, next.Merchants)
	c.inUse = next
	if added != nil {
		added(namesOf(next.Merchants))
	}
	c.metrics.Reloaded("applied")
	c.metrics.Loaded(time.Now())
	c.log.Info().Strs("added", changes.Added).Strs("changed", append(changes.Changed, changes.Credentials...)).Msg("the new configuration is in use")
}

func namesOf(merchants []config.Merchant) (names []string) {
	for _, m := range merchants {
		names = append(names, m.Name)
	}
	return names
}
