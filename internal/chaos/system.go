//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/audit"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/realparts"
)

// System is everything as processes: Kafka, Redis, the simulated gateways, workers
// and a bridge, from one configuration. Stop it.
type System struct {
	Config  *config.Config
	Kafka   *realparts.Kafka
	Redis   *realparts.Redis
	Gateway *realparts.Process
	Workers []*realparts.Process
	Bridge  *realparts.Process
	Books   Books

	dir        string
	ports      places
	configFile string
	closers    []func()
}

// SystemOptions say how large it is.
type SystemOptions struct {
	KafkaVersion string         // realparts.KafkaVersion unless set
	Brokers      int            // 1 unless set
	Workers      int            // 1 unless set
	Race         bool           // build the binaries with the race detector
	LogLevel     string         // debug unless set
	Gateway      map[string]any // further keys of the simulator's configuration
}

// places are where everybody listens.
type places struct {
	gateway, control, bridge, bridgeAdmin string
	workerAdmins                          []string
}

// Start builds the binaries, starts all parts in dir, and returns once workers and
// bridge say that they are ready.
func Start(ctx context.Context, dir string, o SystemOptions) (*System, error) {
	s := &System{dir: dir}
	if err := s.start(ctx, o); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *System) start(ctx context.Context, o SystemOptions) error {
	if missing := realparts.Missing("java", "mvn", "redis-server", "redis-cli"); missing != "" {
		return errors.New(missing)
	}
	if err := s.build(ctx, o.Race); err != nil {
		return err
	}
	if err := s.startParts(o); err != nil {
		return err
	}
	if err := s.configure(o); err != nil {
		return err
	}
	var err error
	if s.Gateway, err = s.daemon("gateway-sim", "gateway-sim", filepath.Join(s.dir, "gateways.json")); err != nil {
		return err
	}
	if err := s.Gateway.Await(func() bool { return realparts.Listening(s.ports.control) }, readyTime); err != nil {
		return err
	}
	for i := range max(o.Workers, 1) {
		worker, err := s.daemon(fmt.Sprintf("worker%d", i+1), "worker", s.configFile, "WORKER_ADMIN="+s.ports.workerAdmins[i])
		if err != nil {
			return err
		}
		s.Workers = append(s.Workers, worker)
	}
	if s.Bridge, err = s.daemon("bridge", "notify-bridge", s.configFile, "WORKER_ADMIN="+s.ports.workerAdmins[0]); err != nil {
		return err
	}
	for i, worker := range s.Workers {
		if err := worker.Await(func() bool { return ready(s.ports.workerAdmins[i]) }, readyTime); err != nil {
			return err
		}
	}
	return s.Bridge.Await(func() bool { return ready(s.ports.bridgeAdmin) }, readyTime)
}

const readyTime = time.Minute

// build makes the binaries that are run, into dir/bin.
func (s *System) build(ctx context.Context, race bool) error {
	const module = "github.com/refundworker/refundworker/cmd/"
	bin := filepath.Join(s.dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return err
	}
	args := []string{"build", fmt.Sprintf("-race=%t", race), "-o", bin + "/", module + "worker", module + "notify-bridge", module + "gateway-sim"}
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("building the binaries: %w: %s", err, out)
	}
	return nil
}

func (s *System) startParts(o SystemOptions) error {
	var err error
	if s.Kafka, err = realparts.StartKafka(s.dir, realparts.KafkaOptions{Version: o.KafkaVersion, Brokers: o.Brokers}); err != nil {
		return err
	}
	s.onStop(s.Kafka.Stop)
	if s.Redis, err = realparts.StartRedis(s.dir, "redis"); err != nil {
		return err
	}
	s.onStop(s.Redis.Kill)
	return nil
}

// daemon starts one of the binaries; environment are further variables.
func (s *System) daemon(name, binary, configuration string, environment ...string) (*realparts.Process, error) {
	process, err := realparts.StartProcess(s.dir, name, func() *exec.Cmd {
		cmd := exec.Command(filepath.Join(s.dir, "bin", binary), "--config", configuration)
		cmd.Env = append(os.Environ(), environment...)
		return cmd
	}, nil, 0)
	if err == nil {
		s.onStop(process.Kill)
	}
	return process, err
}

func (s *System) onStop(stop func()) { s.closers = append(s.closers, stop) }

// Stop kills everything that is still there, the parts last.
func (s *System) Stop() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

// daemons are the binaries that run.
func (s *System) daemons() []*realparts.Process {
	return append(slices.Clone(s.Workers), s.Bridge, s.Gateway)
}

// End ends workers, bridge and gateways as an operator does, by SIGTERM, and
// answers an error for each that does not exit 0 within its drain.
func (s *System) End() error {
	var errs []error
	for _, p := range s.daemons() {
		if err := endCleanly(p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// endCleanly is SIGTERM; an exit code other than 0 is an error.
func endCleanly(p *realparts.Process) error {
	if !p.Stop(stopTime) {
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.Name, stopTime)
	}
	if code := p.ExitCode(); code != 0 {
		return fmt.Errorf("%s exits %d after SIGTERM", p.Name, code)
	}
	return nil
}

// stopTime is the drain with its hard stop, and the last words to Kafka and Redis.
const stopTime = 20 * time.Second

// Audit holds the topics against the gateways' books.
func (s *System) Audit(ctx context.Context) (audit.Report, error) {
	return app.Audit(ctx, s.Config, true, func() ([]audit.Payment, error) { return s.Books.Payments(ctx) })
}

// outcries are what no daemon may ever write: a panic, recovered or not, or a data
// race.
var outcries = []string{"DATA RACE", "panic:", "made the handler panic"}

// cries names each log of a daemon that has one.
func (s *System) cries() error {
	var errs []error
	for _, p := range s.daemons() {
		text, err := os.ReadFile(p.Log)
		errs = append(errs, err)
		for _, cry := range outcries {
			if strings.Contains(string(text), cry) {
				errs = append(errs, fmt.Errorf("%s wrote %q: see %s", p.Name, cry, p.Log))
			}
		}
	}
	return errors.Join(errs...)
}

// saveMetrics leaves each daemon's /metrics beside its log. What cannot be had is
// missing there.
func (s *System) saveMetrics() {
	for name, admin := range s.admins() {
		if text, err := exchange(context.Background(), http.MethodGet, "http://"+admin+"/metrics", nil); err == nil {
			_ = os.WriteFile(filepath.Join(s.dir, name+".metrics"), text, 0o600)
		}
	}
}

// admins are the daemons' admin addresses, by name.
func (s *System) admins() map[string]string {
	admins := map[string]string{"bridge": s.ports.bridgeAdmin}
	for i, worker := range s.Workers {
		admins[worker.Name] = s.ports.workerAdmins[i]
	}
	return admins
}

// ready asks /readyz.
func ready(admin string) bool {
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get("http://" + admin + "/readyz")
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
