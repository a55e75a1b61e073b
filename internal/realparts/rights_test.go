//go:build unix

package realparts_test

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/realparts"
)

// estate is a system behind TLS, in which everybody has just the rights that
// docs/security.md lists.
type estate struct {
	t       *testing.T
	dir     string
	mutual  bool
	secure  *realparts.Secure
	cluster *realparts.Kafka
	redis   *realparts.Redis
	redisAt string // by TLS
	sim     *gatewaysim.Sim
	gateway string
	ports   []int
	hangups []chan os.Signal
	log     lockedText
}

const page = "../../docs/security.md"

// principals are those of the page, and the password of each by SASL and at Redis.
var principals = []string{"worker", "bridge", "publisher", "subscriber", "reader", "operator"}

const secretOf = "secret-of-"

func newEstate(t *testing.T, mutual bool) *estate {
	t.Helper()
	users := map[string]string{"nobody": secretOf + "nobody"}
	for _, p := range principals {
		users[p] = secretOf + p
	}
	secure, err := realparts.NewSecure("admin", "admin-secret")
	must(t, err)
	secure.Users, secure.Mutual = users, mutual
	e := &estate{t: t, dir: t.TempDir(), mutual: mutual, secure: secure}
	e.cluster = brokers(t, realparts.KafkaOptions{Secure: secure})
	must(t, os.WriteFile(e.file("ca.crt"), secure.CA, 0o600))
	for _, p := range append(slices.Clone(principals), "nobody", "redis") {
		certificate, key, err := secure.Issue(p)
		must(t, err)
		must(t, os.WriteFile(e.file(p+".crt"), certificate, 0o600))
		must(t, os.WriteFile(e.file(p+".key"), key, 0o600))
	}
	e.ports, err = realparts.Ports(5)
	must(t, err)
	e.startRedis()
	e.startGateway()
	e.createTopics()
	e.grant()
	e.awaitGrants()
	return e
}

func (e *estate) file(name string) string { return filepath.Join(e.dir, name) }

// startRedis with TLS, client certificates and the users of the page.
func (e *estate) startRedis() {
	text, err := os.ReadFile(page)
	must(e.t, err)
	var acl strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "user ") {
			acl.WriteString(strings.ReplaceAll(line, ">secret", ">"+secretOf+strings.Fields(line)[1]))
		}
	}
	acl.WriteString("user admin on >" + secretOf + "admin ~* +@all\n")
	must(e.t, os.WriteFile(e.file("users.acl"), []byte(acl.String()), 0o600))
	e.redisAt = fmt.Sprintf("127.0.0.1:%d", e.ports[0])
	e.redis, err = realparts.StartRedis(e.dir, "redis-tls", "--tls-port", fmt.Sprint(e.ports[0]), "--tls-cert-file", e.file("redis.crt"),
		"--tls-key-file", e.file("redis.key"), "--tls-ca-cert-file", e.file("ca.crt"), "--tls-auth-clients", "yes", "--aclfile", e.file("users.acl"))
	must(e.t, err)
	e.t.Cleanup(e.redis.Kill)
	must(e.t, e.redis.Await(func() bool { return realparts.Listening(e.redisAt) }, 10*time.Second))
}

func (e *estate) startGateway() {
	var err error
	e.sim, err = gatewaysim.New(gatewaysim.Config{
		EftPay: []gatewaysim.EftPayMerchant{{UserConfirmKey: "shop", Secret: "eftpay-secret"}}, SettleAfter: 300 * time.Millisecond,
	})
	must(e.t, err)
	e.t.Cleanup(e.sim.Close)
	server, err := e.sim.ListenWith(fmt.Sprintf("127.0.0.1:%d", e.ports[1]), e.sim.Handler())
	must(e.t, err)
	e.gateway = server.URL() + e.sim.Prefix()
}

var theTopics = consumer.Topics{Requests: "refund.requests", Status: "refund.status", DeadLetters: "refund.requests.dlq",
	DelayPrefix: "refund.delay.", Control: "refund.control", Audit: "refund.audit"}

