package memstore

import "maps"

// Take copies the content.
func (s *Store) Take() *Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.clone()
}

// Put replaces the content by a copy of an image; what Lose could take back is
// forgotten. The server stays the one of the image.
func (s *Store) Put(image *Image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.history = image.clone(), nil
}

// Wipe empties the store, as FLUSHALL or a restart without a disk does.
func (s *Store) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.history = &Image{server: s.state.server + 1, merchants: map[string]*merchant{}}, nil
}

// Failover takes the last n acknowledged writes back and changes the server's
// identity, as the promotion of a replica that lagged does. It answers how many
// were taken back.
func (s *Store) Failover(n int) int {
	n = s.Lose(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.server++
	return n
}

// Lose takes the last n acknowledged writes back and leaves the server's identity
// as it is, which no real server does: for tests of what a failover would break
// that nobody sees. It answers how many were taken back: Options.History bounds it.
func (s *Store) Lose(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = min(n, len(s.history))
	for range n {
		last := s.history[len(s.history)-1]
		s.history = s.history[:len(s.history)-1]
		for i := len(last) - 1; i >= 0; i-- {
			last[i]()
		}
	}
	return n
}

// Down makes every step answer *refund.Unavailable around err; nil: up again.
func (s *Store) Down(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

// Writes counts the steps so far that wrote something.
func (s *Store) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (i *Image) clone() *Image {
	c := &Image{server: i.server, merchants: make(map[string]*merchant, len(i.merchants))}
	for name, m := range i.merchants {
		n := *m
		n.records, n.orders, n.queue = maps.Clone(m.records), maps.Clone(m.orders), maps.Clone(m.queue)
		c.merchants[name] = &n
	}
	return c
}

// BreakLock makes the right to rebuild a merchant run out.
func (s *Store) BreakLock(merchant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.state.merchants[merchant]; m != nil {
		m.lock = nil
	}
}
