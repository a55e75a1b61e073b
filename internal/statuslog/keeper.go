package statuslog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/internal/refund"
)

// Config of a Keeper; all but Metrics is required.
type Config struct {
	Merchants []string
	Index     Index
	Log       *Log
	Control   *Control
	FollowUps FollowUps
	// After is the wait before follow-up number n: refund.Schedule.After.
	After func(n int) time.Duration
	// Quiet is how long nothing is claimed after a loss: claim_lease, and with replicas failover_grace more.
	Quiet time.Duration
	// Every is the time between two looks, which note how far the topic is reflected: each at the next thousand merchants,
	// or at all once somebody has called Wake or one of them has lost something.
	Every   time.Duration
	Logger  zerolog.Logger
	Metrics Metrics
}

// Metrics are hooks, each may be nil.
type Metrics struct {
	Rebuilding func(merchants int)              // how many are closed and being rebuilt here
	Progress   func(read, of int64)             // records of the status topic
	Rebuilt    func(Rebuilt)                    // one merchant is open again
	Failed     func(merchant string, err error) // a rebuild ended without success; it begins again
	Trouble    func(step string, err error)     // a look at the store failed, for its first merchant; the next one comes soon
}

// Rebuilt is one rebuild that succeeded.
type Rebuilt struct {
	Merchant       string
	New            bool // nothing was read: the merchant was never served before
	Epoch          int64
	Restored, Open int64 // refunds, and those of them that are not final
	Took           time.Duration
}

// Keeper looks after the merchants' epochs. Run it; Ensure and Wake are for others.
type Keeper struct {
	Config
	wake chan struct{}
	next int // merchant of the next look

	mu   sync.Mutex
	busy map[string]bool
	work sync.WaitGroup
}

// NewKeeper makes one.
func NewKeeper(c Config) *Keeper {
	return &Keeper{Config: c, wake: make(chan struct{}, 1), busy: map[string]bool{}}
}

// Run looks at every merchant at once, then looks each time that Every has passed or somebody has called Wake, and
// rebuilds what is lost. It returns once ctx has ended and its rebuilds have let go.
func (k *Keeper) Run(ctx context.Context) {
	defer k.work.Wait()
	k.work.Go(func() {
		for k.enrol(ctx); pause(ctx, enrolEvery) == nil; {
			k.enrol(ctx)
		}
	})
	for all := true; ; {
		if lost := k.look(ctx, all); len(lost) > 0 {
			k.work.Go(func() { k.bringBack(ctx, lost) })
		}
		timer := time.NewTimer(k.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-k.wake:
			timer.Stop()
			_ = pause(ctx, restBetween) // however often it is called
			all = true
		case <-timer.C:
			all = false
		}
	}
}

// Serve changes which merchants are looked after, from the next look on.
func (k *Keeper) Serve(merchants []string) {
	k.mu.Lock()
	k.Merchants = slices.Clone(merchants)
	k.mu.Unlock()
	k.Wake()
}

func (k *Keeper) merchants() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.Merchants
}

// Wake makes the keeper look now: whoever met a *refund.Unavailable may call it as often as he likes.
func (k *Keeper) Wake() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Ensure returns nil once the merchant is open: at once, or when its rebuild, which it asks for, has ended, here or in
// another process. The error, after ctx has ended, says what is in the way. Many may wait at the same time.
func (k *Keeper) Ensure(ctx context.Context, merchant string) error {
	if !slices.Contains(k.merchants(), merchant) {
		return fmt.Errorf("statuslog: merchant %q is not in the configuration", merchant)
	}
	for {
		_, err := k.Index.Epoch(ctx, merchant)
		if err == nil {
			return nil
		}
		k.Wake()
		if pause(ctx, ensureEvery) != nil {
			return err
		}
	}
}

const ensureEvery = 200 * time.Millisecond

// restBetween two looks.
const restBetween = 100 * time.Millisecond

// A look is at lookMost merchants at a time, looks of them together, and lookTime is how long these may take. Looks at ten
// thousand every few seconds would be as much work for the store as refunds are.
const (
	looks    = 16
	lookMost = 1000
	lookTime = 10 * time.Second
)

// look answers the merchants that are closed for a loss and not yet being rebuilt here; they count as busy from now on. It
// is at the merchants whose turn it is, or at all: also where one of those has lost something, as others then have, and one
// scan serves them together.
func (k *Keeper) look(ctx context.Context, all bool) (lost []string) {
	merchants := k.merchants()
	for begun, n := k.next, 0; n < len(merchants); n += lookMost {
		most := min(lookMost, len(merchants)-n)
		turn := make([]string, most)
		for i := range turn {
			turn[i] = merchants[(begun+n+i)%len(merchants)]
		}
		k.next = (begun + n + most) % len(merchants)
		if lost = append(lost, k.lookAt(ctx, turn)...); !all && len(lost) == 0 {
			break
		}
	}
	slices.Sort(lost)
	return lost
}

// lookAt notes how far the topic is reflected in each merchant's slot, and finds those that look answers. The topic's end is
// read before the note is written: what was published by then had been recorded before.
func (k *Keeper) lookAt(running context.Context, merchants []string) (lost []string) {
	ctx, cancel := context.WithTimeout(running, lookTime)
	defer cancel()
	note := ""
	if spans, err := k.Log.Reader.Spans(ctx, k.Log.Topic); err == nil {
		note = writeOffsets(spans)
	}
	var all errgroup.Group
	var trouble sync.Once
	all.SetLimit(looks)
	for _, merchant := range merchants {
		all.Go(func() error {
			var err error
			if note != "" {
				err = k.Index.Note(ctx, merchant, note)
			} else {
				_, err = k.Index.Epoch(ctx, merchant)
			}
			var away *refund.Unavailable
			if err != nil && !(errors.As(err, &away) && away.Closed) && running.Err() == nil && k.Metrics.Trouble != nil {
				trouble.Do(func() { k.Metrics.Trouble("look", err) })
			}
			if err != nil && LossOf(err).Kind != Nothing && k.take(merchant) {
				k.mu.Lock()
				lost = append(lost, merchant)
				k.mu.Unlock()
			}
			return nil
		})
	}
	_ = all.Wait()
	return lost
}

// enrolEvery is how often it is seen to that whoever is open is on the roll.
const enrolEvery = time.Hour

// enrol writes who is open here and not on the roll, as after the control topic was lost, or where only a hold names him.
func (k *Keeper) enrol(ctx context.Context) {
	roll, err := k.Control.Read(ctx)
	if err != nil {
		return // whoever needs the control topic says so
	}
	for _, merchant := range k.merchants() {
		if roll.Merchants[merchant].Lasting {
			continue
		}
		if _, err := k.Index.Epoch(ctx, merchant); err == nil {
			err = k.Control.Enrol(ctx, merchant)
			k.Logger.Warn().Err(err).Str("merchant", merchant).Msg("the control topic did not know a merchant that is served: it was lost, or is another one")
		}
	}
}

// take makes a merchant busy; false where it is.
func (k *Keeper) take(merchant string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy[merchant] {
		return false
	}
	k.busy[merchant] = true
	k.tellBusy()
	return true
}

func (k *Keeper) release(merchants []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, merchant := range merchants {
		delete(k.busy, merchant)
	}
	k.tellBusy()
}

func (k *Keeper) tellBusy() {
	if k.Metrics.Rebuilding != nil {
		k.Metrics.Rebuilding(len(k.busy))
	}
}
