package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"
	"golang.org/x/sync/errgroup"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/gatewaysim"
)

// Options of a System.
type Options struct {
	// Fixed has everything on the ports of the example configuration; otherwise
	// free ones are taken.
	Fixed bool
	// Log takes what worker and bridge write; nil: nothing.
	Log io.Writer
	// Merchants are further ones at eftPay, with settings like the first one's; and
	// they know by which code it proves that it has no such refund.
	Merchants []string
	// Change alters the configuration that worker and bridge have read; nil: nothing.
	Change func(*config.Config)
	// Kafka and Redis are host:port of real ones to be used; empty: embedded ones.
	Kafka, Redis string
}

// System is everything, running. Stop it.
type System struct {
	Config     *config.Config
	ConfigFile string
	Gateways   *gatewaysim.Sim
	Kafka      string // host:port
	Redis      string
	Bridge     string // URL
	GatewayURL string

	folder  string
	ctx     context.Context
	cancel  context.CancelFunc
	daemons errgroup.Group
	closers []func()
}

// Start starts the parts and returns once worker and bridge are ready. The system
// ends with ctx.
func Start(ctx context.Context, o Options) (*System, error) {
	for tries := 1; ; tries++ {
		s := &System{}
		s.ctx, s.cancel = context.WithCancel(ctx)
		err := s.start(o)
		if err == nil {
			return s, nil
		}
		err = errors.Join(err, s.Stop())
		// A port that was free a moment ago may be another process's by now.
		if o.Fixed || tries == 5 || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
}

func (s *System) start(o Options) error {
	var err error
	if s.folder, err = os.MkdirTemp("", "refundworker-sandbox-"); err != nil {
		return err
	}
	s.onStop(func() { _ = os.RemoveAll(s.folder) })
	ports, err := choosePorts(o.Fixed)
	if err != nil {
		return err
	}
	if s.Kafka = o.Kafka; s.Kafka == "" {
		if err := s.startKafka(ports.kafka); err != nil {
			return err
		}
	}
	if s.Redis = o.Redis; s.Redis == "" {
		if err := s.startRedis(ports.redis); err != nil {
			return err
		}
	}
	if err := s.startGateways(ports, o.Merchants); err != nil {
		return err
	}
	s.Bridge = fmt.Sprintf("http://127.0.0.1:%d", ports.bridge)
	s.ConfigFile = filepath.Join(s.folder, "refundworker.yaml")
	if err := os.WriteFile(s.ConfigFile, []byte(s.yaml(ports, o.Merchants)), 0o600); err != nil {
		return err
	}
	if s.Config, err = s.load(o); err != nil {
		return err
	}
	bridges, err := s.load(o) // each process has read its own: a configuration is not for concurrent use
	if err != nil {
		return err
	}
	log := zerolog.Nop()
	if o.Log != nil {
		log = app.Logger(s.Config.Log, o.Log)
	}
	s.daemons.Go(func() error { return s.endWith(app.Worker(s.ctx, s.Config, log)) })
	s.daemons.Go(func() error { return s.endWith(app.Bridge(s.ctx, bridges, log)) })
	return errors.Join(s.awaitReady(s.Config.Worker.Admin), s.awaitReady(s.Config.Bridge.Admin))
}

func (s *System) load(o Options) (*config.Config, error) {
	cfg, err := app.Load(s.ConfigFile)
	if err == nil && o.Change != nil {
		o.Change(cfg)
	}
	return cfg, err
}

// endWith ends the whole system where one of its daemons could not go on.
func (s *System) endWith(err error) error {
	s.cancel()
	return err
}

func (s *System) onStop(f func()) { s.closers = append(s.closers, f) }

// Stop ends worker and bridge as SIGTERM does, then the rest. Its error is that of
// a daemon which could not go on.
func (s *System) Stop() error {
	s.cancel()
	err := s.daemons.Wait()
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
	return err
}

func (s *System) startKafka(port int) error {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		return fmt.Errorf("embedded Kafka on port %d: %w", port, err)
	}
	s.onStop(cluster.Close)
	s.Kafka = strings.Join(cluster.ListenAddrs(), ",")
	return nil
}

// startRedis starts miniredis, whose keys expire only when it is told that time
// has passed.
func (s *System) startRedis(port int) error {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
		return fmt.Errorf("embedded Redis on port %d: %w", port, err)
	}
	stopped := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer close(stopped)
		tick := time.NewTicker(clockTick)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				server.FastForward(clockTick)
			case <-ctx.Done():
				return
			}
		}
	}()
	s.onStop(func() {
		stop()
		<-stopped
		server.Close()
	})
	s.Redis = server.Addr()
	return nil
}

const clockTick = 100 * time.Millisecond

// Books are the simulated gateways' ledger as the auditor reads it.
func (s *System) Books() ([]audit.Payment, error) {
	var books []audit.Payment
	for _, entry := range s.Gateways.Ledger() {
		books = append(books, audit.Payment{Merchant: merchantOf(entry), RefundNo: entry.RefundNo, Order: entry.Order, Minor: entry.Amount})
	}
	return books, nil
}

// Audit holds the topics against the gateways' ledger.
func (s *System) Audit(ctx context.Context) (audit.Report, error) {
	return app.Audit(ctx, s.Config, true, s.Books)
}

// awaitReady asks /readyz until it says so.
func (s *System) awaitReady(admin string) error {
	return awaitHTTP(s.ctx, "http://"+admin+"/readyz")
}

type ports struct{ kafka, redis, gateways, bridge, workerAdmin, bridgeAdmin int }

func choosePorts(fixed bool) (ports, error) {
	if fixed {
		return ports{kafka: 9092, redis: 6379, gateways: 8090, bridge: 8080, workerAdmin: 9464, bridgeAdmin: 9465}, nil
	}
	var p ports
	for _, port := range []*int{&p.kafka, &p.redis, &p.gateways, &p.bridge, &p.workerAdmin, &p.bridgeAdmin} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return p, err
		}
		defer listener.Close() // all at once, so that no two are the same
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}
