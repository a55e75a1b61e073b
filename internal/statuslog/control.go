package statuslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// Control is the control topic, as far as it says which merchants were ever served. Its keys are kind/merchant; the kinds
// here are "known", "served" and, of no merchant, "roll". Whatever else is written there about a merchant makes it known
// too: to take a served merchant for a new one may cost money, the other way round costs a scan.
type Control struct {
	Reader Reader
	Writer Writer
	Topic  string
}

// Known is what the control topic says of a merchant.
type Known struct {
	Merchant string    `json:"merchant"`
	Since    time.Time `json:"known_since"`
	Epoch    int64     `json:"epoch"` // the store has, or will have had, this epoch of the merchant
	// Lasting: it says so by itself, for ever. A hold that makes a merchant known ends.
	Lasting bool `json:"-"`
}

// Roll is who was ever served.
type Roll struct {
	Merchants map[string]Known
	// Whole: whoever is not on it was never served. A topic that was lost, or is another than before, does not say so,
	// whatever was written to it since, until the status topic was read from its beginning.
	Whole bool
}

const (
	knownKind  = "known"  // Known, by whoever opens the merchant
	servedKind = "served" // by whoever makes a roll whole; a kind of its own, or it might take the place of an epoch
	rollKind   = "roll"   // it is whole
)

// Read answers all merchants that the topic has heard of when it was called. A later record never lowers an epoch, and a
// deletion takes nothing back. Of each key the newest record must be readable; one that is not is mended by writing its key
// again.
func (c *Control) Read(ctx context.Context) (Roll, error) {
	roll := Roll{Merchants: map[string]Known{}}
	all, unread := roll.Merchants, map[string]error{} // by key: its newest record cannot be read
	_, err := c.Reader.Scan(ctx, c.Topic, kafka.FromFirst(), func(r kafka.Record) error {
		kind, merchant, two := bytes.Cut(r.Key, []byte("/"))
		if !two {
			merchant = r.Key // of whoever names a merchant alone
		}
		if len(merchant) == 0 {
			roll.Whole = roll.Whole || string(kind) == rollKind && len(r.Value) > 0
			return nil
		}
		said := Known{Merchant: string(merchant), Since: r.Time}
		delete(unread, string(r.Key))
		if string(kind) == knownKind && two && len(r.Value) > 0 {
			known, err := readKnown(r.Value, said)
			if err != nil {
				unread[string(r.Key)] = fmt.Errorf("statuslog: the record at %s/%d/%d cannot be read, so nobody knows which merchants are new; "+
					`write its key %s again, as {"merchant":%q,"known_since":"2006-01-02T15:04:05Z","epoch":N}, N being the last that a log line of it names: %w`,
					r.Topic, r.Partition, r.Offset, r.Key, merchant, err)
			} else {
				said = known
			}
		}
		said.Lasting = two && (string(kind) == knownKind || string(kind) == servedKind) && len(r.Value) > 0
		if before, there := all[said.Merchant]; there {
			said.Since, said.Epoch, said.Lasting = before.Since, max(before.Epoch, said.Epoch), before.Lasting || said.Lasting
		}
		all[said.Merchant] = said
		return nil
	})
	if err != nil {
		return Roll{}, err
	}
	for _, key := range slices.Sorted(maps.Keys(unread)) {
		err = errors.Join(err, unread[key])
	}
	if err != nil {
		return Roll{}, err
	}
	return roll, nil
}

// readKnown is what the value says of the merchant whose key it has.
func readKnown(value []byte, of Known) (Known, error) {
	said := of
	if err := json.Unmarshal(value, &said); err != nil {
		return Known{}, err
	}
	if said.Merchant != of.Merchant {
		return Known{}, fmt.Errorf("it names merchant %q", said.Merchant)
	}
	return said, nil
}

// MakeWhole adds merchants to the roll, which has everybody then, and says so: durably, and last.
func (c *Control) MakeWhole(ctx context.Context, served []string) error {
	for _, merchant := range served {
		if err := c.Enrol(ctx, merchant); err != nil {
			return err
		}
	}
	return c.Writer.Write(ctx, kafka.Record{Topic: c.Topic, Key: []byte(rollKind + "/"), Value: []byte(`{"whole":true}`)})
}

// Enrol puts a merchant on the roll that is served already, durably.
func (c *Control) Enrol(ctx context.Context, merchant string) error {
	return c.Writer.Write(ctx, kafka.Record{Topic: c.Topic, Key: []byte(servedKind + "/" + merchant), Value: []byte("{}")})
}

// Write makes a merchant known, durably.
func (c *Control) Write(ctx context.Context, k Known) error {
	value, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("statuslog: %w", err)
	}
	return c.Writer.Write(ctx, kafka.Record{Topic: c.Topic, Key: []byte(knownKind + "/" + k.Merchant), Value: value})
}
