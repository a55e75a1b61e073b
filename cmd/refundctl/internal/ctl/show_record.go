package ctl

import (
	"encoding/json"
	"time"

	"github.com/refundworker/refundworker/internal/events"
	"github.com/refundworker/refundworker/internal/refund"
)

// record is what Redis has of a refund.
type record struct {
	Status    string    `json:"status"`
	Sequence  int64     `json:"sequence"`
	Published int64     `json:"published"` // highest sequence known to be on the status topic
	Attempt   int       `json:"attempt"`
	Order     string    `json:"order"`
	Holds     string    `json:"holds"` // reserved, succeeded or nothing of its order's total
	Accepted  bool      `json:"accepted"`
	Doubt     bool      `json:"doubt"`
	LeaseEnd  time.Time `json:"lease_end,omitzero"`
	CallEnd   time.Time `json:"call_end,omitzero"`
	FollowUp  int       `json:"follow_up"`
	Place     string    `json:"follow_up_place,omitempty"`
	FirstSeen time.Time `json:"first_seen,omitzero"`
	Epoch     int64     `json:"epoch"`

	rec refund.Record
}

func recordOf(rec refund.Record) *record {
	return &record{
		Status: string(rec.Last.Status), Sequence: rec.Last.Sequence, Published: rec.Published, Attempt: rec.Attempt, Order: rec.Order,
		Holds:    map[refund.Holding]string{refund.HoldsReserved: "reserved", refund.HoldsSucceeded: "succeeded"}[rec.Holding],
		Accepted: rec.Accepted, Doubt: rec.Doubt, LeaseEnd: rec.LeaseEnd, CallEnd: rec.CallEnd, FollowUp: rec.FollowUp, Place: rec.Place,
		FirstSeen: rec.FirstSeen, Epoch: rec.Epoch, rec: rec,
	}
}

// running says that somebody's lease runs: a call or a query may be under way.
func (r *record) running() bool { return r.rec.LeaseEnd.After(r.rec.StoreTime) }

// event is one record of the status topic.
type event struct {
	Place   string
	Written time.Time
	Again   bool // the same id was there before
	Problem string
	status  events.Status
}

// MarshalJSON implements json.Marshaler.
func (e event) MarshalJSON() ([]byte, error) {
	st := e.status
	return json.Marshal(struct {
		Sequence         int64     `json:"sequence"`
		Status           string    `json:"status"`
		Final            bool      `json:"final"`
		Source           string    `json:"source"`
		Matched          bool      `json:"matched"`
		Correction       bool      `json:"correction"`
		Attempt          int       `json:"attempt"`
		ProviderStatus   string    `json:"provider_status,omitempty"`
		ProviderRefundID string    `json:"provider_refund_id,omitempty"`
		Code             string    `json:"code,omitempty"`
		Message          string    `json:"message,omitempty"`
		OccurredAt       time.Time `json:"occurred_at"`
		RecordedAt       time.Time `json:"recorded_at"`
		Written          time.Time `json:"written"`
		Place            string    `json:"place"`
		Again            bool      `json:"again,omitempty"`
		Problem          string    `json:"problem,omitempty"`
	}{st.Sequence, string(st.Status), st.Final, string(st.Source), st.Matched, st.Correction, st.Attempt, st.ProviderStatus, st.ProviderRefundID,
		st.Code, st.Message, st.OccurredAt, st.RecordedAt, e.Written, e.Place, e.Again, e.Problem})
}

// last is the event that counts: of the highest sequence. False where there is
// none that can be read.
func last(timeline []event) (events.Status, bool) {
	var newest events.Status
	for _, e := range timeline {
		if e.Problem == "" && e.status.Sequence > newest.Sequence {
			newest = e.status
		}
	}
	return newest, newest.Sequence > 0
}