// createTopics as an administrator does, before anybody starts.
func (e *estate) createTopics() {
	inside := open(e.t, kafka.Config{Brokers: e.cluster.Inside})
	delays, err := consumer.NewDelays(time.Second, 2*time.Second, time.Hour)
	must(e.t, err)
	must(e.t, inside.EnsureTopics(within(e.t, 30*time.Second), consumer.Specs(theTopics, delays, 2, 1)))
}

var operations = map[string]kmsg.ACLOperation{
	"Read": kmsg.ACLOperationRead, "Write": kmsg.ACLOperationWrite, "Describe": kmsg.ACLOperationDescribe, "DescribeConfigs": kmsg.ACLOperationDescribeConfigs,
}

// grant gives each principal the rights of the page's table.
func (e *estate) grant() {
	text, err := os.ReadFile(page)
	must(e.t, err)
	request := kmsg.NewPtrCreateACLsRequest()
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !slices.Contains(principals, strings.TrimSpace(cells[1])) {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		for operation := range strings.SplitSeq(cells[4], ", ") {
			one := kmsg.NewCreateACLsRequestCreation()
			one.Principal, one.Host, one.PermissionType = "User:"+cells[1], "*", kmsg.ACLPermissionTypeAllow
			one.ResourceName, one.ResourcePatternType = cells[3], kmsg.ACLResourcePatternTypeLiteral
			switch cells[2] {
			case "topic prefix":
				one.ResourceType, one.ResourcePatternType = kmsg.ACLResourceTypeTopic, kmsg.ACLResourcePatternTypePrefixed
			case "topic":
				one.ResourceType = kmsg.ACLResourceTypeTopic
			case "group":
				one.ResourceType = kmsg.ACLResourceTypeGroup
			case "cluster":
				one.ResourceType = kmsg.ACLResourceTypeCluster
			default:
				e.t.Fatalf("a right on what? %q", line)
			}
			var known bool
			if one.Operation, known = operations[operation]; !known {
				e.t.Fatalf("to do what? %q", line)
			}
			request.Creations = append(request.Creations, one)
		}
	}
	if len(request.Creations) < 30 {
		e.t.Fatalf("the page lists %d rights", len(request.Creations))
	}
	admin, err := kgo.NewClient(kgo.SeedBrokers(e.cluster.Inside...))
	must(e.t, err)
	defer admin.Close()
	answer, err := request.RequestWith(within(e.t, 20*time.Second), admin)
	must(e.t, err)
	for _, r := range answer.Results {
		if r.ErrorCode != 0 {
			e.t.Fatalf("granting: %d %v", r.ErrorCode, *r.ErrorMessage)
		}
	}
}

// awaitGrants waits until the broker has heard of the rights.
func (e *estate) awaitGrants() {
	for _, principal := range []string{"worker", "bridge", "reader"} {
		client := e.client(principal)
		eventuallyIs(e.t, "the rights of "+principal, func() bool {
			_, err := client.CheckTopics(within(e.t, 10*time.Second), []kafka.TopicSpec{{Name: theTopics.Status, Configs: map[string]string{"cleanup.policy": "compact"}}})
			n, missing := client.Partitions(within(e.t, 10*time.Second), theTopics.Audit)
			return err == nil && missing == nil && n > 0
		})
	}
}

// link is a principal's part of kafka's configuration.
func (e *estate) link(principal string) string {
	if e.mutual {
		return fmt.Sprintf("tls: {enabled: true, ca_file: ca.crt, cert_file: %s.crt, key_file: %s.key}", principal, principal)
	}
	return fmt.Sprintf("tls: {enabled: true, ca_file: ca.crt}, sasl: {mechanism: SCRAM-SHA-512, username: %s, password: \"${file:%s.secret}\"}", principal, principal)
}

