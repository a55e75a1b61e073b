package explorer

import (
	"time"

	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/statuslog"
)

// defect is one rule of the protocol left out, by a wrapper around a port or a variant of the model. The zero defect is
// the system as it is.
type defect struct {
	name      string
	claims    func(*process, refund.Claims) refund.Claims
	records   func(*process, refund.Records) refund.Records
	publisher func(*process, refund.Publisher) refund.Publisher
	index     func(*process, statuslog.Index) statuslog.Index
	account   func(*refund.Account)
	handler   func(*refund.Handler)
	verdict   func(*delivery, refund.Verdict) refund.Verdict
	quiet     *time.Duration
	fresh     time.Duration

	leaderAlone bool          // an event counts as published once the leader has it
	forgetful   bool          // the status topic is compacted at once
	deaf        bool          // nobody asks for a sign of life of his generation
	polled      time.Duration // so long after a failover its server is found to be another one
}

// scratch is what defects remember of a world.
type scratch struct {
	marked map[refund.Key]string // the token that was first, or that survived
	opened map[string]time.Time  // when a merchant's last rebuild ended
	chains map[refund.Key]int    // the follow-up that goes on
}

func (d *defect) ofClaims(p *process, c refund.Claims) refund.Claims {
	if d.claims != nil {
		return d.claims(p, c)
	}
	return c
}

func (d *defect) ofRecords(p *process, r refund.Records) refund.Records {
	if d.records != nil {
		return d.records(p, r)
	}
	return r
}

func (d *defect) ofPublisher(p *process, pub refund.Publisher) refund.Publisher {
	if d.publisher != nil {
		return d.publisher(p, pub)
	}
	return pub
}

func (d *defect) ofIndex(p *process, i statuslog.Index) statuslog.Index {
	if d.index != nil {
		return d.index(p, i)
	}
	return i
}
