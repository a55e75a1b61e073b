package gatewaysim

import (
	"fmt"
	"math/rand/v2"
)

// Generator writes a script for each refund number by rates. What a number
// gets depends on the seed, the merchant and the number alone, not on the
// order in which calls arrive: a run repeats.
type Generator struct {
	Seed uint64 `json:"seed"`
	// Rates by behaviour name, in refunds per thousand, each drawn by
	// itself. Where several are drawn, each part of the script (calls,
	// queries, notifications) comes from the first in the table's order
	// that has it.
	Rates map[string]int `json:"rates"`
}

// Check names the first rate that is unknown or not between 0 and 1000.
func (g *Generator) Check() error {
	for name, rate := range g.Rates {
		if _, err := Named(name); err != nil {
			return err
		}
		if rate < 0 || rate > 1000 {
			return fmt.Errorf("gatewaysim: rate of %q is %d: it is per thousand, 0 to 1000", name, rate)
		}
	}
	return nil
}

// Script is what a refund number gets.
func (g *Generator) Script(provider, merchant, refundNo string) Script {
	rng := rand.New(rand.NewPCG(g.Seed, digest(provider, merchant, refundNo)))
	var sc Script
	for _, b := range behaviours {
		// One draw a line, whatever the rates: to change one rate changes
		// no other line's fate.
		if drawn := rng.IntN(1000); drawn >= g.Rates[b.Name] {
			continue
		}
		x := b.Script(provider)
		if sc.Calls == nil {
			sc.Calls = x.Calls
		}
		if sc.Queries == nil {
			sc.Queries = x.Queries
		}
		if sc.Notifications == nil {
			sc.Notifications = x.Notifications
		}
	}
	return sc
}
