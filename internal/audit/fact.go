package audit

import (
	"encoding/binary"
	"errors"

	"github.com/refundworker/refundworker/internal/refund"
)

// fact is all that counts of one record that was given.
type fact struct {
	kind      kind
	key       refund.Key
	order     string
	content   uint64 // hash; 0: none
	amount    int64  // minor units
	total     int64
	standing  int64 // of a share alone
	currency  uint16
	event     event // of said alone
	partition int32
}

type kind uint8

const (
	asked       kind = iota + 1 // a request
	waits                       // a message of it waits to be read
	said                        // a status event
	buried                      // a dead letter
	paid                        // an entry of the books
	paidForeign                 // one that is surely not ours
	shares                      // a part of its order's sums: see share
)

// append writes a fact in a form for the same run of the same program.
func (f fact) append(to []byte, merchant uint32) []byte {
	to = append(to, byte(f.kind), byte(f.event.flags))
	to = binary.AppendUvarint(to, uint64(merchant))
	for _, text := range []string{f.key.RefundNo, f.order} {
		to = binary.AppendUvarint(to, uint64(len(text)))
		to = append(to, text...)
	}
	for _, n := range []int64{f.amount, f.total, f.standing, f.event.sequence} {
		to = binary.AppendVarint(to, n)
	}
	for _, n := range []uint64{uint64(f.currency), uint64(f.event.status), uint64(uint32(f.partition))} {
		to = binary.AppendUvarint(to, n)
	}
	to = binary.LittleEndian.AppendUint64(to, f.content)
	return binary.LittleEndian.AppendUint64(to, f.event.digest)
}

var errDamaged = errors.New("it is damaged: somebody else wrote to it")

// readFact is append's counterpart.
func readFact(from []byte, merchants []string) (f fact, err error) {
	r := factReader{rest: from}
	f.kind, f.event.flags = kind(r.byte()), flags(r.byte())
	if merchant := r.uvarint(); merchant < uint64(len(merchants)) {
		f.key.Merchant = merchants[merchant]
	} else {
		return f, errDamaged
	}
	for _, text := range []*string{&f.key.RefundNo, &f.order} {
		*text = string(r.bytes(r.uvarint()))
	}
	for _, n := range []*int64{&f.amount, &f.total, &f.standing, &f.event.sequence} {
		*n = r.varint()
	}
	f.currency, f.event.status, f.partition = uint16(r.uvarint()), uint16(r.uvarint()), int32(r.uvarint())
	if len(r.rest) != 16 {
		return f, errDamaged
	}
	f.content, f.event.digest = binary.LittleEndian.Uint64(r.rest), binary.LittleEndian.Uint64(r.rest[8:])
	return f, nil
}

// factReader reads nothing more once something is missing.
type factReader struct{ rest []byte }

func (r *factReader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.rest = nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *factReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *factReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.bytes(uint64(max(size, 1)))
	return n
}

func (r *factReader) varint() int64 {
	n, size := binary.Varint(r.rest)
	r.bytes(uint64(max(size, 1)))
	return n
}
