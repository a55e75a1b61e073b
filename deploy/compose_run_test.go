//go:build unix

package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/refundworker/refundworker/internal/realparts"
)

// composed is the compose file run as processes: the same commands, environment and
// mounted files, with container addresses and paths replaced by those of this
// machine.
type composed struct {
	t        *testing.T
	project  *types.Project
	dir      string
	here     *strings.Replacer
	running  map[string]*realparts.Process
	promHost string
	brokers  []string
	redis    string
}

// What the containers would run takes refunds to their end, by answers and by
// callbacks, is measured by a real Prometheus, and ends on SIGTERM.
func TestComposeAsProcesses(t *testing.T) {
	if os.Getenv("REAL_PARTS") == "" {
		t.Skip("skipped: it starts a real Kafka and Redis: REAL_PARTS=1")
	}
	if missing := realparts.Missing("java", "mvn", "redis-server"); missing != "" {
		t.Skip("skipped: " + missing)
	}
	c := &composed{t: t, project: project(t), dir: t.TempDir(), running: map[string]*realparts.Process{}}
	c.startParts()
	c.build()
	c.mount()
	c.runOnce("keys")
	c.runOnce("topics")
	for _, name := range []string{"gateway-sim", "worker", "bridge"} {
		c.start(name)
	}
	for _, refund := range [][]string{
		{"--merchant=S0003469", "--refund-no=R1", "--order-no=O1", "--amount=0.01", "--order-amount=10.01", "--method=WeChat", "--wallet=WECHATCN"},
		{"--merchant=S0003469", "--refund-no=R2", "--order-no=O1", "--amount=10.00", "--order-amount=10.01", "--method=WeChat", "--wallet=WECHATCN", "--flow=apply"},
		{"--merchant=shop-th", "--refund-no=B1", "--transaction-id=T1", "--amount=20", "--order-amount=100"},
	} {
		c.refundctl(append([]string{"submit", "--wait", "--wait-for=60s"}, refund...)...)
	}
	c.monitored()
	c.restart("worker")
	if !testing.Short() {
		c.drill()
	}
	c.refundctl("submit", "--wait", "--wait-for=60s", "--merchant=S0003469", "--refund-no=R3", "--order-no=O2", "--amount=1", "--order-amount=2", "--method=Alipay", "--wallet=ALIPAYHK")
	audit := c.refundctl("audit", "--ledger", "http://gateway-sim:9481/ledger", "-o", "table")
	if !strings.Contains(audit, "all promises kept") {
		t.Errorf("audit: %s", audit)
	}
	t.Logf("audit: %s", strings.SplitN(audit, "\n", 2)[0])
	for _, name := range []string{"bridge", "worker", "gateway-sim"} {
		c.stop(name)
	}
}

func (c *composed) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// startParts starts Kafka in the image's version with its settings, and Redis by its
// command.
func (c *composed) startParts() {
	c.t.Helper()
	service := c.project.Services["kafka"]
	own := []string{"PROCESS_ROLES", "NODE_ID", "LOG_DIRS", "QUORUM_VOTERS", "LISTENER"} // of a container
	var extra []string
	for name, value := range service.Environment {
		if !slices.ContainsFunc(own, func(part string) bool { return strings.Contains(name, part) }) {
			extra = append(extra, strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "KAFKA_"), "_", "."))+"="+*value)
		}
	}
	_, version, _ := strings.Cut(service.Image, ":")
	kafka, err := realparts.StartKafka(c.dir, realparts.KafkaOptions{Version: version, Extra: extra})
	c.must(err)
	c.t.Cleanup(kafka.Stop)
	redis, err := realparts.StartRedis(c.dir, "redis", c.project.Services["redis"].Command[1:]...)
	c.must(err)
	c.t.Cleanup(redis.Kill)
	c.brokers, c.redis = kafka.Brokers, redis.Addr

	ports, err := realparts.Ports(6)
	c.must(err)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	c.promHost = at(4)
	c.here = strings.NewReplacer(
		"kafka:29092", kafka.Brokers[0], "redis:6379", redis.Addr,
		"gateway-sim:9480", at(0), ":9480", at(0), "gateway-sim:9481", at(5), "127.0.0.1:9481", at(5), ":9481", at(5),
		"bridge:8080", at(1), ":8080", at(1), "worker:9464", at(2), ":9464", at(2), "bridge:9465", at(3), ":9465", at(3),
		"/usr/local/bin/", c.dir+"/bin/", "/etc/", c.dir+"/etc/", "/keys", c.dir+"/keys", "path=/prometheus", "path="+c.dir+"/prometheus",
	)
}

// build is the Dockerfile's.
func (c *composed) build() {
	c.t.Helper()
	line := read(c.t, root, "Dockerfile")
	line = line[strings.Index(line, "go build"):]
	line, _, _ = strings.Cut(line, "\n")
	line = strings.ReplaceAll(line, "${VERSION}", *c.project.Services["worker"].Build.Args["VERSION"])
	command := exec.Command(strings.Fields(line)[0], strings.Fields(strings.ReplaceAll(line, "/out/", c.dir+"/bin/"))[1:]...)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// mount lays each mounted file where its container would have it.
func (c *composed) mount() {
	c.t.Helper()
	for _, s := range c.project.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind || !strings.HasPrefix(v.Target, "/etc/") {
				continue
			}
			target := c.here.Replace(v.Target)
			c.must(os.MkdirAll(filepath.Dir(target), 0o700))
			c.must(os.WriteFile(target, []byte(c.here.Replace(read(c.t, v.Source))), 0o600))
		}
	}
}