// configure writes a principal's configuration.
func (e *estate) configure(principal string) string {
	file := e.file(principal + ".yaml")
	must(e.t, os.WriteFile(e.file(principal+".secret"), []byte(secretOf+principal), 0o600))
	must(e.t, os.WriteFile(file, []byte(fmt.Sprintf(`kafka: {brokers: [%q], session_timeout: 6s, %s}
redis: {addrs: [%q], username: %s, password: "${file:%s.secret}", failover_grace: 0s, tls: {enabled: true, ca_file: ca.crt, cert_file: %s.crt, key_file: %s.key}}
worker: {admin: "127.0.0.1:%d", delays: [1s, 2s, 1h], drain_timeout: 2s, claim_lease: 8s}
bridge: {admin: "127.0.0.1:%d", listen: "127.0.0.1:%d", timeout: 2s}
merchants:
  - name: shop
    provider: eftpay
    base_url: %s
    currency: HKD
    timeout: 1s
    eftpay: {user_confirm_key: shop, secret: eftpay-secret, notify_url: "http://127.0.0.1:%d/v1/callbacks/shop"}
`, e.cluster.Brokers[0], e.link(principal), e.redisAt, principal, principal, principal, principal, e.ports[2], e.ports[3], e.ports[4], e.gateway, e.ports[4])), 0o600))
	return file
}

// client connects to Kafka as a principal.
func (e *estate) client(principal string) *kafka.Client {
	e.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(e.secure.CA)
	cfg := kafka.Config{Brokers: e.cluster.Brokers, TLS: &tls.Config{RootCAs: roots}}
	if e.mutual {
		pair, err := tls.LoadX509KeyPair(e.file(principal+".crt"), e.file(principal+".key"))
		must(e.t, err)
		cfg.TLS.Certificates = []tls.Certificate{pair}
	} else {
		cfg.SASL = kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: principal, Password: secretOf + principal}
	}
	return open(e.t, cfg)
}

// run runs a daemon as a principal until the test ends.
func (e *estate) run(d app.Daemon, principal string) {
	e.t.Helper()
	cfg, err := app.Load(e.configure(principal))
	must(e.t, err)
	ctx, cancel := context.WithCancel(e.t.Context())
	ended, hangups := make(chan error, 1), make(chan os.Signal, 1)
	e.hangups = append(e.hangups, hangups)
	go func() {
		ended <- d.Run(ctx, cfg, app.Logger(config.Log{Level: "info"}, &e.log), app.ReloadOn(hangups))
	}()
	e.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			e.t.Errorf("%s: %v", d.Name, err)
		}
	})
}

type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (e *estate) publish(no, more string) {
	e.t.Helper()
	producer := e.client("publisher").Producer()
	defer producer.Close()
	value := fmt.Sprintf(`{"refund_no":%q,"merchant":"shop","order_no":"order-%s","amount":"1.00","order_amount":"10.00","currency":"HKD","method":"WeChat","wallet":"WECHATCN"%s}`, no, no, more)
	must(e.t, producer.Write(within(e.t, 20*time.Second), kafka.Record{Topic: theTopics.Requests, Value: []byte(value)}))
}

// statuses reads the status topic as the subscriber: by refund, the newest.
func (e *estate) statuses(subscriber *kafka.Client) map[string]string {
	newest := map[string]string{}
	_, err := subscriber.Scan(within(e.t, 20*time.Second), theTopics.Status, kafka.FromFirst(), func(r kafka.Record) error {
		_, rest, _ := strings.Cut(string(r.Value), `"status":"`)
		newest[string(r.Key)], _, _ = strings.Cut(rest, `"`)
		return nil
	})
	must(e.t, err)
	return newest
}

