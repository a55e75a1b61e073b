package dedupe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// probeKept is how long what Writable wrote stays.
	probeKept = time.Minute
	// probeSize in bytes is more than any step writes, so that a server which is full is found so before they are refused.
	probeSize = 4096
)

// Writable writes a key of 4 KB at every server that keeps one of these merchants,
// all at once, and says in words what is wrong where no server takes it: one that
// answers PING may be read-only, out of memory, loading, or cut off from its
// replicas. It is for readiness: who can serve some of its merchants is ready, and
// it looks at servers, not at merchants, so one that is being rebuilt does not
// count. Errors: *refund.Unavailable, after the server's address, joined.
func (s *Store) Writable(ctx context.Context, merchants ...string) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var wrong []error
	probed := s.probes(ctx, merchants, &wrong)
	took := len(merchants) == 0
	for addr, key := range probed {
		all.Go(func() {
			err := s.client.Set(ctx, key, make([]byte, probeSize), probeKept).Err()
			mu.Lock()
			defer mu.Unlock()
			if took = took || err == nil; err != nil {
				wrong = append(wrong, fmt.Errorf("redis %s: %w", addr, unavailable(err)))
			}
		})
	}
	all.Wait()
	if took {
		return nil
	}
	return errors.Join(wrong...)
}

// probes names a key at each server, by its address.
func (s *Store) probes(ctx context.Context, merchants []string, wrong *[]error) map[string]string {
	keys := map[string]string{}
	for _, merchant := range merchants {
		key := s.keys(merchant).probe()
		server, err := s.serverOf(ctx, key)
		if err != nil {
			*wrong = append(*wrong, fmt.Errorf("redis of merchant %s: %w", merchant, unavailable(err)))
			continue
		}
		keys[server.Options().Addr] = key
	}
	return keys
}

// serverOf is the server that keeps a key.
func (s *Store) serverOf(ctx context.Context, key string) (*redis.Client, error) {
	switch c := s.client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	}
	return nil, fmt.Errorf("dedupe: a client of type %T cannot be asked for its servers", s.client)
}
