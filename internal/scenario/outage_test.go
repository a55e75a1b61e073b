package scenario

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/refund"
)

// scaled are times of which the production's are multiples: what takes minutes
// there takes seconds here.
func scaled(m *config.Merchant) {
	m.Timeout, m.ResendAfter, m.MaxWait = time.Second, 2*time.Second, 500*time.Millisecond
	m.ErrorRate = 100
	m.Breaker = config.Breaker{Window: 3 * time.Second, MinCalls: 10, FailureRatio: 0.5, OpenFor: time.Second}
}

func scaledDelays(c *config.Config) {
	c.Kafka.SessionTimeout, c.Worker.ClaimLease = 6*time.Second, 6*time.Second
	c.Worker.Delays = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second}
}

// Eight merchants whose gateways hang, reset, fail and answer too late have as many
// refunds waiting as would fill all running places, and more; another's end as if
// alone. Once the gateways are well, all have ended, none of them in the dead
// letters and none paid twice.
func TestEightSickMerchantsSlowNobodyElse(t *testing.T) {
	ways := []func(*gateway){
		func(g *gateway) { g.fall(hangs) },
		func(g *gateway) { g.fall(resets) },
		func(g *gateway) { g.fall(fails) },
		func(g *gateway) { g.slow(5 * time.Second) }, // the money moves, the answer comes too late
	}
	merchants := []string{"well"}
	for i := range 8 {
		merchants = append(merchants, fmt.Sprint("sick", i))
	}
	each := 60
	if raced {
		each = 15
	}
	w := newWorld(t, settings{merchants: merchants,
		change:   func(c *config.Config) { scaledDelays(c); c.Worker.MaxInFlight = 64 },
		merchant: func(m *config.Merchant) { scaled(m); m.Concurrency, m.Timeout = 8, 3*time.Second }})
	w.gateways["well"].slow(100 * time.Millisecond)
	w.others("well", "warm", 1)
	alone := w.others("well", "alone", 5)

	var sick []refund.Key
	for i, name := range merchants[1:] {
		ways[i%len(ways)](w.gateways[name])
		sick = append(sick, w.publish(name, "r", each)...)
	}
	beside := w.rounds("well", "beside", 15) // some seconds: until the breakers have opened, and on
	w.undisturbed(alone, median(beside))
	if worst := slices.Max(beside); worst > 1500*time.Millisecond && !raced { // the first, when all calls of the sick ones hang
		t.Errorf("one round took %s", worst)
	}
	for _, name := range merchants[1:] {
		w.gateways[name].fall(nil)
		w.gateways[name].slow(0)
	}
	w.await(sick, 2*time.Minute)
	w.succeeded(sick)
	w.audit()
}

// A gateway is away for 240 times its breaker's rest, which is an hour in
// production. It costs time: no dead letter, all done afterwards, and the
// first that goes through to it asks and moves no money. While it is away it is
// hardly called.
func TestAGatewayThatIsAwayCostsTimeOnly(t *testing.T) {
	const openFor, outage = 30 * time.Millisecond, 240 * 30 * time.Millisecond
	for name, away := range map[string]struct {
		goes, comes func(*testing.T, *gateway)
	}{
		"connections are refused": {
			func(_ *testing.T, g *gateway) { g.vanish() },
			func(t *testing.T, g *gateway) { g.appear(t) }},
		"a proxy answers 502": {
			func(_ *testing.T, g *gateway) { g.fall(fails) },
			func(_ *testing.T, g *gateway) { g.fall(nil) }},
		"connections break": {
			func(_ *testing.T, g *gateway) { g.fall(resets) },
			func(_ *testing.T, g *gateway) { g.fall(nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, settings{merchants: []string{"away", "here"}, change: scaledDelays,
				merchant: func(m *config.Merchant) { scaled(m); m.Breaker.OpenFor = openFor }})
			g := w.gateways["away"]
			all := w.publish("away", "before", 20)
			w.await(all, time.Minute)
			alone := w.others("here", "alone", 3)

			away.goes(t, g)
			began := time.Now()
			g.came()
			per := 100
			if raced {
				per = 30
			}
			for part := range 4 {
				all = append(all, w.publish("away", fmt.Sprint("during", part), per)...)
				w.undisturbed(alone, w.others("here", fmt.Sprint("beside", part), 3))
			}
			time.Sleep(outage - time.Since(began)) // the outage itself
			during := len(g.came())
			away.comes(t, g)
			w.await(all, 2*time.Minute)
			t.Logf("all %d ended %s after a gateway was back that was away for %s; %d calls meanwhile", len(all), time.Since(began.Add(outage)).Round(time.Millisecond), outage, during)
			w.succeeded(all)
			if came := g.came(); len(came) == 0 || came[0] != "query" {
				t.Errorf("the first to go through: %v", came[:min(10, len(came))])
			}
			// The calls that opened the breaker, those under way beside them, and one probe for each rest.
			if most := 2*64 + int(outage/openFor); during > most {
				t.Errorf("%d calls while it was away", during)
			}
			times, _ := w.delayed("away")
			if most := slices.Max(values(times)); most > 12 && !raced {
				t.Errorf("one went through the delay topics %d times", most)
			}
			w.audit()
		})
	}
}

func values(counts map[string]int) (all []int) {
	for _, n := range counts {
		all = append(all, n)
	}
	return all
}