// Everybody has the rights that docs/security.md gives him, and no more: worker
// and bridge take refunds, also by callback and follow-up, to their ends; publisher
// and subscriber do their part; refundctl's commands do theirs as reader and
// operator; and nobody can do what is not his.
func TestEverybodyWithJustHisRights(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it takes three minutes")
	}
	for name, mutual := range map[string]bool{"mutual TLS": true, "SASL over TLS": false} {
		t.Run(name, func(t *testing.T) {
			e := newEstate(t, mutual)
			e.run(app.BridgeDaemon, "bridge")
			e.run(app.WorkerDaemon, "worker")
			defer func() {
				if t.Failed() {
					t.Log(e.log.String())
				}
			}()
			must(t, e.sim.Script("R2", gatewaysim.TimeOutAfter()))
			e.publish("R1", "")
			e.publish("R2", "")                  // asked about by a follow-up
			e.publish("R3", `,"flow":"apply"`)   // ended by its callback
			e.publish("R4", `,"currency":"XXX"`) // a dead letter
			subscriber := e.client("subscriber")
			eventuallyIs(t, "every refund to end", func() bool {
				got := e.statuses(subscriber)
				return got["shop/R1"] == "SUCCEEDED" && got["shop/R2"] == "SUCCEEDED" && got["shop/R3"] == "SUCCEEDED"
			})
			if !strings.Contains(e.log.String(), `"message":"dead letter"`) {
				t.Error("no dead letter was written")
			}
			for _, word := range []string{"lacks a right", "NOPERM", "AuthorizationFailed", "is not known to tell"} {
				if strings.Contains(e.log.String(), word) {
					t.Errorf("a right is missing: the log has %q", word)
				}
			}
			skew, err := e.client("worker").Skew(within(t, 10*time.Second))
			if err != nil || skew.Abs() > 2*time.Second {
				t.Errorf("the broker's clock is %s ahead, %v", skew, err)
			}
			e.refundctl()
			e.forbidden()
			if !mutual {
				e.rotate(subscriber)
			}
		})
	}
}

