package api_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/sandbox"
)

// A running system: what it writes to each topic is as the schemas say, what earlier
// versions left on delay topics is taken, and its HTTP answers are the documented
// ones.
func TestOnARunningSystem(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: no system is started")
	}
	s := sandbox.Start(t)
	cfg, err := app.Load(s.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kafka.Open(kafka.Config{Brokers: cfg.Kafka.Brokers})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	publishOfEveryKind(t, s)
	leaveDelayed(ctx, t, s, client, cfg.Kafka.Topics.DelayPrefix+"1s")
	for _, no := range []string{"R1", "R2", "R3"} {
		s.Await(sandbox.EftPay, no)
	}
	s.Await(sandbox.BluePay, "B1")
	s.AwaitDeadLetter(6)

	t.Run("topics", func(t *testing.T) {
		topicsAreAsTheSchemasSay(ctx, t, client, s, cfg.Worker.Delays, cfg.Kafka.Topics.DelayPrefix)
	})
	t.Run("http", func(t *testing.T) { answersAreDocumented(t, s, cfg.Worker.Admin, cfg.Bridge.Admin) })
	s.Audit()
}

func publishOfEveryKind(t *testing.T, s *sandbox.Sandbox) {
	request := func(no, amount, total string) string {
		return strings.NewReplacer("201901010011", no, "0.01", amount, "10.01", total).Replace(contractRequest)
	}
	s.Behave(sandbox.EftPay, "R2", "decline")
	s.Behave(sandbox.EftPay, "R3", "timeout_after") // asked about: leaves a follow-up
	s.Publish(request("R1", "0.01", "10.01"))
	s.Publish(request("R2", "0.02", "10.01"))
	s.Publish(request("R3", "0.03", "10.01"))
	s.Publish(`{"refund_no":"B1","merchant":"` + sandbox.BluePay + `","transaction_id":"T1","amount":"20","order_amount":"100","currency":"THB"}`)
	s.Await(sandbox.EftPay, "R1")
	for _, wrong := range []string{
		"refund_no=R1", request("", "0.01", "10.01"), strings.Replace(request("U1", "0.01", "10.01"), "S0003469", "nobody", 1),
		request("R1", "0.05", "10.01"), request("O1", "0.01", "99.00"), `{"refund_no":"R9","refund_no":"R9"}`,
	} {
		s.Publish(wrong)
	}
}

