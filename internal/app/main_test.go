package app_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/refundworker/refundworker/internal/app"
)

// The daemon as a command: SIGHUP has it read its configuration again, SIGTERM ends
// it with 0.
func TestSignalsOfACommand(t *testing.T) {
	cfg := parts{kafka: fakeKafka(t), redis: miniredis.RunT(t).Addr(), gateway: "http://127.0.0.1:1", more: createTopics}.load(t)
	out, errs := &noted{}, &bytes.Buffer{}
	ended := make(chan int, 1)
	go func() { ended <- app.BridgeDaemon.Main([]string{"--config", cfg.File()}, out, errs) }()
	eventually(t, "the bridge", func() bool { return strings.HasPrefix(ready(cfg.Bridge.Admin), "ready") })
	signal := func(s syscall.Signal) {
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGHUP)
	eventually(t, "words about the configuration", func() bool { return strings.Contains(out.String(), "the configuration has not changed") })
	signal(syscall.SIGTERM)
	if code := <-ended; code != app.ExitDone || errs.Len() > 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// A configuration that is wrong is code 2, all findings on stderr, and nothing else.
func TestAWrongConfigurationIsUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wrong.yaml")
	if err := os.WriteFile(file, []byte("kafka: {brokers: [\"127.0.0.1:1\"], tls: {enabled: true, ca_file: wrong.yaml}}\nredis: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--config", file}, {"--config", file + "x"}, {"healthcheck", "--config", file}, {"--colour"}, {"run"}} {
		out, errs := &bytes.Buffer{}, &bytes.Buffer{}
		if code := app.WorkerDaemon.Main(args, out, errs); code != app.ExitUsage || errs.Len() == 0 || out.Len() > 0 {
			t.Errorf("%v: exit %d, out %q, errs %q", args, code, out, errs)
		}
		if args[len(args)-1] == file && !(strings.Contains(errs.String(), "kafka.tls.ca_file: holds no certificate in PEM") && strings.Contains(errs.String(), "redis.addrs: is missing")) {
			t.Errorf("%v: %s", args, errs)
		}
	}
}
