//go:build unix

// Command with starts real parts, runs a command with their addresses in its
// environment (KAFKA_BROKERS, REDIS_ADDR, REDIS_CLUSTER_ADDRS), ends them all and
// exits as the command did. Nothing that it started outlives it, also after Ctrl-C
// or when whoever started it dies.
//
//	go run ./internal/realparts/with -brokers 1 -redis -- go test ./...
//
// With -restarts the environment has KAFKA_RESTART too: a shell command that kills
// the first broker and returns once it listens again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/refundworker/refundworker/internal/realparts"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// options are the flags.
type options struct {
	version        string
	brokers        int
	redis, cluster bool
	restarts       bool
	dir            string
	command        []string
}

func run(args []string, errs io.Writer) int {
	var o options
	flags := flag.NewFlagSet("with", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.version, "kafka", realparts.KafkaVersion, "version of Apache Kafka")
	flags.IntVar(&o.brokers, "brokers", 0, "how many Kafka brokers")
	flags.BoolVar(&o.redis, "redis", false, "start one Redis server")
	flags.BoolVar(&o.cluster, "cluster", false, "start a Redis Cluster of three masters")
	flags.BoolVar(&o.restarts, "restarts", false, "let the command restart the first broker by $KAFKA_RESTART")
	flags.StringVar(&o.dir, "dir", "", "keep data and logs here (default: a temporary folder, removed at the end)")
	check := flags.Bool("check", false, "only say what is missing on this machine, and fail if something is")
	restart := flags.String("restart", "", "what $KAFKA_RESTART calls")
	if flags.Parse(args) != nil {
		return 2
	}
	o.command = flags.Args()
	var err error
	switch {
	case *check:
		if missing := realparts.Missing("java", "mvn", "redis-server", "redis-cli"); missing != "" {
			err = errors.New(missing)
		}
	case *restart != "":
		err = askRestart(*restart)
	case len(o.command) == 0:
		fmt.Fprintln(errs, "usage: with [flags] -- command [arguments]")
		flags.PrintDefaults()
		return 2
	default:
		realparts.EndWithParent()
		err = o.run()
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(errs, "with:", err)
		return 1
	}
	return 0
}

// run starts the parts, then the command. A signal ends whatever runs at that
// moment.
func (o options) run() error {
	var needs []string
	if o.brokers > 0 {
		needs = append(needs, "java", "mvn")
	}
	if o.redis || o.cluster {
		needs = append(needs, "redis-server", "redis-cli")
	}
	if missing := realparts.Missing(needs...); missing != "" {
		return errors.New(missing)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	parts := &parts{environment: os.Environ()}
	defer parts.stop()
	started := make(chan error, 1)
	go func() { started <- parts.start(o) }()
	select {
	case s := <-signals:
		<-started // the parts that are coming up end after it
		return fmt.Errorf("%s", s)
	case err := <-started:
		if err != nil {
			return err
		}
	}
	return supervise(o.command, parts.environment, signals)
}

// parts are what runs beside the command.
type parts struct {
	environment []string
	closers     []func()
}

func (p *parts) onStop(stop func()) { p.closers = append(p.closers, stop) }

func (p *parts) stop() {
	for i := len(p.closers) - 1; i >= 0; i-- {
		p.closers[i]()
	}
}

func (p *parts) tell(name, value string) { p.environment = append(p.environment, name+"="+value) }

func (p *parts) start(o options) error {
	dir := o.dir
	if dir == "" {
		temporary, err := os.MkdirTemp("", "realparts")
		if err != nil {
			return err
		}
		p.onStop(func() { _ = os.RemoveAll(temporary) })
		dir = temporary
		// What the command leaves behind when it is killed goes with the rest.
		tmp := filepath.Join(temporary, "tmp")
		if err := os.Mkdir(tmp, 0o700); err != nil {
			return err
		}
		p.tell("TMPDIR", tmp)
	}
	if o.brokers > 0 {
		kafka, err := realparts.StartKafka(dir, realparts.KafkaOptions{Version: o.version, Brokers: o.brokers})
		if err != nil {
			return err
		}
		p.onStop(kafka.Stop)
		p.tell("KAFKA_BROKERS", strings.Join(kafka.Brokers, ","))
		if o.restarts {
			if err := p.serveRestarts(kafka); err != nil {
				return err
			}
		}
	}
	if o.redis {
		server, err := realparts.StartRedis(dir, "redis")
		if err != nil {
			return err
		}
		p.onStop(server.Kill)
		p.tell("REDIS_ADDR", server.Addr)
	}
	if o.cluster {
		nodes, err := realparts.StartRedisCluster(dir)
		if err != nil {
			return err
		}
		var addrs []string
		for _, node := range nodes {
			p.onStop(node.Kill)
			addrs = append(addrs, node.Addr)
		}
		p.tell("REDIS_CLUSTER_ADDRS", strings.Join(addrs, ","))
	}
	return nil
}

// serveRestarts lets the command have the first broker killed and started again.
func (p *parts) serveRestarts(kafka *realparts.Kafka) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	port, err := realparts.Ports(1)
	if err != nil {
		return err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port[0])
	server := &http.Server{Addr: addr, ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		kafka.Nodes[0].Kill()
		err := kafka.Nodes[0].Start()
		if err == nil {
			err = kafka.AwaitBroker(0)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})}
	go func() { _ = server.ListenAndServe() }() // ends by Close; askRestart tells where it could not listen
	p.onStop(func() { _ = server.Close() })
	p.tell("KAFKA_RESTART", fmt.Sprintf("'%s' -restart http://%s/", self, addr))
	return nil
}

func askRestart(url string) error {
	answer, err := http.Post(url, "", nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		words, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
		return fmt.Errorf("restarting the broker: %s", words)
	}
	return nil
}

// patience is how long a command may take to end after a signal.
const patience = 20 * time.Second

// supervise runs the command and passes signals on to its process group; what does
// not end then is killed.
func supervise(command, environment []string, signals <-chan os.Signal) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case s := <-signals:
			_ = syscall.Kill(-cmd.Process.Pid, s.(syscall.Signal))
			stop := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
			context.AfterFunc(ctx, func() { stop.Stop() })
		case err := <-ended:
			return err
		}
	}
}