// leaveDelayed puts the corpus of delay topics there, due since long: the system
// must take it as the version that wrote it would have.
func leaveDelayed(ctx context.Context, t *testing.T, s *sandbox.Sandbox, client *kafka.Client, topic string) {
	t.Helper()
	producer := client.Producer()
	defer producer.Close()
	leave := func(m message) {
		err := producer.Write(ctx, kafka.Record{Topic: topic, Key: []byte("one partition, so one after another"), Value: m.value(t),
			Headers: events.As[kafka.Header](m.headers(t)), Time: time.Now().Add(-time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
	}
	var followUps []message
	corpus(t, "delays", func(t *testing.T, name string, m message) {
		switch {
		case strings.HasPrefix(name, "newer"): // it would hold up its partition for ever, as it should
		case strings.HasPrefix(name, "follow-up"):
			followUps = append(followUps, m)
		default:
			leave(m)
		}
	})
	s.Await(sandbox.EftPay, "delayed-1")
	s.Await(sandbox.EftPay, "delayed-2")
	for _, m := range followUps { // of a refund that is known by now
		leave(m)
	}
	last := strings.Replace(contractRequest, "201901010011", "delayed-3", 1) // of the same order: after them
	leave(message{Headers: []string{"refund-v: 1", "refund-cause: retry", "refund-follow-up: 0", "refund-first-seen: 2026-11-22T09:29:58Z"}, Value: last})
	s.Await(sandbox.EftPay, "delayed-3")
	for _, no := range []string{"delayed-1", "delayed-2", "delayed-3"} { // for the audit: somebody requested them
		s.Publish(strings.Replace(contractRequest, "201901010011", no, 1))
	}
}

func topicsAreAsTheSchemasSay(ctx context.Context, t *testing.T, client *kafka.Client, s *sandbox.Sandbox, delays []time.Duration, prefix string) {
	status, headers, bare := strict(t, "status"), strict(t, "status-headers"), compile(t, "request")
	letters, delayed := strict(t, "dead-letter-headers"), strict(t, "delay-headers")
	of := func(r kafka.Record, prefixes ...string) any {
		return headerObject(events.As[events.Header](slices.DeleteFunc(slices.Clone(r.Headers), func(h kafka.Header) bool {
			return !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(h.Key, p) })
		})))
	}
	count := map[string]int{}
	scan := func(topic string, each func(kafka.Record)) {
		_, err := client.Scan(ctx, topic, kafka.FromFirst(), func(r kafka.Record) error {
			count[topic]++
			each(r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	scan(s.StatusTopic, func(r kafka.Record) {
		event := object(t, r.Value)
		fits(t, status, any(event), "status event %s", r.Key)
		fits(t, headers, headerObject(events.As[events.Header](r.Headers)), "headers of %s", r.Key)
		if want := event["merchant"].(string) + "/" + event["refund_no"].(string); string(r.Key) != want {
			t.Errorf("key %s of %s", r.Key, want)
		}
	})
	reasons := map[consumer.Reason]bool{}
	scan(s.DeadLetterTopic, func(r kafka.Record) {
		fits(t, letters, of(r, "dlq-"), "dead letter %s", r.Value)
		reasons[consumer.ReadDeadLetter(r.Headers).Reason] = true
		if _, err := events.DecodeRequest(r.Value, events.As[events.Header](r.Headers)); (err == nil) != (bare.Validate(jsonOr(r.Value)) == nil) {
			t.Errorf("dead letter %s: decoder and schema disagree: %v", r.Value, err)
		}
	})
	if len(reasons) != 5 {
		t.Errorf("dead letters of %v, want all reasons but internal", reasons)
	}
	for _, d := range delays {
		scan(prefix+consumer.DelayName(d), func(r kafka.Record) {
			fits(t, delayed, of(r, "refund-"), "message on %s", r.Topic)
		})
	}
	if count[s.StatusTopic] < 12 || count[prefix+"1s"] < 6 || count[prefix+"2s"] < 1 {
		t.Errorf("too little was looked at: %v", count)
	}
}

// jsonOr is the value of JSON, or nil where it is none.
func jsonOr(text []byte) any {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	return v
}

// answersAreDocumented asks for each answer that can be had from outside.
func answersAreDocumented(t *testing.T, s *sandbox.Sandbox, worker, bridge string) {
	doc := readYAML(t, "openapi.yaml")
	for name, one := range map[string]struct {
		method, url, body, path string
		want                    int
	}{
		"forged":           {"POST", s.CallbackURL + sandbox.EftPay, `{"sign":"x"}`, "/v1/callbacks/{merchant}", 401},
		"no merchant":      {"POST", s.CallbackURL + "nobody", `{}`, "/v1/callbacks/{merchant}", 404},
		"not POST":         {"GET", s.CallbackURL + sandbox.EftPay, "", "/v1/callbacks/{merchant}", 405},
		"too large":        {"POST", s.CallbackURL + sandbox.EftPay, strings.Repeat("x", 70<<10), "/v1/callbacks/{merchant}", 413},
		"worker lives":     {"GET", "http://" + worker + "/healthz", "", "/healthz", 200},
		"worker is ready":  {"GET", "http://" + worker + "/readyz", "", "/readyz", 200},
		"bridge is ready":  {"GET", "http://" + bridge + "/readyz", "", "/readyz", 200},
		"metrics":          {"GET", "http://" + bridge + "/metrics", "", "/metrics", 200},
		"nothing to write": {"POST", "http://" + worker + "/readyz", "", "/readyz", 405},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), one.method, one.url, strings.NewReader(one.body))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != one.want {
				t.Errorf("%s, want %d", answer.Status, one.want)
			}
			doc.checkAnswer(t, one.path, strings.ToLower(one.method), answer, body)
		})
	}
}
