//go:build unix

// Command auditload measures refundctl audit: it writes the topics of many refunds
// (a request and two status events each, a few of them declined or still open) and
// runs the audit on them as a process of its own, whose time and largest memory it
// prints.
//
//	go run ./cmd/refundctl/internal/auditload -refunds 1000000
//	go run ./internal/realparts/with -brokers 1 -- go run ./cmd/refundctl/internal/auditload -refunds 1000000
//
// The first runs on the embedded Kafka, which keeps everything in this process's own
// memory, about 2 GB a million; the second on a real broker (KAFKA_BROKERS). What
// follows "--" is given to the audit.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/ctl"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "audit" { // the process that is measured
		code := ctl.Main(os.Args[1:])
		fmt.Printf("peak memory %d MB\n", peakMemory())
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	refunds := flag.Int("refunds", 100_000, "how many refunds")
	rounds := flag.Int("rounds", 1, "how often the audit is run on the same topics")
	flag.Parse()
	if err := run(ctx, *refunds, *rounds, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "auditload:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, refunds, rounds int, more []string) error {
	brokers := os.Getenv("KAFKA_BROKERS")
	if brokers == "" {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			return err
		}
		defer cluster.Close()
		brokers = strings.Join(cluster.ListenAddrs(), ",")
	}
	dir, err := os.MkdirTemp("", "auditload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "worker.yaml")
	if err := os.WriteFile(config, configuration(brokers), 0o600); err != nil {
		return err
	}
	began := time.Now()
	records, err := fill(ctx, config, refunds)
	if err != nil {
		return err
	}
	fmt.Printf("%d refunds, %d records written in %.1f s\n", refunds, records, time.Since(began).Seconds())
	for range rounds {
		if err := measure(ctx, records, append([]string{"audit", "--config", config, "-o", "table"}, more...)); err != nil {
			return err
		}
	}
	return nil
}

func configuration(brokers string) []byte {
	prefix := fmt.Sprintf("load%d.", time.Now().UnixNano())
	return fmt.Appendf(nil, `kafka:
  brokers: [%s]
  group: %sgroup
  topics: {requests: %[2]srequests, status: %[2]sstatus, dead_letters: %[2]sdlq, delay_prefix: %[2]sdelay., control: %[2]scontrol, audit: %[2]saudit}
redis: {addrs: [127.0.0.1:1]}
worker: {delays: [1m]}
merchants:
  - {name: S0003469, provider: eftpay, base_url: http://127.0.0.1:1, currency: HKD, eftpay: {user_confirm_key: S0003469, secret: x}}
`, brokers, prefix)
}

// measure runs the audit and prints its answer and what it took.
func measure(ctx context.Context, records int, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	audit := exec.CommandContext(ctx, self, args...)
	audit.Stdout, audit.Stderr = os.Stdout, os.Stderr
	began := time.Now()
	if err := audit.Run(); err != nil {
		return fmt.Errorf("the audit: %w", err)
	}
	took := time.Since(began).Seconds()
	fmt.Printf("%.1f s, %.0f records/s, CPU %.1f s\n", took, float64(records)/took, (audit.ProcessState.UserTime() + audit.ProcessState.SystemTime()).Seconds())
	return nil
}

// peakMemory is the largest memory of this process, in MB; on systems without /proc
// it is 0. (What wait tells of a child is at least what its parent had.)
func peakMemory() int {
	text, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kb := 0
	_, _ = fmt.Sscan(after, &kb)
	return kb >> 10
}
