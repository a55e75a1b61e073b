package telemetry

import (
	"maps"
	"slices"
	"strings"

	"github.com/refundworker/refundworker/internal/refund"
)

type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// label of a metric. Its values are listed here, or they are names of the
// configuration, as from says.
type label struct {
	name   string
	values []string
	from   string
}

// family is one metric: what is registered, and what docs/metrics.md says of it.
type family struct {
	name    string
	kind    kind
	help    string
	by      []Process // empty: every one
	labels  []label
	occurs  func(values []string) bool // nil: every combination of the labels' values does
	buckets []float64
}

// Process is a daemon of this system.
type Process string

// The processes.
const (
	Worker Process = "worker"
	Bridge Process = "notify-bridge"
)

func (f family) madeBy(p Process) bool { return len(f.by) == 0 || slices.Contains(f.by, p) }

// other stands for a value that is not in its set: a defect, but no new series.
const other = "other"

func set[T ~string](name string, values ...T) label {
	l := label{name: name}
	for _, v := range values {
		l.values = append(l.values, string(v))
	}
	return l
}

var (
	providerLabel  = label{name: "provider", from: "a provider of the configuration"}
	merchantLabel  = label{name: "merchant", from: "a merchant of the configuration"}
	topicLabel     = label{name: "topic", from: "the requests topic or a delay topic"}
	partitionLabel = label{name: "partition", from: "a number"}
	delayLabel     = label{name: "delay", from: "a duration of `worker.delays`"}

	statusLabel = set("status", refund.StatusWaiting, refund.StatusPending, refund.StatusUnknown, refund.StatusReview,
		refund.StatusSucceeded, refund.StatusFailed, refund.StatusRejected)
	sourceLabel  = set("source", refund.FromWorker, refund.FromCallback, refund.FromQuery, refund.FromOperator)
	kindLabel    = set("kind", "refund", "query")
	classLabel   = set("class", refund.Pending, refund.Succeeded, refund.Declined, refund.NotSent, refund.Unknown, refund.Misconfigured, refund.NotFound)
	verdictLabel = set("verdict", "done", "later", "dead", "again", "soon", "abandoned", "panic")
	reasonLabel  = set("reason", refund.ReasonUndecodable, refund.ReasonInvalid, refund.ReasonUnknownMerchant, refund.ReasonConflict,
		refund.ReasonOrderConflict, refund.ReasonInternal)
	causeLabel   = set("cause", refund.CauseRetry, refund.CauseParked, refund.CauseFollowUp)
	waitLabel    = set("cause", WaitsForWork, WaitsForGateway, WaitsForLimit, WaitsForHold)
	breakerLabel = set("state", "closed", "half-open", "open")
	holderLabel  = set("by", "operator", "itself")
	partLabel    = set("part", "kafka", "redis")
	clockLabel   = set("clock", ClockOfKafka, ClockOfRedis, ClockOfGateway)
	stepLabel    = set("step", "start", "claim", "resend", "record", "published", "load", "look", "publish", "follow-up", "holds",
		"join", "fetch", "commit", "write", "measure")
	rebuildLabel = set("result", "rebuilt", "new", "failed")
	reloadLabel  = set("result", "applied", "unchanged", "refused")
	codeLabel    = set("code", "200", "400", "401", "404", "405", "408", "413", "429", "500", "503")
	outcomeLabel = set("outcome", slices.Concat([]string{"changed", "repeated", "mismatched"}, refusals,
		[]string{"unavailable", "no_merchant", "wrong_method", "unread", "too_large", "too_many", "panicked"})...)
	answerLabel = set("answer", slices.Sorted(maps.Values(answers))...)
)

// answers of the store to a claim or a resend.
var answers = map[refund.ClaimAnswer]string{
	refund.Yours: "yours", refund.InDoubt: "in_doubt", refund.Running: "running", refund.NotNow: "not_now", refund.Finished: "finished",
	refund.ChainEnded: "chain_ended", refund.Unmatched: "unmatched", refund.Conflict: "conflict", refund.OrderConflict: "order_conflict",
	refund.OverTotal: "over_total", refund.TooMany: "too_many", refund.NotYours: "not_yours", refund.Missing: "missing",
}

// one is the value as a label, or other.
func (l label) one(value string) string {
	if l.values == nil || slices.Contains(l.values, value) {
		return value
	}
	return other
}

// fits is one for several labels.
func (f family) fits(values []string) []string {
	for i, l := range f.labels {
		values[i] = l.one(values[i])
	}
	return values
}

// refusals are the callbacks that do not count, answered by 401, or by 400 where
// the sender has proved to be the gateway.
var refusals = []string{string(refund.CallbackMalformed), string(refund.CallbackUnsigned), string(refund.CallbackForged),
	string(refund.CallbackForeign), string(refund.CallbackNoRefund)}

// callbackCodes are the answers of the other outcomes.
var callbackCodes = map[string]string{
	"changed": "200", "repeated": "200", "mismatched": "200", "unavailable": "503", "no_merchant": "404", "wrong_method": "405",
	"unread": "408", "too_large": "413", "too_many": "429", "panicked": "500",
}

// callbackOccurs says whether an outcome is answered with this code.
func callbackOccurs(values []string) bool {
	code, outcome := values[1], values[2]
	if slices.Contains(refusals, outcome) {
		return code == "400" || code == "401"
	}
	return callbackCodes[outcome] == code
}

// most series that are made before anything happened.
const most = 200

// closed are all combinations of the labels' values, where they are known (of
// labels from the configuration by name) and few: such series begin at 0, so that
// a first increase is seen.
func (f family) closed(known map[string][]string) [][]string {
	all := [][]string{nil}
	for _, l := range f.labels {
		values := l.values
		if l.from != "" {
			values = known[l.name]
		}
		var longer [][]string
		for _, begun := range all {
			for _, v := range values {
				longer = append(longer, append(slices.Clone(begun), v))
			}
		}
		all = longer
	}
	if f.occurs != nil {
		all = slices.DeleteFunc(all, func(values []string) bool { return !f.occurs(values) })
	}
	if len(all) > most || len(f.labels) == 0 {
		return nil
	}
	return all
}

func (f family) names() []string {
	names := make([]string, len(f.labels))
	for i, l := range f.labels {
		names[i] = l.name
	}
	return names
}

// words tell a person what a label's values are.
func (l label) words() string {
	if l.from != "" {
		return l.from
	}
	return strings.Join(l.values, ", ")
}
