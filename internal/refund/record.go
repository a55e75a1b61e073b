package refund

import "time"

// Status of a refund as subscribers see it (DESIGN.md, section 4).
type Status string

const (
	StatusNone      Status = "" // no event yet
	StatusWaiting   Status = "WAITING"
	StatusPending   Status = "PENDING"
	StatusUnknown   Status = "UNKNOWN"
	StatusReview    Status = "REVIEW"
	StatusSucceeded Status = "SUCCEEDED"
	StatusFailed    Status = "FAILED"
	StatusRejected  Status = "REJECTED"
)

// Final says that no further step is owed: only a correction or an adoption may
// follow.
func (s Status) Final() bool { return s == StatusSucceeded || s == StatusFailed || s == StatusRejected }

// Open says that money may move: called, or about to be.
func (s Status) Open() bool { return s == StatusPending || s == StatusUnknown || s == StatusReview }

// Source says who brought the news behind an event.
type Source string

const (
	FromWorker   Source = "worker"
	FromCallback Source = "callback"
	FromQuery    Source = "query"
	FromOperator Source = "operator"
)

// Holding says what a refund's amount counts as at its order.
type Holding string

const (
	HoldsNothing   Holding = "-"
	HoldsReserved  Holding = "R"
	HoldsSucceeded Holding = "S"
)

// Event is the newest published, or to be published, change of a refund. Its id
// is merchant/refund_no/sequence; the same id always has the same content.
type Event struct {
	Sequence           int64
	Status             Status
	Source             Source
	Matched            bool  // false: known from a verified callback alone
	Correction         bool  // replaces an earlier final status
	OrderFullyRefunded bool  // set by the store: the sum of SUCCEEDED equals order_amount
	Attempt            int   // refund calls sent so far, as of this event
	Epoch              int64 // of the store when the event was made
	ProviderStatus     string
	ProviderRefundID   string
	TransactionID      string // of the payment, where the gateway told it and the request did not
	Code               string
	Message            string
	OccurredAt         time.Time
	RecordedAt         time.Time
}

// Record is all that the store keeps of one refund. A Record with nothing but its
// Request's Key and its Epoch is a refund that the store does not know.
type Record struct {
	Request  Request // as first accepted; Terminal and Reason are dropped once the refund is final
	Last     Event   // the newest event; events are rendered from here
	Provider string  // name of the gateway's package
	Order    string  // what the total belongs to: order_no, or the original transaction

	Version  int64   // compare-and-set; 0: not stored yet
	Epoch    int64   // of the store when it answered
	Attempt  int     // refund calls begun (Last.Attempt is that of the newest event)
	Missed   bool    // a rebuild may have missed an attempt; until the refund is final
	Accepted bool    // the gateway has said of the newest attempt that it has it
	Doubt    bool    // a query is owed first: a disputed final status, or a waiting refund after a rebuild
	Holding  Holding // what its amount counts as at its order

	Token     string    // of the latest holder of the lease, be it for a call or a query
	LeaseEnd  time.Time // by the store's clock
	CallEnd   time.Time // when the newest attempt's call returned, or its lease ended unheard of, by the store's clock; zero: no attempt
	FollowUp  int       // number of the follow-up that was taken last
	Place     string    // where that follow-up's message lies: topic/partition/offset
	FirstSeen time.Time // when the request, or the callback, was first delivered
	Published int64     // highest sequence known to be on the status topic

	StoreTime time.Time // the store's clock when it answered
	Seen      time.Time // our own clock (monotonic) just before the script that answered was sent
}

// Key is the refund's name.
func (r *Record) Key() Key { return r.Request.Key }

// SequenceBlock is how many sequences are set aside after a loss: a refund goes on
// at epoch*SequenceBlock+1 at the least, and behind the block of its newest event,
// since those after it may have been given away, so no id ever gets other content.
const SequenceBlock = 1000

// NextSequence is the sequence of this refund's next event.
func (r *Record) NextSequence() int64 {
	last := r.Last.Sequence
	if r.Last.Epoch < r.Epoch {
		last += SequenceBlock - last%SequenceBlock
	}
	return max(last, r.Epoch*SequenceBlock) + 1
}

// Known says whether the store has this refund.
func (r *Record) Known() bool { return r.Version > 0 }
