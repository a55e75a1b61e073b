//go:build unix

package deploy_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/realparts"
)

// drill does what docs/operations.md says to rehearse, under a load of its own, and
// looks that what it says to expect comes. The load ends with the audit's verdict.
func (c *composed) drill() {
	c.t.Helper()
	entry := []string(c.project.Services["refundctl"].Entrypoint)
	load := c.command("refundctl", append(slices.Clone(entry), "replay", "--sample", "--merchant=S0003469", "--rate=4", "--duration=90s",
		"--drain=6m", "--ledger=http://gateway-sim:9481/ledger", "--threshold=lost==0,dead==0,errors==0", "-o", "table")...)
	var told bytes.Buffer
	load.Stdout, load.Stderr = &told, &told
	c.must(load.Start())

	c.poison()
	c.gatewayDown()
	c.wrongSecret()
	c.redisWiped()
	c.running["worker"].Kill()
	c.start("worker")
	if err := load.Wait(); err != nil {
		c.t.Errorf("the load over the drills: %v\n%s", err, told.String())
	}
	for line := range strings.Lines(told.String()) {
		if regexp.MustCompile(`^(sent|ended|latency|threshold|audit)`).MatchString(line) {
			c.t.Log(strings.TrimSpace(line))
		}
	}
}

// until asks each half second until answer is true.
func (c *composed) until(what string, within time.Duration, answer func() bool) {
	c.t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for !answer() {
		select {
		case <-tick.C:
		case <-deadline:
			c.t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// poison: a message that is no request is a dead letter, and noted as handled.
func (c *composed) poison() {
	c.t.Helper()
	client, err := kafka.Open(kafka.Config{Brokers: c.brokers})
	c.must(err)
	defer client.Close()
	producer := client.Producer()
	defer producer.Close()
	c.must(producer.Write(c.t.Context(), kafka.Record{Topic: "refund.requests", Value: []byte("not a request")}))
	c.until("a dead letter", 30*time.Second, func() bool { return strings.Contains(c.refundctl("dlq", "groups"), "undecodable") })
	c.refundctl("dlq", "drop", "--kind", "undecodable", "--reason", "drill", "--yes")
}

// gatewayDown: calls are refused; refunds wait and no message dies.
func (c *composed) gatewayDown() {
	c.t.Helper()
	answer, err := http.Post(c.here.Replace("http://gateway-sim:9481/control"), "application/json", strings.NewReader(`{"refuse_for":"15s"}`))
	c.must(err)
	answer.Body.Close()
	before := c.metric(`refund_events_total{provider="eftpay",source="worker",status="WAITING"}`)
	c.until("a refund that waits for the gateway", 30*time.Second, func() bool {
		return c.metric(`refund_events_total{provider="eftpay",source="worker",status="WAITING"}`) > before
	})
	c.until("the gateway is back", 30*time.Second, func() bool {
		answer, err := http.Get(c.here.Replace("http://gateway-sim:9480/"))
		if err == nil {
			answer.Body.Close()
		}
		return err == nil
	})
}

// wrongSecret: a BluePay merchant with a wrong key holds by itself. What eftPay says to
// a wrong signature is not public, and not signed, so there a refund is UNKNOWN.
func (c *composed) wrongSecret() {
	c.t.Helper()
	worker := c.running["worker"]
	c.stop("worker")
	file, others := filepath.Join(c.dir, "wrong.yaml"), filepath.Join(c.dir, "others")
	c.must(c.command("keys", "/usr/local/bin/gateway-sim", "keys", others).Run())
	config := read(c.t, c.here.Replace("/etc/refundworker/refundworker.yaml"))
	c.must(os.WriteFile(file, []byte(strings.Replace(config, c.dir+"/keys/merchant.pem", others+"/merchant.pem", 1)), 0o600))
	service := c.project.Services["worker"]
	wrong, err := realparts.StartProcess(c.dir, "wrong", func() *exec.Cmd {
		command := c.command("worker", service.Entrypoint...)
		command.Env = append(command.Env, "EFTPAY_SECRET=wrong", "REFUND_CONFIG="+file)
		return command
	}, c.healthy("worker"), time.Minute)
	c.must(err)
	defer wrong.Kill() // whatever becomes of it
	bluepay := []string{"submit", "--merchant=shop-th", "--refund-no=B2", "--transaction-id=T2", "--amount=20", "--order-amount=100"}
	c.refundctl(bluepay...)
	c.until("the merchant at BluePay holds by itself", time.Minute, func() bool {
		return c.metric(`refund_merchant_held{by="itself",merchant="shop-th"}`) == 1
	})
	c.until("a refund at eftPay is UNKNOWN", time.Minute, func() bool {
		return c.metric(`refund_events_total{provider="eftpay",source="worker",status="UNKNOWN"}`) > 0
	})
	if !wrong.Stop(time.Duration(*service.StopGracePeriod)) {
		c.t.Error("the worker with the wrong secret did not drain")
	}
	c.must(worker.Start())
	c.must(worker.Await(c.healthy("worker"), time.Minute))
	c.refundctl(append(bluepay, "--wait", "--wait-for=4m")...)
}

// redisWiped: the merchants are built anew from the status topic.
func (c *composed) redisWiped() {
	c.t.Helper()
	host, port, err := net.SplitHostPort(c.redis)
	c.must(err)
	out, err := exec.Command("redis-cli", "-h", host, "-p", port, "FLUSHALL").CombinedOutput()
	if err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	c.until("the merchants are rebuilt", 3*time.Minute, func() bool { return c.metric(`refund_rebuilds_total{result="rebuilt"}`) >= 2 })
}

// metric is a series of the worker; 0 where it has none.
func (c *composed) metric(series string) float64 {
	answer, err := http.Get(c.here.Replace("http://worker:9464/metrics"))
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, series+" "); is {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				return 0
			}
			return v
		}
	}
	return 0
}
