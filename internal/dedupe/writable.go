package dedupe

import (
	"context"
	"errors"
	"fmt"
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
// and says in words what is wrong where that fails: a server that answers PING may
// be read-only, out of memory, loading, or cut off from its replicas. It is for
// readiness: it looks at servers, not at merchants, so one that is being rebuilt
// does not count. Errors: *refund.Unavailable, after the server's address, joined.
func (s *Store) Writable(ctx context.Context, merchants ...string) error {
	asked := map[string]bool{}
	var wrong []error
	for _, merchant := range merchants {
		key := s.keys(merchant).probe()
		server, err := s.serverOf(ctx, key)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("redis of merchant %s: %w", merchant, unavailable(err)))
			continue
		}
		addr := server.Options().Addr
		if asked[addr] {
			continue
		}
		asked[addr] = true
		if err := s.client.Set(ctx, key, make([]byte, probeSize), probeKept).Err(); err != nil {
			wrong = append(wrong, fmt.Errorf("redis %s: %w", addr, unavailable(err)))
		}
	}
	return errors.Join(wrong...)
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
