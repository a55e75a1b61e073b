package kafka

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// Layout of a record batch, format 2 (kafka.apache.org/documentation, Record Batch). Offsets into the batch.
const (
	atLength          = 8  // of what follows it
	atMagic           = 16 // 2
	atCRC             = 17 // Castagnoli, over everything behind it
	atAttributes      = 21
	atLastOffsetDelta = 23
	atFirstTimestamp  = 27
	atMaxTimestamp    = 35
	atProducerID      = 43
	atCount           = 57
	headerSize        = 61

	logAppendTime = 1 << 3 // attribute: the batch's max timestamp is the time of each record
)

// maxUnpacked bounds what one batch may grow to. A batch is at most max.message.bytes long, but packed.
const maxUnpacked = 64 << 20

// usualRatio is how many times its packed size a batch of events mostly has, so that its buffer rarely grows.
const usualRatio = 6

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type batch struct {
	base, next       int64 // next is the offset behind it, exact also when compaction took its last records
	attributes       protocol.Attributes
	first, max       int64 // timestamps in milliseconds
	producer         int64
	count            int32
	records, checked []byte
	crc              uint32
}

var errCut = errors.New("the response ends inside the batch")

// readBatch reads the header of the batch that raw begins with, and returns the rest. errCut is the ordinary end of a
// response that was cut at its limit.
func readBatch(raw []byte) (b batch, rest []byte, err error) {
	if len(raw) < atLength+4 {
		return b, nil, errCut
	}
	length := int64(int32(binary.BigEndian.Uint32(raw[atLength:]))) + atLength + 4
	if length > int64(len(raw)) {
		return b, nil, errCut
	}
	b.base = int64(binary.BigEndian.Uint64(raw))
	if length < headerSize {
		return b, nil, fmt.Errorf("its length is %d", length)
	}
	if magic := raw[atMagic]; magic != 2 {
		return b, nil, fmt.Errorf("its format is %d, this reader knows 2 (Kafka 0.11 and later)", magic)
	}
	delta := int32(binary.BigEndian.Uint32(raw[atLastOffsetDelta:]))
	b.count = int32(binary.BigEndian.Uint32(raw[atCount:]))
	if delta < 0 || b.count < 0 || b.base < 0 {
		return b, nil, fmt.Errorf("its header is damaged (base %d, last offset delta %d, count %d)", b.base, delta, b.count)
	}
	b.next = b.base + int64(delta) + 1
	b.attributes = protocol.Attributes(binary.BigEndian.Uint16(raw[atAttributes:]))
	b.first = int64(binary.BigEndian.Uint64(raw[atFirstTimestamp:]))
	b.max = int64(binary.BigEndian.Uint64(raw[atMaxTimestamp:]))
	b.producer = int64(binary.BigEndian.Uint64(raw[atProducerID:]))
	b.crc = binary.BigEndian.Uint32(raw[atCRC:])
	b.checked, b.records = raw[atAttributes:length], raw[headerSize:length]
	return b, raw[length:], nil
}

