// Command callbacks is the least that must be done for a gateway's callback, and no
// logic: net/http, the signature, one Lua call that records the outcome, the event
// with acks=all, the signed acknowledgement.
package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/redis/rueidis"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/refundworker/refundworker/bench/internal/contender"
	"github.com/refundworker/refundworker/bench/internal/wire"
)

func main() { contender.Main(run) }

// record takes the outcome of a refund that is known and answers what is stored.
var record = rueidis.NewLuaScript(`
local stored = redis.call('GET', KEYS[1])
if not stored then return 0 end
redis.call('SET', KEYS[1], 'S' .. string.sub(stored, 2), 'PX', ARGV[1])
return 1`)

const retention = "34560000000"

func run(ctx context.Context, s contender.Settings) error {
	redis, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Redis}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		return err
	}
	defer redis.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers...), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1), kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.DefaultProduceTopic(s.Status))
	if err != nil {
		return err
	}
	defer client.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/callbacks/{merchant}", func(w http.ResponseWriter, r *http.Request) { take(w, r, redis, client) })
	server := &http.Server{Addr: s.Listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func take(w http.ResponseWriter, r *http.Request, redis rueidis.Client, client *kgo.Client) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		http.Error(w, "body", http.StatusBadRequest)
		return
	}
	merchant := r.PathValue("merchant")
	account := wire.EftPay{Key: merchant, Secret: wire.SecretOf(merchant)}
	var room [24]wire.Field
	fields, err := account.Notified(string(body), room[:])
	if err != nil {
		http.Error(w, "signature", http.StatusUnauthorized)
		return
	}
	var n wire.Request
	n.Merchant = merchant
	for _, f := range fields {
		switch f.Name {
		case "refund_no":
			n.RefundNo = f.Value
		case "out_trade_no":
			n.OrderNo = f.Value
		case "return_amount":
			n.Amount = f.Value
		case "total_fee":
			n.OrderAmount = f.Value
		case "currency":
			n.Currency = f.Value
		}
	}
	known, err := record.Exec(r.Context(), redis, []string{"{" + merchant + "}:" + n.RefundNo}, []string{retention}).AsInt64()
	if err != nil || known != 1 {
		http.Error(w, "record", http.StatusServiceUnavailable)
		return
	}
	e := wire.Event{Request: n, Sequence: 2, Status: "SUCCEEDED", Source: "callback", At: time.Now()}
	out := &kgo.Record{Key: e.Key(), Value: e.Value(), Timestamp: e.At}
	for _, h := range e.Headers() {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
	}
	written := make(chan error, 1)
	client.Produce(r.Context(), out, func(_ *kgo.Record, err error) { written <- err })
	if <-written != nil {
		http.Error(w, "publish", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(account.Reply(time.Now()))
}