// command is a service's, or one that is run in its container: no more environment
// than the container has.
func (c *composed) command(service string, args ...string) *exec.Cmd {
	var all []string
	for _, arg := range args {
		all = append(all, c.here.Replace(arg))
	}
	command := exec.Command(all[0], all[1:]...)
	command.Env = []string{}
	for name, value := range c.project.Services[service].Environment {
		command.Env = append(command.Env, name+"="+c.here.Replace(*value))
	}
	return command
}

func (c *composed) runOnce(service string, more ...string) string {
	c.t.Helper()
	command := c.command(service, append(slices.Clone([]string(c.project.Services[service].Entrypoint)), more...)...)
	var errs bytes.Buffer
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s%s", service, strings.Join(more, " "), err, out, errs.String())
	}
	return string(out)
}

func (c *composed) refundctl(args ...string) string {
	c.t.Helper()
	return c.runOnce("refundctl", args...)
}

// start starts a service once what it depends on is there, and waits until its own
// health check says so.
func (c *composed) start(name string) {
	c.t.Helper()
	s := c.project.Services[name]
	for _, other := range slices.Sorted(maps.Keys(s.DependsOn)) {
		if _, there := c.running[other]; !there && !runsOnce(c.project, other) && other != "kafka" && other != "redis" {
			c.t.Fatalf("%s needs %s first", name, other)
		}
	}
	process, err := realparts.StartProcess(c.dir, name, func() *exec.Cmd { return c.command(name, s.Entrypoint...) }, c.healthy(name), time.Duration(*s.HealthCheck.Interval)*time.Duration(*s.HealthCheck.Retries))
	c.must(err)
	c.running[name] = process
	c.t.Cleanup(process.Kill)
}

// healthy asks a service's own health check.
func (c *composed) healthy(name string) func() bool {
	return func() bool { return c.command(name, c.project.Services[name].HealthCheck.Test[1:]...).Run() == nil }
}

// stop is what docker does: SIGTERM, and its time.
func (c *composed) stop(name string) {
	c.t.Helper()
	grace := 10 * time.Second
	if g := c.project.Services[name].StopGracePeriod; g != nil {
		grace = time.Duration(*g)
	}
	process := c.running[name]
	if !process.Stop(grace) || process.ExitCode() != 0 {
		c.t.Errorf("%s: did not exit 0 within %s of SIGTERM, but with %d", name, grace, process.ExitCode())
	}
}

func (c *composed) restart(name string) {
	c.t.Helper()
	c.stop(name)
	c.start(name)
}

// monitored runs Prometheus with the mounted configuration and rules, and asks it all
// queries of the dashboard.
func (c *composed) monitored() {
	c.t.Helper()
	if missing := realparts.Missing("prometheus"); missing != "" {
		c.t.Log("not looked at: no prometheus here (Debian: apt-get install prometheus)")
		return
	}
	args := append([]string{"prometheus", "--web.listen-address=" + c.promHost}, c.project.Services["prometheus"].Command...)
	process, err := realparts.StartProcess(c.dir, "prometheus", func() *exec.Cmd {
		command := c.command("prometheus", args...)
		command.Env = append(command.Env, "PATH="+os.Getenv("PATH"))
		return command
	}, func() bool { // two scrapes of each, and the rules twice
		return c.value(`count(count by (job) (rate(refund_build_info[1m])))`) == "2" && c.value("rate(refund:due_records:sum[1m])") != ""
	}, time.Minute)
	c.must(err)
	c.t.Cleanup(process.Kill)

	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, LastError, Health string }
			}
		}
	}
	c.ask("/api/v1/rules", &rules)
	loaded := 0
	for _, g := range rules.Data.Groups {
		for _, r := range g.Rules {
			loaded++
			if r.LastError != "" || r.Health == "err" {
				c.t.Errorf("rule %s: %s", r.Name, r.LastError)
			}
		}
	}
	if want := len(ruleFile(c.t).rules()); loaded != want {
		c.t.Errorf("Prometheus has %d rules of %d", loaded, want)
	}
	answered, empty := 0, []string{}
	for _, panel := range dashboard(c.t).all() {
		for _, target := range panel.Targets {
			if c.value(forPrometheus(target.Expr)) == "" {
				empty = append(empty, panel.Title)
			} else {
				answered++
			}
		}
	}
	c.t.Logf("Prometheus: %d rules loaded, %d queries of the dashboard with data, %d without any yet: %s", loaded, answered, len(empty), strings.Join(empty, "; "))
	if answered < 2*len(empty) {
		c.t.Errorf("only %d of the dashboard's queries have data, %d have none", answered, len(empty))
	}
}

// value is the first value that a query brings, or nothing; a query that Prometheus
// refuses fails the test.
func (c *composed) value(query string) string {
	c.t.Helper()
	var answer struct {
		Status, Error string
		Data          struct{ Result []struct{ Value [2]any } }
	}
	if !c.ask("/api/v1/query?query="+url.QueryEscape(query), &answer) {
		return ""
	}
	if answer.Status != "success" {
		c.t.Errorf("%s: %s", query, answer.Error)
	}
	if len(answer.Data.Result) == 0 {
		return ""
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1])
}

func (c *composed) ask(path string, into any) bool {
	answer, err := http.Get("http://" + c.promHost + path)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return err == nil && json.Unmarshal(text, into) == nil
}
