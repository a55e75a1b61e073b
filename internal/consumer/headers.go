package consumer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
)

// The headers of messages on delay topics, and the version of their meaning that this code knows.
const (
	headerVersion   = "refund-v"
	headerCause     = "refund-cause"
	headerFollowUp  = "refund-follow-up"
	headerOrigin    = "refund-origin"
	headerFirstSeen = "refund-first-seen"
	headerPlace     = "refund-place"

	knownVersion = 1
)

var delayHeaderNames = []string{headerVersion, headerCause, headerFollowUp, headerOrigin, headerFirstSeen, headerPlace}

func (c Cause) known() bool { return c == CauseRetry || c == CauseParked || c == CauseFollowUp }

type delayHeaders struct {
	version   int // 0: the header is missing
	cause     Cause
	followUp  int
	origin    string
	firstSeen time.Time
	place     string // see Delivery.Place
	err       error  // of the first header that cannot be read
}

// readDelayHeaders takes the last of headers with the same name, as they are overwritten, never added to.
func readDelayHeaders(from []kafka.Header) (h delayHeaders) {
	note := func(name, value string, err error) {
		if err != nil && h.err == nil {
			h.err = fmt.Errorf("header %s: %q cannot be read", name, value)
		}
	}
	for _, header := range from {
		value := string(header.Value)
		var err error
		switch header.Key {
		case headerVersion:
			h.version, err = strconv.Atoi(value)
			if err == nil && h.version < 1 {
				err = strconv.ErrRange
			}
		case headerCause:
			if h.cause = Cause(value); !h.cause.known() {
				err = strconv.ErrSyntax
			}
		case headerFollowUp:
			h.followUp, err = strconv.Atoi(value)
		case headerOrigin:
			h.origin = value
		case headerPlace:
			h.place = value
		case headerFirstSeen:
			h.firstSeen, err = time.Parse(time.RFC3339Nano, value)
		}
		note(header.Key, value, err)
	}
	return h
}

// replaceIn answers the headers with the delay headers replaced. All others (traceparent, ce_*, dlq-*) stay as they are.
func (h delayHeaders) replaceIn(headers []kafka.Header) []kafka.Header {
	out := without(headers, func(name string) bool { return slices.Contains(delayHeaderNames, name) })
	add := func(name, value string) { out = append(out, kafka.Header{Key: name, Value: []byte(value)}) }
	add(headerVersion, strconv.Itoa(knownVersion))
	add(headerCause, string(h.cause))
	add(headerFollowUp, strconv.Itoa(h.followUp))
	if h.origin != "" {
		add(headerOrigin, h.origin)
	}
	add(headerFirstSeen, h.firstSeen.UTC().Format(time.RFC3339Nano))
	if h.place != "" {
		add(headerPlace, h.place)
	}
	return out
}

// without copies headers but for those whose name is dropped.
func without(headers []kafka.Header, drop func(string) bool) []kafka.Header {
	out := make([]kafka.Header, 0, len(headers)+len(delayHeaderNames))
	for _, h := range headers {
		if !drop(h.Key) {
			out = append(out, h)
		}
	}
	return out
}

// The headers of dead letters (DESIGN.md, section 4).
const (
	dlqReason        = "dlq-reason"
	dlqError         = "dlq-error"
	dlqTopic         = "dlq-topic"
	dlqPartition     = "dlq-partition"
	dlqOffset        = "dlq-offset"
	dlqTimestamp     = "dlq-timestamp"
	dlqAttempts      = "dlq-attempts"
	dlqFirstFailedAt = "dlq-first-failed-at"
	dlqLastFailedAt  = "dlq-last-failed-at"

	longestError = 1000 // bytes of dlq-error: it must not make the record too large
)

var dlqHeaderNames = []string{dlqReason, dlqError, dlqTopic, dlqPartition, dlqOffset, dlqTimestamp, dlqAttempts, dlqFirstFailedAt, dlqLastFailedAt}

// deadLetter is the record for the dead letters: key, value and headers as received, and the dlq headers overwritten.
// dlq-topic, -partition, -offset and -timestamp are the place of the record that failed; where that is a delay topic,
// refund-origin among the headers names the first one.
func deadLetter(topic string, d Delivery, reason Reason, cause error, now time.Time) kafka.Record {
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	attempts, first := 1, stamp(now)
	for _, h := range d.Headers {
		switch value := string(h.Value); h.Key {
		case dlqAttempts:
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				attempts = n + 1
			}
		case dlqFirstFailedAt:
			if _, err := time.Parse(time.RFC3339Nano, value); err == nil {
				first = value
			}
		}
	}
	text := "no error given"
	if cause != nil {
		text = strings.ToValidUTF8(cause.Error(), "?")
	}
	if len(text) > longestError {
		text = strings.ToValidUTF8(text[:longestError], "") + "..."
	}
	headers := without(d.Headers, func(name string) bool { return slices.Contains(dlqHeaderNames, name) })
	for _, h := range [][2]string{
		{dlqReason, string(reason)}, {dlqError, text}, {dlqTopic, d.Topic}, {dlqPartition, strconv.Itoa(d.Partition)},
		{dlqOffset, strconv.FormatInt(d.Offset, 10)}, {dlqTimestamp, stamp(d.Time)}, {dlqAttempts, strconv.Itoa(attempts)},
		{dlqFirstFailedAt, first}, {dlqLastFailedAt, stamp(now)},
	} {
		headers = append(headers, kafka.Header{Key: h[0], Value: []byte(h[1])})
	}
	return kafka.Record{Topic: topic, Key: d.Key, Value: d.Value, Headers: headers}
}
