//go:build unix

// Package lab is where contenders are measured: a real Kafka, a real Redis, the
// simulated gateway as a process of its own, topics filled with refunds, and what
// each process used. All is started once; topics, Redis and gateway are fresh for
// each run.
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/rueidis"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/refundworker/refundworker/internal/realparts"
)

// Lab is the parts that all runs share. Stop it.
type Lab struct {
	Dir   string
	Kafka *realparts.Kafka
	Redis *realparts.Redis

	client  *kgo.Client
	admin   *kadm.Client
	store   rueidis.Client
	ports   []int
	also    map[string]string
	runs    int
	closers []func()
}

// The places among ports.
const (
	portGateway = iota
	portControl
	portContender
	portAdmin
	portProfile
	portCount
)

// Options of a lab.
type Options struct {
	KafkaVersion string
	Brokers      int
	Also         map[string]string // further builds of the product: name and binary
}

// Start builds the binaries and starts the parts in dir.
func Start(ctx context.Context, dir string, o Options) (*Lab, error) {
	if missing := realparts.Missing("java", "mvn", "redis-server", "redis-cli"); missing != "" {
		return nil, errors.New(missing)
	}
	l := &Lab{Dir: dir, also: o.Also}
	if err := l.start(ctx, o); err != nil {
		l.Stop()
		return nil, err
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context, o Options) (err error) {
	if err := l.build(ctx); err != nil {
		return err
	}
	if l.Kafka, err = realparts.StartKafka(l.Dir, realparts.KafkaOptions{Version: o.KafkaVersion, Brokers: o.Brokers}); err != nil {
		return err
	}
	l.onStop(l.Kafka.Stop)
	// A rewrite of the append-only file in the middle of a window would be measured with it.
	if l.Redis, err = realparts.StartRedis(l.Dir, "redis", "--auto-aof-rewrite-percentage", "0"); err != nil {
		return err
	}
	l.onStop(l.Redis.Kill)
	if l.ports, err = realparts.Ports(portCount); err != nil {
		return err
	}
	if l.client, err = kgo.NewClient(kgo.SeedBrokers(l.Kafka.Brokers...), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(20_000)); err != nil {
		return err
	}
	l.onStop(l.client.Close)
	l.admin = kadm.NewClient(l.client)
	l.store, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{l.Redis.Addr}, DisableCache: true, ForceSingleClient: true})
	if err == nil {
		l.onStop(l.store.Close)
	}
	return err
}

func (l *Lab) onStop(stop func()) { l.closers = append(l.closers, stop) }

// Stop ends everything that was started.
func (l *Lab) Stop() {
	for i := len(l.closers) - 1; i >= 0; i-- {
		l.closers[i]()
	}
	l.closers = nil
}

const product = "github.com/refundworker/refundworker"

// build makes the binaries: the product's in its own module, so with the versions
// that users get, and the contenders in the benchmark's.
func (l *Lab) build(ctx context.Context) error {
	bin := filepath.Join(l.Dir, "bin") + "/"
	at, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", product).Output()
	if err != nil {
		return fmt.Errorf("where is the product: %w", err)
	}
	here, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("where is the benchmark: %w", err)
	}
	for dir, what := range map[string][]string{
		string(at):   {"./cmd/worker", "./cmd/notify-bridge", "./cmd/gateway-sim"},
		string(here): {"./contenders/..."},
	} {
		build := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-o", bin}, what...)...)
		build.Dir = strings.TrimSpace(dir)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w: %s", strings.Join(what, " "), err, out)
		}
	}
	return nil
}

func (l *Lab) at(port int) string { return fmt.Sprintf("127.0.0.1:%d", l.ports[port]) }

// wipe makes Redis empty, its append-only file too.
func (l *Lab) wipe(ctx context.Context) error {
	for _, command := range [][]string{{"CONFIG", "SET", "appendonly", "no"}, {"FLUSHALL", "SYNC"}, {"CONFIG", "SET", "appendonly", "yes"}} {
		if err := l.store.Do(ctx, l.store.B().Arbitrary(command...).Build()).Error(); err != nil {
			return fmt.Errorf("redis: %v: %w", command, err)
		}
	}
	for {
		info, err := l.store.Do(ctx, l.store.B().Info().Section("persistence").Build()).ToString()
		if err != nil {
			return err
		}
		if strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0") {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func writeFile(path string, text []byte) error { return os.WriteFile(path, text, 0o600) }
