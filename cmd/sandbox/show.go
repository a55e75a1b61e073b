package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/consumer"
	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/kafka"
)

// why says in a few words what is behind an event.
func why(s events.Status, again bool) string {
	var parts []string
	if again {
		parts = append(parts, "again, same id")
	}
	if s.Correction {
		parts = append(parts, "correction")
	}
	if !s.Matched {
		parts = append(parts, "never requested here")
	}
	if s.ProviderStatus != "" {
		parts = append(parts, s.ProviderStatus)
	}
	switch {
	case s.Code == s.ProviderStatus && s.Message == "":
	case s.Code != "" && s.Message != "":
		parts = append(parts, s.Code+": "+s.Message)
	case s.Code+s.Message != "":
		parts = append(parts, s.Code+s.Message)
	}
	if len(parts) == 0 {
		parts = append(parts, fmt.Sprintf("call %d is announced", s.Attempt))
	}
	if s.OrderFullyRefunded {
		parts = append(parts, "order fully refunded")
	}
	return strings.Join(parts, "; ")
}

// line is one status event for people: time, merchant, refund_no, status, source,
// why.
func line(s events.Status, again bool) string {
	return fmt.Sprintf("   %s  %-8s  %-20s  %-9s  %-8s  %s",
		s.RecordedAt.Local().Format("15:04:05.000"), s.Merchant, s.RefundNo, s.Status, s.Source, why(s, again))
}

// deadLine is one dead letter for people.
func deadLine(d consumer.DeadLetter, r kafka.Record) string {
	return fmt.Sprintf("   %s  %-8s  %-20s  %-9s  %-8s  %s; %d bytes: %s",
		r.Time.Local().Format("15:04:05.000"), "-", "-", "DEAD", "-", d.Error, len(r.Value), clip(string(r.Value)))
}

func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// columns is the line above all events.
func columns() string {
	return fmt.Sprintf("   %-12s  %-8s  %-20s  %-9s  %-8s  %s", "time", "merchant", "refund_no", "status", "source", "why")
}

// seconds is a duration for people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
