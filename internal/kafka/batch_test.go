package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
)

// made is a batch as a broker would store it.
type made struct {
	base, last int64 // last offset of the batch, whatever records compaction has left
	offsets    []int64
	attributes protocol.Attributes
	producer   int64
	abort      bool // of a control batch
	packed     bool
}

func (m made) bytes() []byte {
	var records []byte
	for _, offset := range m.offsets {
		key, value := []byte("k"), binary.BigEndian.AppendUint64(nil, uint64(offset))
		if m.attributes.Control() {
			key = []byte{0, 0, 0, 1}
			if m.abort {
				key[3] = 0
			}
		}
		one := []byte{0}
		one = binary.AppendVarint(one, 7) // timestamp delta
		one = binary.AppendVarint(one, offset-m.base)
		one = append(binary.AppendVarint(one, int64(len(key))), key...)
		one = append(binary.AppendVarint(one, int64(len(value))), value...)
		one = binary.AppendVarint(one, 1)
		one = append(append(binary.AppendVarint(one, 1), 'h'), binary.AppendVarint(nil, -1)...)
		records = append(binary.AppendVarint(records, int64(len(one))), one...)
	}
	if m.packed {
		var b bytes.Buffer
		w := compress.Compression(protocol.Lz4).Codec().NewWriter(&b)
		_, _ = w.Write(records)
		_ = w.Close()
		records = b.Bytes()
		m.attributes |= protocol.Lz4
	}
	b := make([]byte, headerSize, headerSize+len(records))
	binary.BigEndian.PutUint64(b, uint64(m.base))
	b[atMagic] = 2
	binary.BigEndian.PutUint16(b[atAttributes:], uint16(m.attributes))
	binary.BigEndian.PutUint32(b[atLastOffsetDelta:], uint32(m.last-m.base))
	binary.BigEndian.PutUint64(b[atFirstTimestamp:], 1000)
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], 5000)
	binary.BigEndian.PutUint64(b[atProducerID:], uint64(m.producer))
	binary.BigEndian.PutUint32(b[atCount:], uint32(len(m.offsets)))
	b = append(b, records...)
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-atLength-4))
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
	return b
}

func response(lso int64, aborted []abortedTransaction, batches ...made) *fetchPartition {
	p := &fetchPartition{LastStableOffset: lso, AbortedTransactions: aborted}
	for _, m := range batches {
		p.Batches.bytes = append(p.Batches.bytes, m.bytes()...)
	}
	return p
}

