package main

import (
	"context"
	"fmt"
	"io"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/sandbox"
)

// serveUntil prints how to reach the system and then each event, until ctx ends.
func serveUntil(ctx context.Context, system *sandbox.System, out io.Writer) error {
	client, err := app.NewClient(system.Config)
	if err != nil {
		return err
	}
	defer client.Close()
	fmt.Fprintf(out, `
Operate it from another terminal:
  export REFUND_CONFIG=%s
  go run ./cmd/refundctl submit --merchant %s --refund-no R1 --order-no O1 --amount 0.01 --order-amount 10.01 --method WeChat --wallet WECHATCN --wait
  go run ./cmd/refundctl show R1
  go run ./cmd/refundctl replay --sample --merchant %s --rate 50 --duration 10s --html load.html
Publish a request (any Kafka client; kcat is one):
  echo '%s' |
    kcat -P -b %s -t %s -k rrn_1686280006045
Read statuses and dead letters:
  kcat -C -b %s -t %s -u
  kcat -C -b %s -t %s -u
The gateways' ledger, and scripts for their behaviour (GET, POST):
  curl %s/ledger
  curl %s/control
Ready, and metrics:
  curl http://%s/readyz http://%s/readyz http://%s/metrics
Ctrl-C ends it.

%s
`, system.ConfigFile, sandbox.EftPayMerchant, sandbox.EftPayMerchant, weChat.json(), system.Kafka, system.Config.Kafka.Topics.Requests,
		system.Kafka, system.Config.Kafka.Topics.Status, system.Kafka, system.Config.Kafka.Topics.DeadLetters,
		system.GatewayURL, system.GatewayURL,
		system.Config.Worker.Admin, system.Config.Bridge.Admin, system.Config.Worker.Admin, columns())
	all := watch(ctx, client)
	for {
		select {
		case e := <-all:
			fmt.Fprintln(out, e.line)
		case <-ctx.Done():
			return nil
		}
	}
}
