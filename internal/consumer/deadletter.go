package consumer

import (
	"strconv"
	"strings"

	"github.com/refundworker/refundworker/internal/kafka"
)

// DeadLetter is what the headers of a dead letter say (DESIGN.md, section 4), for readers of that topic.
type DeadLetter struct {
	Reason   Reason
	Error    string
	Attempts int
	// Where the record that failed lay; with refund-origin, for one that came from a delay topic, the first record.
	Topic     string
	Partition int
	Offset    int64
}

// ReadDeadLetter reads them; what is missing or not readable stays empty.
func ReadDeadLetter(headers []kafka.Header) DeadLetter {
	var d DeadLetter
	var origin string
	delayed := false // only the consumer writes it; the header alone may be a publisher's
	for _, h := range headers {
		value := string(h.Value)
		switch h.Key {
		case dlqReason:
			d.Reason = Reason(value)
		case dlqError:
			d.Error = value
		case dlqAttempts:
			d.Attempts, _ = strconv.Atoi(value)
		case dlqTopic:
			d.Topic = value
		case dlqPartition:
			d.Partition, _ = strconv.Atoi(value)
		case dlqOffset:
			d.Offset, _ = strconv.ParseInt(value, 10, 64)
		case headerOrigin:
			origin = value
		case headerVersion:
			delayed = true
		}
	}
	if parts := strings.Split(origin, "/"); delayed && len(parts) == 3 && parts[0] != d.Topic {
		partition, err1 := strconv.Atoi(parts[1])
		offset, err2 := strconv.ParseInt(parts[2], 10, 64)
		if err1 == nil && err2 == nil {
			d.Topic, d.Partition, d.Offset = parts[0], partition, offset
		}
	}
	return d
}
