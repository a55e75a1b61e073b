//go:build unix

package lab

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/refund"
)

// Backlog is a topic with refund requests. It is filled once, and each contender
// reads it from its beginning with a group of its own: all do the same work.
type Backlog struct {
	Topic      string
	Refunds    int
	Merchants  int
	Partitions int
}

// MerchantName is the name of merchant i, and its user_confirm_key.
func MerchantName(i int) string { return fmt.Sprintf("M%07d", i) }

// Request is refund i of a backlog: each of its own order, over the merchants in
// turn, a part of the order's total.
func Request(i, merchants int) refund.Request {
	hkd, _ := refund.CurrencyOf("HKD")
	return refund.Request{
		Key:     refund.Key{Merchant: MerchantName(i % merchants), RefundNo: fmt.Sprintf("20190101%010d", i)},
		OrderNo: fmt.Sprintf("rrn_16862800%010d", i),
		Amount:  refund.Money{Minor: int64(i%900) + 1, Currency: hkd}, OrderAmount: refund.Money{Minor: 1001, Currency: hkd},
		Method: "WeChat", Wallet: "WECHATCN", Terminal: "tid_3378", Flow: refund.FlowRefund,
	}
}

// Fill makes a topic and writes the refunds to it as their publishers do.
func (l *Lab) Fill(ctx context.Context, refunds, merchants, partitions int) (*Backlog, error) {
	l.runs++
	b := &Backlog{Topic: fmt.Sprintf("b%d.requests", l.runs), Refunds: refunds, Merchants: merchants, Partitions: partitions}
	if err := l.createTopic(ctx, b.Topic, partitions, map[string]string{"cleanup.policy": "delete", "retention.ms": week}); err != nil {
		return nil, err
	}
	var once sync.Once
	var failed error
	for i := range refunds {
		l.client.Produce(ctx, l.record(b.Topic, Request(i, merchants)), func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	if err := l.client.Flush(ctx); err != nil {
		return nil, err
	}
	return b, failed
}

func (l *Lab) record(topic string, r refund.Request) *kgo.Record {
	value, headers := events.EncodeRequest(r)
	record := &kgo.Record{Topic: topic, Key: []byte(r.OrderNo), Value: value}
	for _, h := range headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return record
}

const week = "604800000"

func (l *Lab) createTopic(ctx context.Context, name string, partitions int, configs map[string]string) error {
	all := map[string]*string{}
	for k, v := range configs {
		all[k] = &v
	}
	_, err := l.admin.CreateTopic(ctx, int32(partitions), -1, all, name)
	if err != nil {
		return fmt.Errorf("creating %s: %w", name, err)
	}
	for { // until there are leaders
		described, err := l.admin.ListTopics(ctx, name)
		if err == nil && described.Error() == nil && len(described[name].Partitions) == partitions {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// Drop deletes topics with this prefix.
func (l *Lab) Drop(ctx context.Context, prefix string) error {
	all, err := l.admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, t := range all.Sorted() {
		if len(t.Topic) >= len(prefix) && t.Topic[:len(prefix)] == prefix {
			names = append(names, t.Topic)
		}
	}
	if len(names) == 0 {
		return nil
	}
	answer, err := l.admin.DeleteTopics(ctx, names...)
	if err == nil {
		err = answer.Error()
	}
	return err
}

// ends is the sum of a topic's end offsets. A partition that has no leader for a
// moment, as on a busy machine, is asked again.
func (l *Lab) ends(ctx context.Context, topic string) (sum int64, err error) {
	for deadline := time.Now().Add(10 * time.Second); ; {
		offsets, err := l.admin.ListEndOffsets(ctx, topic)
		if err == nil {
			err = offsets.Error()
		}
		if err == nil {
			offsets.Each(func(o kadm.ListedOffset) { sum += o.Offset })
			return sum, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return 0, err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}
