package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
)

// The test binary is the command itself where this is set.
const asCommand = "GATEWAY_SIM_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

var urls = regexp.MustCompile(`eftPay at (\S+), BluePay at (\S+), (\S+) has`)

// start runs the command until the test ends; it answers eftPay's, BluePay's
// and the control page's URL.
func start(t *testing.T, args ...string) (eft, blue, control string, stop func() (int, string)) {
	t.Helper()
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, writer)
		writer.Close()
	}()
	lines := bufio.NewReader(reader)
	first, err := lines.ReadString('\n')
	found := urls.FindStringSubmatch(first)
	if err != nil || found == nil {
		cancel()
		t.Fatalf("first line %q: %v", first, err)
	}
	stop = func() (int, string) {
		cancel()
		rest, _ := io.ReadAll(lines)
		return <-code, string(rest)
	}
	t.Cleanup(cancel)
	return found[1], found[2], found[3], stop
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

func TestServesGatewaysAndControl(t *testing.T) {
	eft, blue, control, stop := start(t, "--addr", "127.0.0.1:0", "--eftpay", "S0003469:secret", "--rate", "decline=5,drip=1", "--seed", "9")
	if code, body := post(t, eft+"/Servlet/JSAPIService.do", `{"user_confirm_key":"S0003469"}`); code != 200 || !strings.Contains(body, `"return_status":"-3"`) {
		t.Errorf("eftPay: %d %s", code, body)
	}
	if code, body := post(t, blue+"/open-api/payment/refund", `{}`); code != 200 || !strings.Contains(body, `"code":21002`) {
		t.Errorf("BluePay: %d %s", code, body)
	}
	if code, body := get(t, control+"/control"); code != 200 || !strings.Contains(body, `"decline": 5`) || !strings.Contains(body, `"seed": 9`) {
		t.Errorf("control: %d %s", code, body)
	}
	if code, body := post(t, control+"/control", `{"scripts":{"R1":{"calls":[{"answer":"hang"}]}}}`); code != 200 {
		t.Errorf("control: %d %s", code, body)
	}
	if code, body := get(t, control+"/refusals"); code != 200 || strings.Count(body, "\n") != 2 {
		t.Errorf("refusals: %d %s, want the two calls above", code, body)
	}
	if code, body := get(t, control+"/ledger"); code != 200 || body != "" {
		t.Errorf("ledger: %d %s, want it empty", code, body)
	}
	if code := run(t.Context(), []string{"healthcheck", control + "/healthz"}, io.Discard); code != 0 {
		t.Errorf("healthcheck of a healthy one: exit %d", code)
	}
	if code := run(t.Context(), []string{"healthcheck", control + "/nothing"}, io.Discard); code == 0 {
		t.Error("healthcheck of a 404: exit 0")
	}
	if code, rest := stop(); code != 0 || !strings.Contains(rest, "0 movements") {
		t.Errorf("exit %d: %s", code, rest)
	}
	if code := run(t.Context(), []string{"healthcheck", control + "/healthz"}, io.Discard); code == 0 {
		t.Error("healthcheck of an ended one: exit 0")
	}
}

func TestAdminHasItsOwnListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, blue, control, stop := start(t, "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--eftpay", "S1:secret")
	if code, _ := get(t, control+"/healthz"); code != 200 {
		t.Errorf("control page: %d", code)
	}
	if code, _ := get(t, blue+"/healthz"); code != 404 {
		t.Errorf("control page at the gateways' address: %d, want 404", code)
	}
	if code, body := post(t, control+"/control", `{"refuse_for": "1h"}`); code != 200 {
		t.Errorf("refuse: %d %s", code, body)
	}
	if _, body := get(t, control+"/control"); !strings.Contains(body, `"refusing": true`) {
		t.Errorf("control page while the gateways refuse: %s", body)
	}
	if code, _ := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	// An address that is taken ends the command, and says why.
	var log bytes.Buffer
	if code := run(t.Context(), []string{"--addr", "127.0.0.1:0", "--admin", l.Addr().String(), "--eftpay", "S1:secret"}, &log); code == 0 || !strings.Contains(log.String(), "control page") {
		t.Errorf("admin address taken: exit %d, %s", code, log.String())
	}
	log.Reset()
	if code := run(t.Context(), []string{"--addr", l.Addr().String(), "--eftpay", "S1:secret"}, &log); code == 0 || !strings.Contains(log.String(), "listen") {
		t.Errorf("address taken: exit %d, %s", code, log.String())
	}
	l.Close()
}