func eventuallyIs(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx := within(t, 90*time.Second)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// refundctl runs each command as who may: reader, or operator.
func (e *estate) refundctl() {
	t := e.t
	t.Helper()
	binary := e.file("refundctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/refundctl").CombinedOutput(); err != nil {
		t.Fatalf("building refundctl: %v: %s", err, out)
	}
	configs := map[string]string{"reader": e.configure("reader"), "operator": e.configure("operator")}
	run := func(principal string, args ...string) (int, string) {
		cmd := exec.CommandContext(within(t, 2*time.Minute), binary, append([]string{"--config", configs[principal], "--timeout", "15s", "-o", "json"}, args...)...)
		cmd.Env = append(os.Environ(), "REFUND_OPERATOR=tester")
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	for _, principal := range []string{"reader", "operator"} {
		for _, args := range [][]string{
			{"show", "R1"}, {"list"}, {"dlq", "ls"}, {"dlq", "groups"}, {"holds"}, {"trail"}, {"offsets", "show"}, {"topics", "check"}, {"audit"},
		} {
			if code, out := run(principal, args...); code > 1 || strings.Contains(out, "NOPERM") || strings.Contains(out, "lacks a right") {
				t.Errorf("%s: refundctl %v: exit %d: %s", principal, args, code, out)
			}
		}
	}
	for _, args := range [][]string{
		{"hold", "shop", "--reason", "test"}, {"release", "shop", "--reason", "test"}, {"dlq", "drop", "--reason", "test", "--yes"}, {"rebuild", "shop", "--reason", "test", "--yes"},
	} {
		if code, out := run("reader", args...); code == 0 {
			t.Errorf("the reader may: refundctl %v: %s", args, out)
		}
		if code, out := run("operator", args...); code != 0 {
			t.Errorf("operator: refundctl %v: exit %d: %s", args, code, out)
		}
	}
}

// forbidden tries what nobody's right is.
func (e *estate) forbidden() {
	t := e.t
	t.Helper()
	write := func(principal, topic string) error {
		producer := e.client(principal).Producer()
		defer producer.Close()
		return producer.Write(within(t, 10*time.Second), kafka.Record{Topic: topic, Value: []byte("x")})
	}
	read := func(principal, topic string) error {
		_, err := e.client(principal).Scan(within(t, 10*time.Second), topic, kafka.FromFirst(), func(kafka.Record) error { return nil })
		return err
	}
	for what, err := range map[string]error{
		"the publisher writes statuses":     write("publisher", theTopics.Status),
		"the publisher reads statuses":      read("publisher", theTopics.Status),
		"the subscriber writes statuses":    write("subscriber", theTopics.Status),
		"the subscriber reads dead letters": read("subscriber", theTopics.DeadLetters),
		"the bridge writes requests":        write("bridge", theTopics.Requests),
		"the bridge reads dead letters":     read("bridge", theTopics.DeadLetters),
		"the worker writes requests":        write("worker", theTopics.Requests),
		"the worker reads dead letters":     read("worker", theTopics.DeadLetters),
		"the reader writes":                 write("reader", theTopics.Control),
		"nobody reads":                      read("nobody", theTopics.Status),
	} {
		if err == nil {
			t.Errorf("%s", what)
		} else if strings.Contains(err.Error(), secretOf) {
			t.Errorf("%s: the error shows a password: %v", what, err)
		}
	}
	if pong := e.redisCLI("worker", "ping"); !strings.HasPrefix(pong, "PONG") {
		t.Fatalf("redis-cli: %s", pong)
	}
	for _, user := range []string{"worker", "bridge", "reader", "operator"} {
		for _, command := range [][]string{{"flushall"}, {"keys", "*"}, {"config", "set", "maxmemory", "1"}, {"get", "others:key"}, {"shutdown"}, {"acl", "list"}} {
			if out := e.redisCLI(user, command...); !strings.Contains(out, "NOPERM") {
				t.Errorf("%s may %v: %s", user, command, out)
			}
		}
	}
	if out := e.redisCLI("reader", "set", "refund:x", "1"); !strings.Contains(out, "NOPERM") {
		t.Errorf("the reader may write: %s", out)
	}
}

// redisCLI runs a command as a user.
func (e *estate) redisCLI(user string, command ...string) string {
	args := append([]string{"-p", fmt.Sprint(e.ports[0]), "--tls", "--cacert", e.file("ca.crt"), "--cert", e.file("worker.crt"), "--key", e.file("worker.key"),
		"--user", user, "--no-auth-warning", "-a", secretOf + user}, command...)
	out, _ := exec.CommandContext(within(e.t, 10*time.Second), "redis-cli", args...).CombinedOutput()
	return string(out)
}

// rotate gives worker and bridge new passwords at Kafka and Redis, tells them by
// SIGHUP, and breaks all their connections: they go on.
func (e *estate) rotate(subscriber *kafka.Client) {
	t := e.t
	t.Helper()
	request := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for _, principal := range []string{"worker", "bridge"} {
		password := "a new secret of " + principal
		salted, err := pbkdf2.Key(sha512.New, password, []byte("salt of "+principal), 4096, sha512.Size)
		must(t, err)
		one := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		one.Name, one.Mechanism, one.Iterations, one.Salt, one.SaltedPassword = principal, 2, 4096, []byte("salt of "+principal), salted
		request.Upsertions = append(request.Upsertions, one)
		if out := e.redisCLI("admin", "acl", "setuser", principal, "resetpass", ">"+password); !strings.HasPrefix(out, "OK") {
			t.Fatalf("redis: %s", out)
		}
		must(t, os.WriteFile(e.file(principal+".secret"), []byte(password+"\n"), 0o600))
	}
	admin, err := kgo.NewClient(kgo.SeedBrokers(e.cluster.Inside...))
	must(t, err)
	defer admin.Close()
	answer, err := request.RequestWith(within(t, 20*time.Second), admin)
	must(t, err)
	for _, r := range answer.Results {
		if r.ErrorCode != 0 {
			t.Fatalf("changing the password of %s: %d", r.User, r.ErrorCode)
		}
	}
	for _, hangups := range e.hangups {
		hangups <- syscall.SIGHUP
	}
	const taken = `"changed":["kafka.sasl.password","redis.password"]`
	eventuallyIs(t, "the new passwords to be taken", func() bool { return strings.Count(e.log.String(), taken) == 2 })
	for _, principal := range []string{"worker", "bridge"} {
		e.redisCLI("admin", "client", "kill", "user", principal)
	}
	e.cluster.Nodes[0].Kill()
	must(t, e.cluster.Nodes[0].Start())
	must(t, e.cluster.AwaitBroker(0))
	e.publish("R5", `,"flow":"apply"`) // worker and bridge have their part in it
	eventuallyIs(t, "a refund after the change", func() bool { return e.statuses(subscriber)["shop/R5"] == "SUCCEEDED" })
}
