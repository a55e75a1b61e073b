//go:build unix

package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// A callback is acknowledged only after its event is durable, also while the
// broker is killed and started again: of a thousand callbacks, sent as a gateway
// does until they are acknowledged, each acknowledged one has its event.
func TestCallbacksWhileTheBrokerRestarts(t *testing.T) {
	if os.Getenv("REAL_PARTS") == "" {
		t.Skip("REAL_PARTS is not set: make test-real sets it, and starts real parts")
	}
	const callbacks, senders = 1000, 64
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	system, err := Start(ctx, t.TempDir(), SystemOptions{KafkaVersion: os.Getenv("KAFKA")})
	if err != nil {
		t.Fatal(err)
	}
	defer system.Stop()

	var acknowledged sync.Map // refund number -> when
	var refusals atomic.Int64
	numbers := make(chan int)
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for i := range numbers {
				no := fmt.Sprintf("R_callback_%d", i)
				refusals.Add(repeatUntilAcknowledged(ctx, t, system.ports.bridge, no))
				acknowledged.Store(no, time.Now())
			}
		})
	}
	for i := range callbacks {
		if i == callbacks/4 {
			system.Kafka.Nodes[0].Kill()
			if err := system.Kafka.Nodes[0].Start(); err != nil {
				t.Error(err)
			}
		}
		numbers <- i
	}
	close(numbers)
	all.Wait()

	client, err := app.NewClient(system.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	seen := readStatuses(ctx, t, client, callbacks)
	for i := range callbacks {
		no := fmt.Sprintf("R_callback_%d", i)
		if _, ok := acknowledged.Load(no); ok && seen[no] == "" {
			t.Errorf("%s was acknowledged and has no event", no)
		}
	}
	t.Logf("%d callbacks acknowledged, %d answers of 503 or none on the way, %d refunds on the status topic", callbacks, refusals.Load(), len(seen))
	if refusals.Load() == 0 {
		t.Error("the broker's restart was not felt: nothing was proved")
	}
}

// repeatUntilAcknowledged sends one callback as a gateway does, and counts the
// tries that were not acknowledged.
func repeatUntilAcknowledged(ctx context.Context, t *testing.T, bridge, no string) (refused int64) {
	body := signedCallback(no)
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+bridge+"/v1/callbacks/"+eftPayMerchant, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return refused
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return refused
			}
			if answer.StatusCode != http.StatusServiceUnavailable && answer.StatusCode != http.StatusTooManyRequests {
				t.Errorf("%s: answered %d", no, answer.StatusCode)
				return refused
			}
		}
		refused++
	}
	t.Errorf("%s: never acknowledged", no)
	return refused
}

func signedCallback(no string) []byte {
	fields := map[string]string{
		"currency": "HKD", "gmt_payment": "2020-01-20 10:35:34", "notify_type": "trade_status_sync", "out_trade_no": "order-" + no,
		"refund_no": no, "return_amount": "0.29", "time": "20230609110645", "total_fee": "0.29", "trade_status": "TRADE_CLOSED",
		"trade_type": "REFUND", "user_confirm_key": eftPayMerchant, "wallet": "WECHATCN",
	}
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		pairs = append(pairs, key+"="+fields[key])
	}
	sum := sha256.Sum256([]byte("secret-of-" + eftPayMerchant + strings.Join(pairs, "&")))
	fields["sign"] = hex.EncodeToString(sum[:])
	body, err := json.Marshal(fields)
	if err != nil {
		panic(err) // a map of strings
	}
	return body
}

// readStatuses answers the newest status by refund number, once so many refunds
// are there or nothing new comes.
func readStatuses(ctx context.Context, t *testing.T, client *app.Client, want int) map[string]refund.Status {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	seen := map[string]refund.Status{}
	err := client.Watch(ctx, func(e statuslog.Entry) error {
		seen[e.Status.RefundNo] = e.Status.Status
		if len(seen) >= want {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}
