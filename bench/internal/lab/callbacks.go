//go:build unix

package lab

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/bench/internal/wire"
	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// callers is how many connections gateways hold to the bridge.
const callers = 64

// Callbacks has gateways call back about refunds that are open, over connections
// that stay, each callback as soon as the one before it on its connection was
// acknowledged.
func (s *Scene) Callbacks(ctx context.Context, warm, window time.Duration) (Measure, error) {
	s.perRefund = 1
	if err := s.prepareRefunds(ctx); err != nil {
		return Measure{}, err
	}
	memory, err := s.lab.redisMemory(ctx)
	if err != nil {
		return Measure{}, err
	}
	if err := s.Start(); err != nil {
		return Measure{}, err
	}
	if err := s.Ready(); err != nil {
		return Measure{}, err
	}
	if err := s.Contender.Await(func() bool { return dials(s.lab.at(portContender)) }, readyTime); err != nil {
		return Measure{}, err
	}
	calling, stop := context.WithCancel(ctx)
	defer stop()
	var next atomic.Int64
	var calls errgroup.Group
	for range callers {
		calls.Go(func() error { return s.call(calling, &next) })
	}
	m, err := s.callWindow(ctx, warm, window, memory)
	stop()
	if failed := calls.Wait(); failed != nil {
		return m, failed
	}
	return m, err
}

func (s *Scene) callWindow(ctx context.Context, warm, window time.Duration, memory int64) (Measure, error) {
	if err := sleep(ctx, warm); err != nil {
		return Measure{}, err
	}
	begin, err := s.sample(ctx)
	if err != nil {
		return Measure{}, err
	}
	if err := sleep(ctx, window); err != nil {
		return Measure{}, err
	}
	end, err := s.sample(ctx)
	if err != nil {
		return Measure{}, err
	}
	m := s.between(begin, end)
	if end.events >= int64(s.o.Backlog.Refunds) {
		return m, ErrExhausted
	}
	after, err := s.lab.redisMemory(ctx)
	if err != nil {
		return m, err
	}
	bytes, err := s.lab.topicBytes(ctx, s.prefix)
	m.RedisBytes, m.KafkaBytes = float64(after-memory)/float64(end.events), float64(bytes)/float64(end.events)
	return m, err
}

func dials(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// call is one gateway's connection.
func (s *Scene) call(ctx context.Context, next *atomic.Int64) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.lab.at(portContender))
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for ctx.Err() == nil {
		i := int(next.Add(1)) - 1
		if i >= s.o.Backlog.Refunds {
			return nil // the window says that it was exhausted
		}
		r := asWire(Request(i, s.o.Backlog.Merchants))
		body := wire.EftPay{Key: r.Merchant, Secret: wire.SecretOf(r.Merchant)}.Callback(r, time.Now())
		message := fmt.Appendf(make([]byte, 0, 1024), "POST /v1/callbacks/%s HTTP/1.1\r\nHost: bridge\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", r.Merchant, len(body))
		if _, err := conn.Write(append(message, body...)); err != nil {
			return err
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers callback %d with %s: %s", s.o.Contender, i, answer.Status, text)
		}
	}
	return nil
}

func asWire(r refund.Request) wire.Request {
	return wire.Request{RefundNo: r.RefundNo, Merchant: r.Merchant, OrderNo: r.OrderNo, Amount: r.Amount.String(), OrderAmount: r.OrderAmount.String(),
		Currency: r.Amount.Currency.Code, Method: r.Method, Wallet: r.Wallet, Terminal: r.Terminal}
}

// prepareRefunds stores all refunds as open: what a worker has done before the
// callbacks come.
func (s *Scene) prepareRefunds(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Addr: s.lab.Redis.Addr, PoolSize: callers})
	defer client.Close()
	store := storeOf(client)
	var work errgroup.Group
	for from := range callers {
		work.Go(func() error {
			for i := from; i < s.o.Backlog.Refunds; i += callers {
				r := Request(i, s.o.Backlog.Merchants)
				if !s.o.product() {
					if err := client.Set(ctx, "{"+r.Merchant+"}:"+r.RefundNo, "P|"+r.OrderNo+"|"+r.Amount.String(), 0).Err(); err != nil {
						return err
					}
					continue
				}
				claimed, err := store.Claim(ctx, refund.Claim{Request: r, Provider: "eftpay", Order: r.OrderNo, Token: rand.Text(), Lease: time.Minute,
					Place: "b/0/" + r.RefundNo, FirstSeen: time.Now(), Limits: refund.Limits{MaxRefundsPerOrder: 50}})
				if err != nil {
					return err
				}
				if claimed.Answer != refund.Yours {
					return fmt.Errorf("claim of %s: answer %v", r.RefundNo, claimed.Answer)
				}
			}
			return nil
		})
	}
	return work.Wait()
}

func storeOf(client redis.UniversalClient) *dedupe.Store {
	return dedupe.New(client, dedupe.Options{Prefix: "refund", Retention: 9600 * time.Hour})
}

// openMerchants does what the product does once for each new merchant, so that no
// window has a part of it.
func (s *Scene) openMerchants(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{Addr: s.lab.Redis.Addr, PoolSize: callers})
	defer client.Close()
	store := storeOf(client)
	var work errgroup.Group
	work.SetLimit(callers)
	for i := range s.o.Backlog.Merchants {
		work.Go(func() error {
			_, err := store.Begin(ctx, MerchantName(i), 0)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return s.enrol(ctx)
}

// enrol writes the merchants to the control topic, or the product would in the window.
func (s *Scene) enrol(ctx context.Context) error {
	topic := s.prefix + "control"
	if err := s.lab.createTopic(ctx, topic, 1, map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": week}); err != nil {
		return err
	}
	control := &statuslog.Control{Writer: writer{s.lab.client}, Topic: topic}
	var work errgroup.Group
	work.SetLimit(callers)
	for i := range s.o.Backlog.Merchants {
		work.Go(func() error { return control.Enrol(ctx, MerchantName(i)) })
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return control.MakeWhole(ctx, nil)
}

// writer is a statuslog.Writer.
type writer struct{ client *kgo.Client }

func (w writer) Write(ctx context.Context, records ...kafka.Record) error {
	for _, r := range records {
		if err := w.client.ProduceSync(ctx, &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}
