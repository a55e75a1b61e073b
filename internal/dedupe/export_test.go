package dedupe

import "sync"

// clockOfTest stands still until a test sets it: scripts read it beside the
// merchant's sentinel.
const clockOfTest = `
local function clock() return tonumber(redis.call('GET', KEYS[1] .. ':clock')) end
`

var scriptsOfTest = sync.OnceValue(func() scripts { return load(clockOfTest) })

// UseTestClock makes every script read the time from the key that ClockKey names
// (microseconds), instead of the server's.
func (s *Store) UseTestClock() { s.scripts = scriptsOfTest() }

// ClockKey is where a merchant's test clock is.
func (s *Store) ClockKey(merchant string) string { return s.SentinelKey(merchant) + ":clock" }

// SentinelKey is where a merchant's epoch is.
func (s *Store) SentinelKey(merchant string) string { return s.keys(merchant).sentinel() }

// LockKey is where the right to rebuild a merchant is.
func (s *Store) LockKey(merchant string) string { return s.keys(merchant).rebuild() }

// RecordKey and OrderKey are where a refund and its order are.
func (s *Store) RecordKey(merchant, refundNo string) string { return s.keys(merchant).record(refundNo) }
func (s *Store) OrderKey(merchant, order string) string     { return s.keys(merchant).order(order) }

// QueueKey is where the places of a merchant's waiting refunds are.
func (s *Store) QueueKey(merchant string) string { return s.keys(merchant).queue() }

// Waiting counts the steps that are not under way yet.
func (s *Store) Waiting() (n int) {
	s.queues.Range(func(_, way any) bool {
		p := way.(*pipeline)
		p.mu.Lock()
		defer p.mu.Unlock()
		n += len(p.waiting)
		return true
	})
	return n
}
