package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// setUp sets kafka-go up for this package, once. It hands over the batches of a fetch response as the broker sent them:
// kafka-go's own decoder drops what exact reading needs, the last offset of a batch (so a batch emptied by compaction
// cannot be stepped over), and it unpacks what is filtered out. And it writes lz4 in small blocks. Everything else
// (connections, versions, routing to leaders) stays kafka-go's.
var setUp = sync.OnceFunc(func() {
	protocol.Register(&fetch.Request{}, &fetchResponse{})
	compress.Codecs[compress.Lz4] = frugalLz4{compress.Codecs[compress.Lz4]}
})

// fetchResponse is the answer to a Fetch request, versions 0 to 11 (kafka.apache.org/protocol, Fetch API).
type fetchResponse struct {
	ThrottleTimeMs int32        `kafka:"min=v1,max=v11"`
	ErrorCode      int16        `kafka:"min=v7,max=v11"`
	SessionID      int32        `kafka:"min=v7,max=v11"`
	Topics         []fetchTopic `kafka:"min=v0,max=v11"`
}

// ApiKey makes it a message of kafka-go's protocol.
func (*fetchResponse) ApiKey() protocol.ApiKey { return protocol.Fetch }

type fetchTopic struct {
	Topic      string           `kafka:"min=v0,max=v11"`
	Partitions []fetchPartition `kafka:"min=v0,max=v11"`
}

type fetchPartition struct {
	Partition            int32                `kafka:"min=v0,max=v11"`
	ErrorCode            int16                `kafka:"min=v0,max=v11"`
	HighWatermark        int64                `kafka:"min=v0,max=v11"`
	LastStableOffset     int64                `kafka:"min=v4,max=v11"`
	LogStartOffset       int64                `kafka:"min=v5,max=v11"`
	AbortedTransactions  []abortedTransaction `kafka:"min=v4,max=v11"`
	PreferredReadReplica int32                `kafka:"min=v11,max=v11"`
	Batches              rawBatches           `kafka:"min=v0,max=v11"`
}

type abortedTransaction struct {
	ProducerID  int64 `kafka:"min=v4,max=v11"`
	FirstOffset int64 `kafka:"min=v4,max=v11"`
}

// rawBatches holds record batches as they came. kafka-go decodes it through ReadFrom.
type rawBatches struct{ bytes []byte }

// ReadFrom reads a length and that many bytes.
func (r *rawBatches) ReadFrom(from io.Reader) (int64, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, err
	}
	size := int32(binary.BigEndian.Uint32(head[:]))
	switch {
	case size <= 0: // null or empty
		return 4, nil
	case size > maxResponse:
		return 4, fmt.Errorf("kafka: a fetch response of %d bytes is larger than %d", size, maxResponse)
	}
	if r.bytes = buffer(); cap(r.bytes) < int(size) {
		r.bytes = make([]byte, size)
	}
	r.bytes = r.bytes[:size]
	n, err := io.ReadFull(from, r.bytes)
	return int64(4 + n), err
}

// maxResponse bounds what one answer may make us allocate. A broker sends at least one whole batch, however small the
// limit that was asked for, so it must be larger than any max.message.bytes in use.
const maxResponse = 256 << 20
