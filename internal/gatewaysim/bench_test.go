package gatewaysim

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// The fast path of a load test: a delay of 200 ms, a thousand calls at once,
// client and gateway on the same cores.
func BenchmarkRefundsOverASocket(b *testing.B) {
	sim, err := New(Config{EftPay: []EftPayMerchant{{UserConfirmKey: eftMerchant, Secret: eftSecret}}, Delay: 200 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	defer sim.Close()
	server, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	c := &shop{sim: sim}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000}}
	defer client.CloseIdleConnections()
	var n atomic.Int64
	b.SetParallelism(1000)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			no := n.Add(1)
			body := c.eft(eftRefundFields(fmt.Sprint("R", no)), "out_trade_no", fmt.Sprint("o", no))
			response, err := client.Post(server.EftPayURL()+"/Servlet/JSAPIService.do", "application/json", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	if moved := len(sim.Ledger()); moved != b.N {
		b.Errorf("%d movements for %d calls", moved, b.N)
	}
}