func TestDecodeCommitted(t *testing.T) {
	const tx, control = protocol.Transactional, protocol.Transactional | protocol.Control
	for name, one := range map[string]struct {
		p      *fetchPartition
		offset int64
		want   []int64
		next   int64
	}{
		"nothing":                        {response(5, nil), 5, nil, 5},
		"a batch that begins before":     {response(9, nil, made{base: 3, last: 6, offsets: []int64{3, 4, 5, 6}}), 5, []int64{5, 6}, 7},
		"packed":                         {response(9, nil, made{base: 3, last: 4, offsets: []int64{3, 4}, packed: true}), 3, []int64{3, 4}, 5},
		"gaps of compaction":             {response(99, nil, made{base: 3, last: 9, offsets: []int64{5}}, made{base: 12, last: 12, offsets: []int64{12}}), 3, []int64{5, 12}, 13},
		"an emptied batch at the end":    {response(99, nil, made{base: 3, last: 9}), 3, nil, 10},
		"all before what was asked for":  {response(99, nil, made{base: 3, last: 9, offsets: []int64{4}}), 7, nil, 10},
		"undecided":                      {response(5, nil, made{base: 3, last: 4, offsets: []int64{3, 4}}, made{base: 5, last: 5, offsets: []int64{5}, attributes: tx}), 3, []int64{3, 4}, 5},
		"committed":                      {response(9, nil, made{base: 3, last: 3, offsets: []int64{3}, attributes: tx, producer: 1}, made{base: 4, last: 4, offsets: []int64{4}, attributes: control, producer: 1}), 3, []int64{3}, 5},
		"aborted, then the same commits": {response(9, []abortedTransaction{{1, 3}}, made{base: 3, last: 3, offsets: []int64{3}, attributes: tx, producer: 1}, made{base: 4, last: 4, offsets: []int64{4}, attributes: control, producer: 1, abort: true}, made{base: 5, last: 5, offsets: []int64{5}, attributes: tx, producer: 1}), 3, []int64{5}, 6},
		"aborted beside another and a plain one": {response(9, []abortedTransaction{{2, 4}, {1, 1}}, made{base: 3, last: 3, offsets: []int64{3}, attributes: tx, producer: 1}, made{base: 4, last: 4, offsets: []int64{4}, attributes: tx, producer: 2},
			made{base: 5, last: 5, offsets: []int64{5}, attributes: tx, producer: 3}, made{base: 6, last: 6, offsets: []int64{6}, producer: 1}, made{base: 7, last: 7, offsets: []int64{7}, attributes: control, producer: 2, abort: true}), 3, []int64{5, 6}, 8},
		"a transaction that aborts later": {response(9, []abortedTransaction{{1, 5}}, made{base: 3, last: 3, offsets: []int64{3}, attributes: tx, producer: 1}, made{base: 5, last: 5, offsets: []int64{5}, attributes: tx, producer: 1}), 3, []int64{3}, 6},
	} {
		records, next, err := decodeCommitted(TopicPartition{"t", 1}, one.p, one.offset, nil)
		var got []int64
		for _, r := range records {
			got = append(got, r.Offset)
			if binary.BigEndian.Uint64(r.Value) != uint64(r.Offset) || r.Topic != "t" || r.Partition != 1 || !r.Time.Equal(time.UnixMilli(1007)) ||
				len(r.Headers) != 1 || r.Headers[0].Key != "h" || r.Headers[0].Value != nil {
				t.Errorf("%s: record %+v", name, r)
			}
		}
		if err != nil || next != one.next || !slices.Equal(got, one.want) {
			t.Errorf("%s: got %v, next %d, %v; want %v, next %d", name, got, next, err, one.want, one.next)
		}
	}
}

func TestLogAppendTimeIsTheBrokers(t *testing.T) {
	records, _, err := decodeCommitted(TopicPartition{}, response(9, nil, made{base: 1, last: 1, offsets: []int64{1}, attributes: logAppendTime}), 1, nil)
	if err != nil || !records[0].Time.Equal(time.UnixMilli(5000)) {
		t.Fatal(records, err)
	}
}

func TestDamage(t *testing.T) {
	good, second := made{base: 1, last: 1, offsets: []int64{1}}.bytes(), made{base: 2, last: 2, offsets: []int64{2}}
	for name, one := range map[string]struct {
		damage func([]byte) []byte
		says   string // empty: the end of the response
	}{
		"cut in the records":  {func(b []byte) []byte { return b[:len(b)-1] }, ""},
		"cut in the header":   {func(b []byte) []byte { return b[:30] }, ""},
		"cut in the length":   {func(b []byte) []byte { return b[:5] }, ""},
		"a flipped bit":       {func(b []byte) []byte { b[len(b)-3] ^= 1; return b }, "checksum"},
		"an old format":       {func(b []byte) []byte { b[atMagic] = 1; return b }, "format"},
		"an impossible delta": {func(b []byte) []byte { b[atLastOffsetDelta] = 0xff; return b }, "header"},
		"an impossible length": {func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[atLength:], 3)
			return b
		}, "length"},
		"too many records": {func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[atCount:], 2)
			binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
			return b
		}, "record"},
	} {
		p := &fetchPartition{LastStableOffset: 9, Batches: rawBatches{append(slices.Clone(good), one.damage(second.bytes())...)}}
		records, next, err := decodeCommitted(TopicPartition{"t", 0}, p, 1, nil)
		var corrupt *CorruptError
		if errors.As(err, &corrupt) != (one.says != "") || (err != nil && (corrupt.Offset != 2 || !strings.Contains(err.Error(), one.says))) || next != 2 || len(records) != 1 || records[0].Offset != 1 {
			t.Errorf("%s: %d records, next %d, %v", name, len(records), next, err)
		}
	}
}