// decodeCommitted reads the batches of one partition's response and returns its committed records from offset on, and the
// offset to ask for next. It follows the protocol's rule for read_committed: what lies at or behind the last stable
// offset is not decided yet; a transactional batch of a producer with an aborted transaction is dropped until that
// producer's abort marker; markers are never records.
func decodeCommitted(tp TopicPartition, p *fetchPartition, offset int64) (records []Record, next int64, err error) {
	aborted := slices.Clone(p.AbortedTransactions)
	slices.SortFunc(aborted, func(a, b abortedTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	dropped := map[int64]bool{} // producers within an aborted transaction
	next = offset
	for raw := p.Batches.bytes; len(raw) > 0; {
		b, rest, err := readBatch(raw)
		if errors.Is(err, errCut) {
			break
		}
		if err == nil && crc32.Checksum(b.checked, castagnoli) != b.crc {
			err = errors.New("its checksum is wrong")
		}
		if err != nil {
			return records, next, &CorruptError{tp, b.base, err.Error()}
		}
		if b.base >= p.LastStableOffset {
			break
		}
		raw = rest
		for len(aborted) > 0 && aborted[0].FirstOffset <= b.base {
			dropped[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		switch {
		case b.attributes.Control():
			abort, err := b.abortMarker()
			if err != nil {
				return records, next, &CorruptError{tp, b.base, err.Error()}
			}
			if abort {
				delete(dropped, b.producer)
			}
		case b.attributes.Transactional() && dropped[b.producer]:
		case b.next <= offset: // a response may begin before the offset asked for
		default:
			whole := len(records)
			if records, err = b.decode(records, tp, offset); err != nil {
				return records[:whole], next, &CorruptError{tp, b.base, err.Error()}
			}
		}
		next = max(next, b.next)
	}
	return records, next, nil
}

// abortMarker tells whether a control batch is the end of an aborted transaction. Its record's key is a version and a
// type, both int16; type 0 is abort, 1 commit, others mean nothing to a reader.
func (b batch) abortMarker() (bool, error) {
	markers, err := b.decode(nil, TopicPartition{}, b.base)
	if err != nil {
		return false, err
	}
	if len(markers) == 0 { // compaction may leave an empty batch
		return false, nil
	}
	if len(markers[0].Key) < 4 {
		return false, fmt.Errorf("its control record's key has %d bytes", len(markers[0].Key))
	}
	return binary.BigEndian.Uint16(markers[0].Key[2:]) == 0, nil
}

// decode appends the batch's records from offset on. Nothing of what it returns points into the response.
func (b batch) decode(to []Record, tp TopicPartition, offset int64) ([]Record, error) {
	body, err := b.unpack()
	if err != nil {
		return to, err
	}
	r, names := reader{rest: body}, map[string]string{} // the names of headers are few: each once a batch
	to = slices.Grow(to, min(int(b.count), len(body)))
	for range b.count {
		one := reader{rest: r.bytes(r.varint())}
		one.skip(1) // attributes, unused
		at := b.first + one.varint()
		if b.attributes&logAppendTime != 0 {
			at = b.max
		}
		rec := Record{Topic: tp.Topic, Partition: tp.Partition, Offset: b.base + one.varint(), Time: time.UnixMilli(at)}
		if r.bad || one.bad {
			return to, errors.New("a record's length is wrong")
		}
		if rec.Offset < offset {
			continue
		}
		one.rest = bytes.Clone(one.rest) // once for key, value and headers
		rec.Key, rec.Value = one.bytes(one.varint()), one.bytes(one.varint())
		if n := one.varint(); n > 0 && n <= int64(len(one.rest)) {
			rec.Headers = make([]Header, n)
		} else if n != 0 {
			one.bad = true
		}
		for i := range rec.Headers {
			name := one.bytes(one.varint())
			key, known := names[string(name)]
			if !known {
				key = string(name)
				names[key] = key
			}
			rec.Headers[i] = Header{Key: key, Value: one.bytes(one.varint())}
		}
		if one.bad {
			return to, fmt.Errorf("the record at offset %d is damaged", rec.Offset)
		}
		to = append(to, rec)
	}
	return to, nil
}

func (b batch) unpack() ([]byte, error) {
	compression := b.attributes.Compression()
	if compression == 0 {
		return b.records, nil
	}
	codec := compression.Codec()
	if codec == nil {
		return nil, fmt.Errorf("its compression %d is not known", compression)
	}
	packed := codec.NewReader(bytes.NewReader(b.records))
	defer packed.Close()
	body := bytes.NewBuffer(make([]byte, 0, min(usualRatio*len(b.records), maxUnpacked)))
	if _, err := body.ReadFrom(io.LimitReader(packed, maxUnpacked+1)); err != nil {
		return nil, fmt.Errorf("unpacking (%s): %w", compression, err)
	}
	if body.Len() > maxUnpacked {
		return nil, fmt.Errorf("it unpacks to more than %d bytes", maxUnpacked)
	}
	return body.Bytes(), nil
}

// reader takes values off a byte slice. After the first thing that does not fit it is bad and gives zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// bytes is nil for a negative length, which stands for null.
func (r *reader) bytes(n int64) []byte {
	if n < 0 || r.bad {
		return nil
	}
	if n > int64(len(r.rest)) {
		r.rest, r.bad = nil, true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) skip(n int64) { r.bytes(n) }
