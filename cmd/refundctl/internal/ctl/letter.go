package ctl

import (
	"time"

	"github.com/refundworker/refundworker/internal/kafka"
	"github.com/refundworker/refundworker/internal/refund"
)

// letter is one record of the dead letters.
type letter struct {
	ID            string    `json:"id"` // partition/offset on the dead-letter topic
	Merchant      string    `json:"merchant,omitempty"`
	RefundNo      string    `json:"refund_no,omitempty"`
	Reason        string    `json:"reason"`
	Error         string    `json:"error"`
	Attempts      int       `json:"attempts"`
	Origin        string    `json:"origin"` // topic/partition/offset where it was first read
	Bytes         int       `json:"bytes"`
	FirstFailedAt time.Time `json:"first_failed_at"`
	LastFailedAt  time.Time `json:"last_failed_at"`
	State         string    `json:"state,omitempty"` // what operators did with it: dlq.go

	record  kafka.Record
	request refund.Request // zero where its bytes tell none
}

func parseStamp(s string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, s) // zero where it cannot be read
	return t
}
