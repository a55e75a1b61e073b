package kafka

import (
	"bytes"
	"slices"
	"time"
)

// keeper makes the records of one answer, copied out of the buffers that it came in, which are used again: some small
// neighbours in one allocation. Whoever keeps a record for long keeps no more of its neighbours than keptTogether.
type keeper struct {
	tp      TopicPartition
	from    int64 // offset of the first that is wanted
	records []Record

	headers []Header // room for those of the next records
	last    []Header // those of the record before: the names are mostly the same
}

const (
	keptTogether    = 4 << 10
	headersTogether = 32
)

// expect makes room for so many more.
func (k *keeper) expect(n int) { k.records = slices.Grow(k.records, n) }

// together copies the next records of a batch that are kept together, of at most n, and answers how many they are.
func together(from *reader, n int) (reader, int) {
	rest, count := *from, 0
	for count < n {
		one := rest
		one.skip(one.varint())
		if one.bad || count > 0 && len(from.rest)-len(one.rest) > keptTogether {
			break
		}
		rest = one
		count++
	}
	run := reader{rest: bytes.Clone(from.rest[:len(from.rest)-len(rest.rest)])}
	*from = rest
	return run, count
}

// keep takes one record, of which one is what follows its offset. False where that is damaged.
func (k *keeper) keep(offset, at int64, one reader) bool {
	k.expect(1)
	k.records = k.records[:len(k.records)+1]
	rec := &k.records[len(k.records)-1] // in its place: copying it would cost as much as the rest
	rec.Topic, rec.Partition, rec.Offset, rec.Time, rec.Headers = k.tp.Topic, k.tp.Partition, offset, time.UnixMilli(at), nil
	rec.Key, rec.Value = one.bytes(one.varint()), one.bytes(one.varint())
	n := one.varint()
	if n < 0 || n > int64(len(one.rest)) {
		return false
	}
	if n > 0 {
		rec.Headers = k.makeHeaders(int(n))
		for i := range rec.Headers {
			rec.Headers[i].Key = k.name(i, one.bytes(one.varint()))
			rec.Headers[i].Value = one.bytes(one.varint())
		}
		k.last = rec.Headers
	}
	return !one.bad
}

func (k *keeper) makeHeaders(n int) []Header {
	if n > headersTogether/4 {
		return make([]Header, n)
	}
	if n > len(k.headers) {
		k.headers = make([]Header, headersTogether)
	}
	some := k.headers[:n:n]
	k.headers = k.headers[n:]
	return some
}

func (k *keeper) name(i int, b []byte) string {
	if i < len(k.last) && k.last[i].Key == string(b) {
		return k.last[i].Key
	}
	return string(b)
}