func TestConfigFileAndKeys(t *testing.T) {
	dir := t.TempDir()
	if code := run(t.Context(), []string{"keys", dir}, io.Discard); code != 0 {
		t.Fatalf("keys: exit %d", code)
	}
	before, err := os.ReadFile(filepath.Join(dir, "merchant.pem"))
	if err != nil {
		t.Fatal(err)
	}
	code := run(t.Context(), []string{"keys", dir}, io.Discard)
	after, err := os.ReadFile(filepath.Join(dir, "merchant.pem"))
	if code != 0 || err != nil || !bytes.Equal(before, after) {
		t.Errorf("a second run: exit %d, %v; keys that are there must be kept", code, err)
	}
	config := filepath.Join(dir, "sim.json")
	text := `{"addr": "127.0.0.1:0", "prefix": "/gw/VMP", "delay": "1ms", "magic_amounts": true,
		"eftpay": [{"user_confirm_key": "S0003469", "secret": "x", "shape": "jsapi"}],
		"bluepay": [{"app_id": "app1", "merchant_public_key_file": "merchant.pub.pem", "gateway_private_key_file": "gateway.pem"}],
		"generator": {"seed": 4, "rates": {"decline": 10}},
		"scripts": {"R1": {"calls": [{"code": "51"}]}}}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	eft, _, control, stop := start(t, "--config", config, "--bluepay",
		"app2:"+filepath.Join(dir, "merchant.pub.pem")+":"+filepath.Join(dir, "gateway.pem"), "--seed", "5")
	if !strings.HasSuffix(eft, "/gw/VMP") {
		t.Errorf("eftPay at %s, want the prefix of the file", eft)
	}
	_, body := get(t, control+"/control")
	var view struct {
		Scripts   map[string]gatewaysim.Script
		Generator gatewaysim.Generator
	}
	if err := json.Unmarshal([]byte(body), &view); err != nil || view.Scripts["R1"].Calls[0].Code != "51" || view.Generator.Seed != 5 || view.Generator.Rates["decline"] != 10 {
		t.Errorf("control %s: %v", body, err)
	}
	if code, _ := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"adress": ":1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"no merchant":                 nil,
		"adress":                      {"--config", bad},
		"no such file":                {"--config", filepath.Join(dir, "none")},
		"USER_CONFIRM_KEY:SECRET":     {"--eftpay", "x"},
		"APP_ID:MERCHANT_PUBLIC":      {"--bluepay", "x"},
		`bluepay merchant "a"`:        {"--bluepay", "a:none:none"},
		"no behaviour":                {"--eftpay", "S1:x", "--rate", "nothing=1"},
		"1 to 12":                     {"--eftpay", ":x"},
		"unknown flag":                {"--verbose"},
		"accepts 1 arg":               {"keys"},
		"unsupported protocol scheme": {"healthcheck", "nowhere"},
	} {
		var log bytes.Buffer
		if code := run(t.Context(), args, &log); code != 1 || !strings.Contains(log.String(), want) {
			t.Errorf("%v: exit %d, %q, want %q", args, code, log.String(), want)
		}
	}
}

// SIGTERM ends the process cleanly, a call that hangs notwithstanding.
func TestSIGTERM(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "--addr", "127.0.0.1:0", "--eftpay", "S1:secret")
	cmd.Env = append(os.Environ(), asCommand+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	found := urls.FindStringSubmatch(first)
	if err != nil || found == nil {
		t.Fatalf("first line %q: %v", first, err)
	}
	inside := make(chan struct{})
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { close(inside) }))
	defer desk.Close()
	script := `{"scripts":{"R1":{"calls":[{"result":"succeed","answer":"hang"}],"notifications":[{"before_answer":true,"once":true,"url":"` + desk.URL + `"}]}}}`
	if code, body := post(t, found[3]+"/control", script); code != 200 {
		t.Fatalf("control: %d %s", code, body)
	}
	hung := make(chan error, 1)
	go func() {
		response, err := http.Post(found[1]+"/Servlet/JSAPIService.do", "application/json", strings.NewReader(signedRefund("R1")))
		if err == nil {
			response.Body.Close()
		}
		hung <- err
	}()
	<-inside
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil || !strings.Contains(string(rest), "ended with 1 movements") {
		t.Errorf("after SIGTERM: %v, %s", err, rest)
	}
	if err := <-hung; err == nil {
		t.Error("the hanging call was answered")
	}
}

// signedRefund is a refund of merchant S1, signed with "secret".
func signedRefund(no string) string {
	fields := map[string]string{"service": "service.wechat.jsapi.Refund", "user_confirm_key": "S1", "transaction_amount": "1",
		"out_trade_no": "o1", "paytype": "WeChat", "payment_type": "WECHATCN", "refund_no": no, "total_fee": "1",
		"time": time.Now().In(time.FixedZone("", 8*3600)).Format("20060102150405")}
	var pairs []string
	for k, v := range fields {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	fields["sign"] = fmt.Sprintf("%x", sha256.Sum256([]byte("secret"+strings.Join(pairs, "&"))))
	body, _ := json.Marshal(fields)
	return string(body)
}
