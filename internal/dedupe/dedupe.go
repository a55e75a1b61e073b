// Package dedupe is the store of refunds in Redis: it implements refund.Claims
// and refund.Records, and what a rebuild from the status topic needs.
//
// It guarantees that every step is taken within one script, on one slot (all keys
// of a merchant carry its hash tag), so that it happened wholly or not at all, also
// where one script takes the steps of several callers;
// that a claim is given to one token at a time; that the amounts which an
// order's refunds hold never exceed its total by a claim; and that a server
// which lost something (wiped, restarted, failed over) is noticed by the very
// step that would have relied on it: *refund.Unavailable, never "assume new".
//
// There is no state machine here. The lifecycle decides in Go; the scripts keep
// leases, versions, sums and places in queues.
//
// It knows the domain and go-redis.
package dedupe

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/refund"
)

var (
	_ refund.Claims  = (*Store)(nil)
	_ refund.Records = (*Store)(nil)
)

// Options of a Store.
type Options struct {
	Prefix    string        // of every key, for example refund
	Retention time.Duration // how long a final refund is remembered, from its last change
	// FailoverGrace is the longest that a primary which was cut off may accept
	// writes; Check holds the servers against it.
	FailoverGrace time.Duration
}

// Store keeps refunds in Redis. It is safe for concurrent use.
type Store struct {
	client    redis.UniversalClient
	prefix    string
	retention string // in ms
	grace     time.Duration
	scripts   scripts
	epochs    epochs
	queues    sync.Map // server (*redis.Client) -> *pipeline
}

// New builds a Store on a client of Dial; it does not connect yet.
func New(client redis.UniversalClient, o Options) *Store {
	return &Store{client: client, prefix: o.Prefix, retention: millis(o.Retention), grace: o.FailoverGrace, scripts: scriptsOfServer(), epochs: epochs{of: map[string]int64{}}}
}

// keys of one merchant; all lie in the slot of its hash tag.
type keys struct{ base string }

func (s *Store) keys(merchant string) keys { return keys{base: s.prefix + ":{" + merchant + "}:"} }

func (k keys) sentinel() string              { return k.base + "epoch" }
func (k keys) record(refundNo string) string { return k.base + "r:" + refundNo }
func (k keys) orders() string                { return k.base + "o:" }
func (k keys) order(order string) string     { return k.orders() + order }
func (k keys) rate() string                  { return k.base + "rate" }
func (k keys) queue() string                 { return k.base + "queue" }
func (k keys) rebuild() string               { return k.base + "rebuild" }
func (k keys) offsets() string               { return k.base + "offsets" }
func (k keys) probe() string                 { return k.base + "probe" }

// checkWord refuses what would break the header of a stored record. Tokens and
// places are made by this system and never hold such characters.
func checkWord(what, word string) error {
	if i := strings.IndexFunc(word, func(r rune) bool { return r == '|' || r < ' ' }); i >= 0 {
		return fmt.Errorf("dedupe: %s %q holds a bar or a control character", what, word)
	}
	return nil
}
