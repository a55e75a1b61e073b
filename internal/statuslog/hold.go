package statuslog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// Hold is what the control topic says of a merchant whose refunds an operator holds. Its key there is hold/merchant; a
// deletion of that key lets the merchant go.
type Hold struct {
	Merchant string    `json:"merchant"`
	Reason   string    `json:"reason"`
	Who      string    `json:"who"`
	At       time.Time `json:"at"`
}

const holdKind = "hold"

// Hold holds a merchant, durably.
func (c *Control) Hold(ctx context.Context, h Hold) error {
	value, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("statuslog: %w", err)
	}
	return c.Writer.Write(ctx, kafka.Record{Topic: c.Topic, Key: []byte(holdKind + "/" + h.Merchant), Value: value})
}

// Release lets a merchant go, durably.
func (c *Control) Release(ctx context.Context, merchant string) error {
	return c.Writer.Write(ctx, kafka.Record{Topic: c.Topic, Key: []byte(holdKind + "/" + merchant)})
}

// Holds answers the merchants that are held as of when it was called, and from where FollowHolds goes on.
func (c *Control) Holds(ctx context.Context) (map[string]Hold, kafka.From, error) {
	held := map[string]Hold{}
	reached, err := c.Reader.Scan(ctx, c.Topic, kafka.FromFirst(), eachHold(func(merchant string, h *Hold) {
		if h == nil {
			delete(held, merchant)
			return
		}
		held[merchant] = *h
	}))
	return held, kafka.FromOffsets(reached), err
}

// FollowHolds tells each change from there on until ctx ends, then returns nil; a nil Hold lets the merchant go.
func (c *Control) FollowHolds(ctx context.Context, from kafka.From, each func(merchant string, h *Hold)) error {
	return c.Reader.Tail(ctx, c.Topic, from, eachHold(each))
}

// eachHold reads what is about holds. What cannot be read holds: an operator wanted to stop the merchant.
func eachHold(each func(merchant string, h *Hold)) func(kafka.Record) error {
	return func(r kafka.Record) error {
		kind, name, two := bytes.Cut(r.Key, []byte("/"))
		if !two || string(kind) != holdKind {
			return nil
		}
		merchant := string(name)
		if r.Value == nil {
			each(merchant, nil)
			return nil
		}
		h := Hold{}
		if json.Unmarshal(r.Value, &h) != nil {
			h = Hold{Reason: "the hold cannot be read", At: r.Time}
		}
		h.Merchant = merchant
		each(merchant, &h)
		return nil
	}
}
