// Package events is the wire: refund requests and status events as JSON in
// CloudEvents of the Kafka binding, bytes to domain and back. It knows the domain
// and no transport.
//
// It guarantees:
//   - one reading: a request with a duplicate key, with bytes that are no UTF-8,
//     with a field of a wrong type or against its rule is refused as a whole, so
//     no two programs can read two amounts in the same bytes;
//   - what EncodeRequest writes, DecodeRequest reads as the same request;
//   - a status event is a pure function of its record's Request, Last and
//     Provider, and RestoreRecord gives a record that renders to the same bytes
//     again: the same id always has the same content, after a rebuild too;
//   - events of earlier versions still decode (testdata is that corpus).
package events

// The events' types (CloudEvents attribute type).
const (
	TypeRequest = "refund.requested.v1"
	TypeStatus  = "refund.status.v1"
)

// Headers of the CloudEvents Kafka binding, and the trace context that is carried
// from a request to its status events.
const (
	HeaderContentType = "content-type"
	HeaderSpecVersion = "ce_specversion"
	HeaderType        = "ce_type"
	HeaderID          = "ce_id"
	HeaderSource      = "ce_source"
	HeaderSubject     = "ce_subject"
	HeaderTime        = "ce_time"
	HeaderTraceParent = "traceparent"
	HeaderTraceState  = "tracestate"
)

// Headers on status events from which the store is rebuilt.
const (
	HeaderVersion = "refund-v"       // of the headers below: Version
	HeaderEpoch   = "refund-epoch"   // of the store when the event was made
	HeaderContent = "refund-content" // refund.Request.Content
	HeaderRequest = "refund-request" // what a query or a resend needs and the event does not show
)

// Version of the headers that are meant for a rebuild.
const Version = 1

// Header is one header of a Kafka record.
type Header struct {
	Key   string
	Value []byte
}

// likeHeader is a Header of this or another package.
type likeHeader interface {
	~struct {
		Key   string
		Value []byte
	}
}

// As turns headers into those of another package that have the same two fields.
func As[To, From likeHeader](in []From) []To {
	out := make([]To, len(in))
	for i, h := range in {
		out[i] = To(h)
	}
	return out
}

// header is the value of the last header of that name: what is appended to a
// record on its way stands behind what it was published with.
func header(headers []Header, name string) string {
	for i := len(headers) - 1; i >= 0; i-- {
		if headers[i].Key == name {
			return string(headers[i].Value)
		}
	}
	return ""
}
