package ctl

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/dedupe"
	"github.com/refundworker/refundworker/internal/sandbox"
)

var update = flag.Bool("update", false, "write the golden files anew")

// running is one whole system for all tests of this package, started by the first
// that needs it.
var running = sync.OnceValues(func() (*sandbox.System, error) {
	return sandbox.Start(context.Background(), sandbox.Options{})
})

var started atomic.Bool

func TestMain(m *testing.M) {
	dedupe.Quiet()
	code := m.Run()
	if started.Load() {
		if s, err := running(); err == nil {
			if err := s.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, "sandbox:", err)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// theSystem is the running system; tests share it, so each uses refund numbers and
// orders of its own.
func theSystem(t testing.TB) *sandbox.System {
	t.Helper()
	started.Store(true)
	s, err := running()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answer is what one command line came to.
type answer struct {
	code     int
	out, err string
}

// world is how a test runs commands.
type world struct {
	config   string
	terminal bool
	progress bool // stderr is a terminal
	in       string
	ctx      context.Context
}

// down is a world without Kafka and Redis.
func down() world { return world{config: filepath.Join("testdata", "down.yaml")} }

// up is a world with the running system.
func up(t testing.TB) world { return world{config: theSystem(t).ConfigFile} }

func (w world) onTerminal() world              { w.terminal = true; return w }
func (w world) withProgress() world            { w.progress = true; return w }
func (w world) reading(in string) world        { w.in = in; return w }
func (w world) within(c context.Context) world { w.ctx = c; return w }

// secrets that no output may ever hold.
var secrets = []string{"canary-secret-7f3a", "canary-old-91bc", "canary-other-55aa", "sandbox-secret", "PRIVATE KEY"}

func (w world) run(t testing.TB, args ...string) answer {
	t.Helper()
	var stdout, stderr syncBuffer
	ctx := w.ctx
	if ctx == nil {
		ctx = t.Context()
	}
	code := Run(ctx, append([]string{"--config", w.config, "--timeout", "3s"}, args...), Env{
		In: strings.NewReader(w.in), Out: &stdout, Err: &stderr, Terminal: w.terminal, ErrTerminal: w.progress,
		Now: time.Now, Zone: time.UTC, Who: "tester", From: "testhost",
	})
	a := answer{code, stdout.String(), stderr.String()}
	for _, secret := range secrets {
		if strings.Contains(a.out+a.err, secret) {
			t.Errorf("refundctl %s shows a secret:\n%s%s", strings.Join(args, " "), a.out, a.err)
		}
	}
	return a
}

// want fails unless the command ended with this code; it answers the output.
func (a answer) want(t testing.TB, code int) answer {
	t.Helper()
	if a.code != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", a.code, code, a.out, a.err)
	}
	return a
}

// says fails unless every part is in what was written.
func (a answer) says(t testing.TB, parts ...string) answer {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(a.out+a.err, part) {
			t.Errorf("does not say %q\nstdout:\n%s\nstderr:\n%s", part, a.out, a.err)
		}
	}
	return a
}

// varying is what differs from run to run.
var varying = []struct {
	pattern *regexp.Regexp
	shown   string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`), "<time>"},
	{regexp.MustCompile(`-r\d+\b`), "-r1"},
	{regexp.MustCompile(`"provider_refund_id":"[^"]*"`), `"provider_refund_id":"<id>"`},
	{regexp.MustCompile(`(refund\.[a-z.]+)?/?\b\d+/\d+ *`), "<place> "},
	{regexp.MustCompile(`\b(PLACE|ID|EXAMPLE|TOOK) +`), "$1 "},
	{regexp.MustCompile(`eftpay R\d+`), "eftpay R<id>"},
	{regexp.MustCompile(`127\.0\.0\.1:\d{2,}`), "<addr>"},
	{regexp.MustCompile(`"took_ms":\d+`), `"took_ms":0`},
	{regexp.MustCompile(`\d+ ms *`), "<n> ms "},
}

// rounds counts how often each test has run, so that numbers are never used twice
// (go test -count=2).
var rounds sync.Map

// numbers makes names of refunds that no other test and no other round has used.
func numbers(t testing.TB) func(string) string {
	counter, _ := rounds.LoadOrStore(t.Name(), new(atomic.Int64))
	suffix := fmt.Sprintf("-r%d", counter.(*atomic.Int64).Add(1))
	return func(name string) string { return name + suffix }
}

// golden holds text against testdata/golden/NAME, times and addresses apart.
func golden(t testing.TB, name, text string) {
	t.Helper()
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.shown)
	}
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if text != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew)\ngot:\n%s\nwant:\n%s", file, text, want)
	}
}

// syncBuffer is read while a command still writes.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func readFile(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
