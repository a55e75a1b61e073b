package dedupe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Check looks at every server once before the first step, and says in words what
// must be changed there: a maxmemory-policy other than noeviction (a record that
// is evicted is money paid twice), a version or a build without what the scripts
// need, a server that hides its identity, and, where there are replicas, a primary that
// would accept writes for longer than Options.FailoverGrace after it was cut off. An
// embedded Redis for tests tells none of that and is let through.
func (s *Store) Check(ctx context.Context) error { return s.eachServer(ctx, s.checkServer) }

func (s *Store) checkServer(ctx context.Context, c *redis.Client) error {
	info, err := look(ctx, c)
	if err != nil || info == nil {
		return err
	}
	err = errors.Join(info.fit(), info.replicas(ctx, c, s.grace))
	if _, alone := s.client.(*redis.Client); alone && info["cluster_enabled"] == "1" {
		err = errors.Join(err, fmt.Errorf("%s is part of a cluster: give several addresses of it in redis.addrs", info.addr()))
	}
	return err
}

// checkServerOf is Check of the one server that keeps a merchant now.
func (s *Store) checkServerOf(ctx context.Context, merchant string) error {
	server, err := s.serverOf(ctx, s.keys(merchant).sentinel())
	if err != nil {
		return unavailable(err)
	}
	return s.checkServer(ctx, server)
}

// Advice says what a server's settings risk without breaking a promise: a
// restart without persistence costs a rebuild of everything, and a cluster may
// stop altogether for one master. Each line is for the log.
func (s *Store) Advice(ctx context.Context) ([]string, error) {
	var lines []string
	err := s.eachServer(ctx, func(ctx context.Context, c *redis.Client) error {
		info, err := look(ctx, c)
		if err != nil || info == nil {
			return err
		}
		if info["aof_enabled"] != "1" {
			lines = append(lines, info.addr()+": appendonly is off: after a restart every merchant is rebuilt from the status topic; set appendonly yes")
		}
		if info["maxmemory"] == "0" {
			lines = append(lines, info.addr()+": maxmemory is not set: the system may kill Redis when memory runs out, instead of Redis refusing writes")
		}
		if info["cluster_enabled"] == "1" && setting(ctx, c, "cluster-require-full-coverage") == "yes" {
			lines = append(lines, info.addr()+": cluster-require-full-coverage is on: while one master is missing nobody is served; set it to no, and only its merchants wait")
		}
		return nil
	})
	return lines, err
}

// Identity is that of the server that keeps a merchant: of the history that it
// writes. It changes with every restart and every promotion, and is part of the
// sentinel; each script compares it. It is the replication id: a server also
// changes it when its first replica ever is attached, and an hour after its last
// one left (repl-backlog-ttl), and in a cluster a slot that is moved meets another
// one; then a rebuild is begun that nothing was lost for. Empty: an embedded
// Redis, which has none.
func (s *Store) Identity(ctx context.Context, merchant string) (string, error) {
	raw, err := s.scripts.identity.Run(ctx, s.client, []string{s.keys(merchant).sentinel()}, "").Slice()
	if err != nil {
		return "", unavailable(err)
	}
	answer, err := parse(raw)
	return answer.value, err
}

func (s *Store) eachServer(ctx context.Context, look func(context.Context, *redis.Client) error) error {
	switch c := s.client.(type) {
	case *redis.Client:
		return look(ctx, c)
	case *redis.ClusterClient:
		var one sync.Mutex // look may gather
		return c.ForEachMaster(ctx, func(ctx context.Context, server *redis.Client) error {
			one.Lock()
			defer one.Unlock()
			return look(ctx, server)
		})
	}
	return fmt.Errorf("dedupe: a client of type %T cannot be checked", s.client)
}

// setting answers one setting, or nothing where that may not be asked.
func setting(ctx context.Context, c *redis.Client, name string) string {
	settings, _ := c.ConfigGet(ctx, name).Result()
	return settings[name]
}

// facts are what a server answers to INFO.
type facts map[string]string

// look asks a server about itself; nil for an embedded one.
func look(ctx context.Context, c *redis.Client) (facts, error) {
	info := facts{"addr": c.Options().Addr}
	for _, section := range []string{"server", "memory", "persistence", "replication", "cluster"} {
		text, err := c.Info(ctx, section).Result()
		if err != nil && strings.Contains(err.Error(), "is not supported") {
			return nil, nil // miniredis: "section (server) is not supported"; Redis never says so
		}
		if err != nil {
			return nil, unavailable(err)
		}
		for line := range strings.Lines(text) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				info[name] = value
			}
		}
	}
	written, err := c.Eval(ctx, "return string.format('%d', "+wholeNumber+")", nil).Text()
	if err != nil {
		return nil, unavailable(err)
	}
	info["whole_number"] = written
	return info, nil
}

// wholeNumber is larger than the times and amounts that scripts write by '%d'. A
// build for 32 bits, for one, writes another.
const wholeNumber = "4503599627370496"

func (f facts) addr() string { return "redis " + f["addr"] }

// fit says whether the scripts may rely on this server.
func (f facts) fit() error {
	var found []error
	if policy := f["maxmemory_policy"]; policy != "noeviction" {
		found = append(found, fmt.Errorf("%s: maxmemory-policy is %q and must be noeviction: an evicted record would be paid twice", f.addr(), policy))
	}
	if major, _, _ := strings.Cut(f["redis_version"], "."); len(major) == 1 && major < "6" {
		found = append(found, fmt.Errorf("%s: version %s; 6.0 or later is needed", f.addr(), f["redis_version"]))
	}
	if f["whole_number"] != wholeNumber {
		found = append(found, fmt.Errorf("%s: its scripts write %s as %q; a build for 64 bits is needed", f.addr(), wholeNumber, f["whole_number"]))
	}
	if f["master_replid"] == "" {
		found = append(found, fmt.Errorf("%s: INFO replication has no master_replid: a failover could not be noticed", f.addr()))
	}
	if f["role"] == "slave" {
		found = append(found, fmt.Errorf("%s is a replica: give the address of its master", f.addr()))
	}
	return errors.Join(found...)
}

// replicas says whether a primary that was cut off stops soon enough.
func (f facts) replicas(ctx context.Context, c *redis.Client, grace time.Duration) error {
	if n, _ := strconv.Atoi(f["connected_slaves"]); n == 0 {
		return nil
	}
	if f["min_slaves_good_slaves"] == "" {
		return fmt.Errorf("%s has replicas: set min-replicas-to-write 1 and min-replicas-max-lag, or a primary that was cut off goes on accepting claims", f.addr())
	}
	settings, err := c.ConfigGet(ctx, "min-replicas-max-lag").Result()
	if err != nil {
		return fmt.Errorf("%s has replicas, and min-replicas-max-lag cannot be read to hold it against redis.failover_grace: %w", f.addr(), err)
	}
	seconds, err := strconv.Atoi(settings["min-replicas-max-lag"])
	if lag := time.Duration(seconds) * time.Second; err == nil && lag > grace {
		return fmt.Errorf("%s: min-replicas-max-lag is %s, longer than redis.failover_grace (%s); lower it, or raise redis.failover_grace to as much", f.addr(), lag, grace)
	}
	return err
}
