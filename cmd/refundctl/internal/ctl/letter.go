package ctl

import (
	"strings"
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

// refund is the letter's refund for people; empty where its bytes tell none.
func (l *letter) refund() string {
	switch {
	case l.RefundNo == "":
		return l.Merchant
	case l.Merchant == "":
		return l.RefundNo
	}
	return l.RefundNo + " of " + l.Merchant
}

// words is the error with the reason before it, which some errors begin with.
func (l *letter) words() string {
	if strings.HasPrefix(l.Error, l.Reason) {
		return l.Error
	}
	return l.Reason + ": " + l.Error
}

func parseStamp(s string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, s) // zero where it cannot be read
	return t
}