// What a reader has kept stays as it was, though the buffers that it came in, and the list of records, are used again.
func TestWhatIsKeptIsNotWrittenOver(t *testing.T) {
	var records []Record
	kept := map[int64]Record{}
	for round := range int64(50) {
		var batches []made
		for i := range int64(10) {
			base := round*100 + i*10
			batches = append(batches, made{base: base, last: base + 9, offsets: []int64{base, base + 3, base + 9}, packed: i%2 == 0})
		}
		p := response(1<<40, nil, batches...)
		raw := append(buffer(), p.Batches.bytes...)
		p.Batches.bytes = raw
		clear(records)
		var err error
		if records, _, err = decodeCommitted(TopicPartition{"t", 0}, p, 0, records[:0]); err != nil || len(records) != 30 {
			t.Fatal(len(records), err)
		}
		free(raw)
		for _, r := range records {
			kept[r.Offset] = r
		}
	}
	for offset, r := range kept {
		if r.Offset != offset || string(r.Key) != "k" || binary.BigEndian.Uint64(r.Value) != uint64(offset) || len(r.Headers) != 1 || r.Headers[0].Key != "h" {
			t.Fatalf("%d has become %+v", offset, r)
		}
	}
}

// A batch that unpacks to more than is bearable is damage, not the end of the process.
func TestABatchThatGrowsTooLarge(t *testing.T) {
	for _, codec := range []compress.Compression{compress.Lz4, compress.Zstd, compress.Gzip, compress.Snappy} {
		var b bytes.Buffer
		w := codec.Codec().NewWriter(&b)
		for range maxUnpacked>>20 + 1 {
			_, _ = w.Write(make([]byte, 1<<20))
		}
		_ = w.Close()
		out, err := unpackTo(buffer(), b.Bytes(), codec)
		if err == nil {
			t.Errorf("%s: %d bytes became %d", codec, b.Len(), len(out))
		}
	}
}

// Whatever the bytes are, reading them ends, panics never, and does not go back.
func FuzzDecodeCommitted(f *testing.F) {
	f.Add(made{base: 1, last: 3, offsets: []int64{1, 3}}.bytes(), int64(1), int64(9), int64(0))
	f.Add(made{base: 1, last: 3, offsets: []int64{1, 3}, packed: true}.bytes(), int64(2), int64(9), int64(0))
	f.Add(made{base: 1, last: 1, offsets: []int64{1}, attributes: protocol.Control | protocol.Transactional, abort: true}.bytes(), int64(1), int64(9), int64(1))
	f.Fuzz(func(t *testing.T, raw []byte, offset, lso, first int64) {
		if len(raw) >= headerSize { // let it through the checksum
			length := min(int64(len(raw)), int64(binary.BigEndian.Uint32(raw[atLength:]))+atLength+4)
			if length > atAttributes {
				binary.BigEndian.PutUint32(raw[atCRC:], crc32.Checksum(raw[atAttributes:length], castagnoli))
			}
		}
		p := &fetchPartition{LastStableOffset: lso, AbortedTransactions: []abortedTransaction{{0, first}}, Batches: rawBatches{raw}}
		records, next, _ := decodeCommitted(TopicPartition{"t", 0}, p, offset, nil)
		if next < offset {
			t.Fatalf("next %d after %d", next, offset)
		}
		for _, r := range records {
			if r.Offset < offset {
				t.Fatalf("record at %d, asked for %d", r.Offset, offset)
			}
		}
	})
}
