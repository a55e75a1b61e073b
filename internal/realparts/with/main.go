// Command with starts real parts, runs a command with their addresses in its
// environment (KAFKA_BROKERS, REDIS_ADDR, REDIS_CLUSTER_ADDRS), ends them all and
// exits as the command did. Nothing that it started outlives it.
//
//	go run ./internal/realparts/with -brokers 1 -redis -- go test ./...
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/refundworker/refundworker/internal/realparts"
)

func main() { os.Exit(run()) }

func run() int {
	version := flag.String("kafka", realparts.KafkaVersion, "version of Apache Kafka")
	brokers := flag.Int("brokers", 0, "how many Kafka brokers")
	redis := flag.Bool("redis", false, "start one Redis server")
	cluster := flag.Bool("cluster", false, "start a Redis Cluster of three masters")
	keep := flag.String("dir", "", "keep data and logs here (default: a temporary folder, removed at the end)")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: with [flags] -- command [arguments]")
		flag.PrintDefaults()
		return 2
	}
	if err := parts(*version, *brokers, *redis, *cluster, *keep, flag.Args()); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		fmt.Fprintln(os.Stderr, "with:", err)
		return 1
	}
	return 0
}

func parts(version string, brokers int, redis, cluster bool, dir string, command []string) error {
	var needs []string
	if brokers > 0 {
		needs = append(needs, "java", "mvn")
	}
	if redis || cluster {
		needs = append(needs, "redis-server", "redis-cli")
	}
	if missing := realparts.Missing(needs...); missing != "" {
		return errors.New(missing)
	}
	if dir == "" {
		temporary, err := os.MkdirTemp("", "realparts")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	}
	environment := os.Environ()
	if brokers > 0 {
		kafka, err := realparts.StartKafka(dir, realparts.KafkaOptions{Version: version, Brokers: brokers})
		if err != nil {
			return err
		}
		defer kafka.Stop()
		environment = append(environment, "KAFKA_BROKERS="+strings.Join(kafka.Brokers, ","))
	}
	if redis {
		server, err := realparts.StartRedis(dir, "redis")
		if err != nil {
			return err
		}
		defer server.Kill()
		environment = append(environment, "REDIS_ADDR="+server.Addr)
	}
	if cluster {
		nodes, err := realparts.StartRedisCluster(dir)
		if err != nil {
			return err
		}
		var addrs []string
		for _, node := range nodes {
			defer node.Kill()
			addrs = append(addrs, node.Addr)
		}
		environment = append(environment, "REDIS_CLUSTER_ADDRS="+strings.Join(addrs, ","))
	}
	return supervise(command, environment)
}

// supervise runs the command and passes signals on; the parts end after it.
func supervise(command, environment []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = syscall.Kill(-cmd.Process.Pid, s.(syscall.Signal))
		case err := <-ended:
			return err
		}
	}
}
