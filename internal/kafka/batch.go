package kafka

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

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
//
// The records are appended to the given ones. Nothing of them points into the response.
func decodeCommitted(tp TopicPartition, p *fetchPartition, offset int64, records []Record) (_ []Record, next int64, err error) {
	aborted := slices.Clone(p.AbortedTransactions)
	slices.SortFunc(aborted, func(a, b abortedTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	dropped := map[int64]bool{} // producers within an aborted transaction
	next = offset
	to := keeper{tp: tp, from: offset, records: records}
	to.expect(expected(p.Batches.bytes))
	for raw := p.Batches.bytes; len(raw) > 0; {
		b, rest, err := readBatch(raw)
		if errors.Is(err, errCut) {
			break
		}
		if err == nil && crc32.Checksum(b.checked, castagnoli) != b.crc {
			err = errors.New("its checksum is wrong")
		}
		if err != nil {
			return to.records, next, &CorruptError{tp, b.base, err.Error()}
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
				return to.records, next, &CorruptError{tp, b.base, err.Error()}
			}
			if abort {
				delete(dropped, b.producer)
			}
		case b.attributes.Transactional() && dropped[b.producer]:
		case b.next <= offset: // a response may begin before the offset asked for
		default:
			whole := len(to.records)
			if err := b.decode(&to); err != nil {
				return to.records[:whole], next, &CorruptError{tp, b.base, err.Error()}
			}
		}
		next = max(next, b.next)
	}
	return to.records, next, nil
}

// expected is how many records an answer says that it has; a damaged one is not believed beyond what it could have, were
// it not packed.
func expected(raw []byte) (n int) {
	for rest := raw; len(rest) > 0; {
		b, behind, err := readBatch(rest)
		if err != nil {
			break
		}
		n += int(b.count)
		rest = behind
	}
	return min(n, len(raw)/7) // a record has seven bytes at least
}

// abortMarker tells whether a control batch is the end of an aborted transaction. Its record's key is a version and a
// type, both int16; type 0 is abort, 1 commit, others mean nothing to a reader.
func (b batch) abortMarker() (bool, error) {
	markers := keeper{from: b.base}
	if err := b.decode(&markers); err != nil {
		return false, err
	}
	if len(markers.records) == 0 { // compaction may leave an empty batch
		return false, nil
	}
	key := markers.records[0].Key
	if len(key) < 4 {
		return false, fmt.Errorf("its control record's key has %d bytes", len(key))
	}
	return binary.BigEndian.Uint16(key[2:]) == 0, nil
}

// decode hands the batch's records from the keeper's offset on to it.
func (b batch) decode(to *keeper) error {
	return b.unpack(func(records []byte) error { return b.split(records, to) })
}

func (b batch) split(records []byte, to *keeper) error {
	r := reader{rest: records}
	to.expect(min(int(b.count), len(records)))
	for left := int(b.count); left > 0; {
		run, n := together(&r, left)
		if n == 0 {
			return errors.New("a record's length is wrong")
		}
		left -= n
		for range n {
			one := reader{rest: run.bytes(run.varint())}
			one.skip(1) // attributes, unused
			at := b.first + one.varint()
			if b.attributes&logAppendTime != 0 {
				at = b.max
			}
			offset := b.base + one.varint()
			if one.bad {
				return errors.New("a record's length is wrong")
			}
			if offset >= to.from && !to.keep(offset, at, one) {
				return fmt.Errorf("the record at offset %d is damaged", offset)
			}
		}
	}
	return nil
}

// reader takes values off a byte slice. After the first thing that does not fit it is bad and gives zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) varint() int64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 { // most are short
		v := r.rest[0]
		r.rest = r.rest[1:]
		return int64(v>>1) ^ -int64(v&1)
	}
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
