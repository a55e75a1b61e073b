package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check holds the whole configuration against its rules; see DESIGN.md for the
// meaning of each key.
func (c *Config) check() {
	d := c.doc
	c.checkKafka(d)
	c.checkRedis(d)
	c.checkWorker(d)
	c.checkBridge(d)
	d.oneOf("log.level", c.Log.Level, "trace", "debug", "info", "warn", "error")
	d.oneOf("log.format", c.Log.Format, "json", "console")
	if e := c.Tracing.Endpoint; e != "" && d.sound("tracing.endpoint") {
		if _, _, err := net.SplitHostPort(e); err != nil && !webAddress(e, "http", "https") {
			d.fail("tracing.endpoint", "must be host:port or an address such as http://127.0.0.1:4318")
		} else if strings.Contains(e, "@") {
			d.fail("tracing.endpoint", "must have no user: the collector's credentials are a header, in OTEL_EXPORTER_OTLP_HEADERS")
		}
	}
	c.checkMerchants(d)
	c.checkTimes(d)
}

func (c *Config) checkKafka(d *document) {
	k := &c.Kafka
	d.dialable("kafka.brokers", k.Brokers)
	d.matches("kafka.group", k.Group, regexp.MustCompile(`^\S{1,200}$`), "1-200 characters without spaces")
	inRange(d, "kafka.session_timeout", k.SessionTimeout, time.Second, 30*time.Minute)
	d.oneOf("kafka.on_out_of_range", k.OnOutOfRange, "alarm", "earliest")
	d.checkTLS("kafka.tls", &k.TLS)
	d.oneOf("kafka.sasl.mechanism", k.SASL.Mechanism, "", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	switch s := k.SASL; {
	case s.Mechanism != "" && s.Username == "":
		d.fail("kafka.sasl.username", "is missing: the mechanism needs it")
	case s.Mechanism == "" && (s.Username != "" || s.Password != ""):
		d.fail("kafka.sasl.mechanism", "is missing: username and password are of no use without it")
	}
	c.checkTopics(d)
	inRange(d, "kafka.create_topics.partitions", k.CreateTopics.Partitions, 1, 10000)
	inRange(d, "kafka.create_topics.replication", k.CreateTopics.Replication, 1, 32)
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)

// checkTopics: two uses of one topic would mix what must stay apart.
func (c *Config) checkTopics(d *document) {
	t := c.Kafka.Topics
	uses := map[string]string{}
	for _, topic := range []struct{ key, name string }{
		{"requests", t.Requests}, {"status", t.Status}, {"dead_letters", t.DeadLetters}, {"control", t.Control}, {"audit", t.Audit}, {"delay_prefix", t.DelayPrefix},
	} {
		path := "kafka.topics." + topic.key
		d.matches(path, topic.name, topicName, "1-200 of letters, digits, point, underscore and dash")
		if other, taken := uses[topic.name]; taken {
			d.fail(path, "is the same topic as %s", other)
		}
		uses[topic.name] = topic.key
		if rest, found := strings.CutPrefix(topic.name, t.DelayPrefix); found && topic.key != "delay_prefix" {
			if _, err := time.ParseDuration(rest); err == nil {
				d.fail(path, "is the name of a delay topic (delay_prefix and a duration)")
			}
		}
	}
}

// yearOfRefunds: WeChat refunds a payment for a year. A record that is forgotten
// sooner is a refund number that could be paid again.
const yearOfRefunds = 365 * 24 * time.Hour

func (c *Config) checkRedis(d *document) {
	r := &c.Redis
	d.dialable("redis.addrs", r.Addrs)
	d.matches("redis.key_prefix", r.KeyPrefix, regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`), "1-64 of letters, digits and . _ : -")
	if r.Retention < yearOfRefunds {
		d.fail("redis.retention", "must be at least %s (a year): as long as any gateway refunds a payment, or a refund could be paid again", hours(yearOfRefunds))
	}
	inRange(d, "redis.failover_grace", r.FailoverGrace, 0, time.Hour)
	d.checkTLS("redis.tls", &r.TLS)
}

func hours(t time.Duration) string { return fmt.Sprintf("%dh", t/time.Hour) }

func (c *Config) checkWorker(d *document) {
	w := &c.Worker
	d.listenable("worker.admin", w.Admin)
	inRange(d, "worker.max_in_flight", w.MaxInFlight, 1, 100_000)
	inRange(d, "worker.drain_timeout", w.DrainTimeout, time.Second, 5*time.Minute)
	inRange(d, "worker.claim_lease", w.ClaimLease, time.Second, time.Hour)
	if len(w.Delays) == 0 {
		d.fail("worker.delays", "needs at least one duration")
		return
	}
	for i, delay := range w.Delays {
		path := fmt.Sprintf("worker.delays[%d]", i)
		switch {
		case delay < time.Second || delay%time.Second != 0:
			d.fail(path, "must be a whole number of seconds, at least 1s")
		case i > 0 && delay <= w.Delays[i-1] && d.sound(fmt.Sprintf("worker.delays[%d]", i-1)):
			d.fail(path, "must be longer than the one before it")
		}
	}
	if ask := w.Delays[min(1, len(w.Delays)-1)]; w.ReviewAfter < ask && d.intact("worker.delays") {
		d.fail("worker.review_after", "must be at least %s, the second of worker.delays: an open refund is asked about before a person is", shown(ask))
	}
}

func (c *Config) checkBridge(d *document) {
	b := &c.Bridge
	d.listenable("bridge.admin", b.Admin)
	d.listenable("bridge.listen", b.Listen)
	if b.Admin == b.Listen && b.Listen != "" {
		d.fail("bridge.listen", "is the address of bridge.admin too")
	}
	if b.MaxBody < 1<<10 || b.MaxBody > 16<<20 {
		d.fail("bridge.max_body", "must be from 1KiB to 16MiB")
	}
	inRange(d, "bridge.timeout", b.Timeout, 100*time.Millisecond, time.Minute)
	inRange(d, "bridge.max_concurrent", b.MaxConcurrent, 1, 100_000)
	inRange(d, "bridge.max_per_merchant", b.MaxPerMerchant, 1, 100_000)
	if b.MaxPerMerchant > b.MaxConcurrent && d.sound("bridge.max_concurrent") {
		d.fail("bridge.max_per_merchant", "is more than max_concurrent (%d)", b.MaxConcurrent)
	}
}

// Advice says what a right configuration costs without breaking a promise. A call
// that began just before a stop, or a rebalance, should be able to end and to be
// recorded within the drain: one that is cut off is asked about.
func (c *Config) Advice() (lines []string) {
	for _, m := range c.Merchants {
		if m.Timeout > c.Worker.DrainTimeout {
			lines = append(lines, fmt.Sprintf("the timeout of merchant %s (%s) is longer than worker.drain_timeout (%s): a stop cuts calls off, and each is asked about afterwards",
				m.Name, m.Timeout, c.Worker.DrainTimeout))
		}
	}
	return lines
}

// checkTimes looks at what must fit into what. A lease holds for the claim, the
// publishing of the intent and the call. An intent that is not on its way within
// half a session timeout of the claim is not published, and a call whose timeout
// no longer fits into the lease is not made: so the lease must have room for both.
func (c *Config) checkTimes(d *document) {
	session, lease := c.Kafka.SessionTimeout, c.Worker.ClaimLease
	const sessionKey, leaseKey = "kafka.session_timeout", "worker.claim_lease"
	if !d.sound(sessionKey, leaseKey) {
		return
	}
	if lease < session {
		d.failFirst(fmt.Sprintf("%s (%s) must not be shorter than %s (%s)", leaseKey, lease, sessionKey, session), leaseKey, sessionKey)
		return
	}
	for _, m := range c.Merchants {
		timeoutKey := join(m.path, "timeout")
		if lease > m.Timeout+session/2 || !d.sound(timeoutKey) {
			continue
		}
		d.failFirst(fmt.Sprintf("%s (%s) must be longer than %s (%s) and half of %s (%s) together",
			leaseKey, lease, timeoutKey, m.Timeout, sessionKey, session), timeoutKey, leaseKey, sessionKey)
	}
}

// failFirst notes a finding about several keys at the first one that stands in the
// file.
func (d *document) failFirst(message string, paths ...string) {
	path := paths[max(0, slices.IndexFunc(paths, d.given))]
	d.add(d.place(path), message)
}

func inRange[T cmp.Ordered](d *document, path string, v, least, most T) {
	if v < least || v > most {
		d.fail(path, "must be from %s to %s", shown(least), shown(most))
	}
}

// shown writes a duration as people do: 5m, not 5m0s.
func shown(v any) string {
	text := fmt.Sprint(v)
	if _, ok := v.(time.Duration); ok && strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(strings.TrimSuffix(text, "0s"), "h0m")
		if !strings.HasSuffix(text, "m") {
			text += "h"
		}
	}
	return text
}

func (d *document) oneOf(path, v string, allowed ...string) {
	if slices.Contains(allowed, v) {
		return
	}
	words := slices.DeleteFunc(slices.Clone(allowed), func(s string) bool { return s == "" })
	if len(words) < len(allowed) {
		words = append(words, `""`)
	}
	d.fail(path, "must be one of: %s", strings.Join(words, ", "))
}

func (d *document) matches(path, v string, pattern *regexp.Regexp, rule string) {
	if !pattern.MatchString(v) {
		d.fail(path, "must be %s", rule)
	}
}

// dialable: a list of host:port.
func (d *document) dialable(path string, addrs []string) {
	if len(addrs) == 0 {
		d.fail(path, "needs at least one host:port")
	}
	for i, addr := range addrs {
		if host, _, ok := hostPort(addr, 1); !ok || host == "" {
			d.fail(fmt.Sprintf("%s[%d]", path, i), "must be host:port")
		} else if slices.Contains(addrs[:i], addr) {
			d.fail(fmt.Sprintf("%s[%d]", path, i), "stands twice")
		}
	}
}

// listenable: host:port, where the host may be left out.
func (d *document) listenable(path, addr string) {
	if _, _, ok := hostPort(addr, 0); !ok {
		d.fail(path, "must be host:port, or :port for all addresses")
	}
}

func hostPort(addr string, leastPort int) (host string, port int, ok bool) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil || strings.ContainsAny(host, " /@") {
		return "", 0, false
	}
	port, err = strconv.Atoi(text)
	return host, port, err == nil && port >= leastPort && port <= 65535
}

func webAddress(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Hostname() != "" && slices.Contains(schemes, u.Scheme)
}
