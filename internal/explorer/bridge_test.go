package explorer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/bridge"
	"github.com/refundworker/refundworker/internal/providers/eftpay"
	"github.com/refundworker/refundworker/internal/refund"
)

// bridgeHandler is the bridge's process: its real handler on gated ports.
type bridgeHandler struct {
	proc    *process
	handler http.Handler
	taken   int
}

func newBridgeHandler(p *process, recorder *refund.Recorder) *bridgeHandler {
	return &bridgeHandler{proc: p, handler: bridge.Bridge{
		Accounts: callbackAccounts{}, Recorder: recorder, FollowUps: followUpPort{p}, Schedule: refund.Schedule(delays),
		Limits: bridge.Limits{MaxBody: 64 << 10, Timeout: bridgeTime, MaxConcurrent: 512, MaxPerMerchant: 128},
		Log:    zerolog.Nop(),
	}.Handler()}
}

// bridgeTime is not quite that of a call, so that the two never end at one instant.
const bridgeTime = 9*time.Second + 700*time.Millisecond

type callbackAccounts struct{}

func (callbackAccounts) Account(merchant string) (bridge.Account, bool) {
	return bridge.Account{Provider: eftpay.Name, Gateway: gatewayOf(merchant)}, true
}

// serve handles one callback. Where the process is killed meanwhile, the gateway sees its connection end.
func (b *bridgeHandler) serve(ctx context.Context, path string, body []byte) (*http.Response, error) {
	told := told(body)
	b.proc.pass(withActor(b.proc.ctx, told), "callback", before, "")
	b.taken++ // one at a time: it has just passed a gate
	name := fmt.Sprintf("callback#%d", b.taken)
	b.proc.world.notef(withActor(ctx, name), "%s %s", name, told)
	ctx, cancel := context.WithCancel(context.WithValue(withActor(ctx, name), processKey{}, b.proc))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	answer := httptest.NewRecorder()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		b.handler.ServeHTTP(answer, request)
		b.proc.rests(ctx, answer.Code != http.StatusOK)
	}()
	select {
	case <-answered:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if b.proc.dead.Load() {
		return nil, errBridgeGone
	}
	b.proc.world.notef(ctx, "%s answered %d", name, answer.Code)
	return answer.Result(), nil
}

// told is what a callback says, for the log and for the order of callbacks that come at one instant.
func told(body []byte) string {
	var says struct {
		No     string `json:"refund_no"`
		Status string `json:"trade_status"`
		Amount string `json:"return_amount"`
	}
	if err := json.Unmarshal(body, &says); err != nil {
		return "callback"
	}
	return fmt.Sprintf("callback %s %s %s", says.No, says.Status, says.Amount)
}
