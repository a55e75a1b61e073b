package dedupe

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// The stored form of a record, as lua/lib.lua reads it: a header of fields that
// end in a bar, then the order's name, the packed request and the packed outcome
// of the newest event. The scripts read the header alone. Instants are
// milliseconds, all but RecordedAt by their distance from it, and empty for none;
// the key's merchant and number are not repeated.
const (
	format       = "1"
	headerFields = 24
)

var (
	statusLetters = map[refund.Status]byte{
		refund.StatusNone: '-', refund.StatusWaiting: 'W', refund.StatusPending: 'P', refund.StatusUnknown: 'U',
		refund.StatusReview: 'R', refund.StatusSucceeded: 'S', refund.StatusFailed: 'F', refund.StatusRejected: 'J',
	}
	sourceLetters = map[refund.Source]byte{
		refund.FromWorker: 'w', refund.FromCallback: 'c', refund.FromQuery: 'q', refund.FromOperator: 'o',
	}
	statusesByLetter = turned(statusLetters)
	sourcesByLetter  = turned(sourceLetters)
)

func turned[T ~string](letters map[T]byte) map[byte]T {
	words := make(map[byte]T, len(letters))
	for word, letter := range letters {
		words[letter] = word
	}
	return words
}

// pack renders a record with its content's fingerprint. Of a final one the
// request's Terminal and Reason are left out. More flags are those that belong
// to the scripts.
func pack(r refund.Record, content, flags string) string {
	ev := r.Last
	request := packRequest(r.Request, r.Provider, r.Order, !ev.Status.Final())
	outcome := packOutcome(ev)
	b := make([]byte, 0, 192+len(r.Order)+len(request)+len(outcome))
	text := func(s string) { b = append(append(b, s...), '|') }
	number := func(n int64) { b = append(strconv.AppendInt(b, n, 10), '|') }
	recorded := stamp(ev.RecordedAt)
	distance := func(t time.Time) {
		if !t.IsZero() {
			b = strconv.AppendInt(b, stamp(t)-recorded, 10)
		}
		b = append(b, '|')
	}
	text(format)
	number(r.Version)
	b = append(b, statusLetters[ev.Status], '|')
	number(ev.Sequence)
	number(int64(r.Attempt))
	number(int64(ev.Attempt))
	for _, flag := range []struct {
		on     bool
		letter byte
	}{{ev.Matched, 'm'}, {ev.Correction, 'c'}, {r.Accepted, 'a'}, {r.Doubt, 'd'}} {
		if flag.on {
			b = append(b, flag.letter)
		}
	}
	text(flags)
	text(string(r.Holding))
	b = append(b, sourceLetters[ev.Source], '|')
	text(r.Token)
	distance(r.LeaseEnd)
	distance(r.CallEnd)
	number(int64(r.FollowUp))
	text(r.Place)
	number(r.Published)
	number(r.Epoch)
	number(recorded)
	distance(ev.OccurredAt)
	distance(r.FirstSeen)
	number(r.Request.Amount.Minor)
	text(packCurrency(r.Request.Amount.Currency))
	text(content)
	number(int64(len(r.Order)))
	number(int64(len(request)))
	b = append(b, r.Order...)
	b = append(b, request...)
	b = append(b, outcome...)
	return string(b)
}

var errForm = errors.New("a stored record is not of the form that this version reads")

// unpack reads what pack and the scripts wrote.
func unpack(key refund.Key, value string) (refund.Record, error) {
	fields := strings.SplitN(value, "|", headerFields+1)
	if len(fields) != headerFields+1 || fields[0] != format {
		return refund.Record{}, fmt.Errorf("dedupe: %s: %w", key, errForm)
	}
	h := header{fields: fields, at: 1}
	var r refund.Record
	ev := &r.Last
	r.Request.Key = key
	r.Version = h.number()
	ev.Status = statusesByLetter[h.letter()]
	ev.Sequence = h.number()
	r.Attempt = int(h.number())
	ev.Attempt = int(h.number())
	for _, flag := range h.text() {
		switch flag {
		case 'm':
			ev.Matched = true
		case 'c':
			ev.Correction = true
		case 'f':
			ev.OrderFullyRefunded = true
		case 'a':
			r.Accepted = true
		case 'd':
			r.Doubt = true
		}
	}
	r.Holding = refund.Holding(h.text())
	ev.Source = sourcesByLetter[h.letter()]
	r.Token = h.text()
	leaseEnd, callEnd := h.text(), h.text()
	r.FollowUp = int(h.number())
	r.Place = h.text()
	r.Published = h.number()
	r.Epoch = h.number()
	recorded := h.number()
	ev.RecordedAt = instant(recorded)
	ev.OccurredAt = h.instant(recorded, h.text())
	r.FirstSeen = h.instant(recorded, h.text())
	r.LeaseEnd = h.instant(recorded, leaseEnd)
	r.CallEnd = h.instant(recorded, callEnd)
	r.Request.Amount.Minor = h.number()
	currency := unpackCurrency(h.text())
	r.Request.Amount.Currency = currency
	h.text() // the content's fingerprint is the scripts'
	orderLen, requestLen, rest := h.number(), h.number(), fields[headerFields]
	if h.bad || orderLen < 0 || requestLen < 0 || orderLen+requestLen > int64(len(rest)) {
		return refund.Record{}, fmt.Errorf("dedupe: %s: %w", key, errForm)
	}
	r.Order = rest[:orderLen]
	provider, ok1 := unpackRequest(rest[orderLen:orderLen+requestLen], r.Order, currency, &r.Request)
	ok2 := unpackOutcome(rest[orderLen+requestLen:], ev)
	if !ok1 || !ok2 {
		return refund.Record{}, fmt.Errorf("dedupe: %s: %w", key, errForm)
	}
	r.Provider = provider
	return r, nil
}

// header reads fields in their order; bad tells that one was not what it should
// be.
type header struct {
	fields []string
	at     int
	bad    bool
}

func (h *header) text() string {
	h.at++
	return h.fields[h.at-1]
}

func (h *header) letter() byte {
	s := h.text()
	if len(s) != 1 {
		h.bad = true
		return 0
	}
	return s[0]
}

func (h *header) number() int64 { return h.parse(h.text()) }

func (h *header) parse(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	h.bad = h.bad || err != nil
	return n
}

func (h *header) instant(recorded int64, distance string) time.Time {
	if distance == "" {
		return time.Time{}
	}
	return instant(recorded + h.parse(distance))
}

// A currency is its code and the number of its decimals: HKD2.
func packCurrency(c refund.Currency) string {
	if c == (refund.Currency{}) {
		return ""
	}
	return c.Code + strconv.Itoa(c.Exponent)
}

func unpackCurrency(s string) refund.Currency {
	code := strings.TrimRight(s, "0123456789")
	exponent, _ := strconv.Atoi(s[len(code):])
	return refund.Currency{Code: code, Exponent: exponent}
}

// The packed request begins with a set of bits that says which fields follow.
const (
	hasProvider = 1 << iota
	orderIsOrderNo
	orderIsTransaction
	flowIsRefund
	hasOrderAmount
	hasMethod
	hasWallet
	hasOrderNo
	hasTransaction
	hasFlow
	hasTerminal
	hasReason
	hasRequestedAt
	hasTraceParent
	hasTraceState
	hasTraceID // a traceparent of version 00, as its 25 bytes
)

func packRequest(req refund.Request, provider, order string, whole bool) string {
	var bits uint64
	b := make([]byte, binary.MaxVarintLen16, 96)
	text := func(bit uint64, s string) {
		if s != "" {
			bits |= bit
			b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
		}
	}
	number := func(bit uint64, n int64) {
		if n != 0 {
			bits |= bit
			b = binary.AppendVarint(b, n)
		}
	}
	text(hasProvider, provider)
	number(hasOrderAmount, req.OrderAmount.Minor)
	text(hasMethod, req.Method)
	text(hasWallet, req.Wallet)
	if req.OrderNo != "" && req.OrderNo == order {
		bits |= orderIsOrderNo
	} else {
		text(hasOrderNo, req.OrderNo)
	}
	if req.TransactionID != "" && req.TransactionID == order {
		bits |= orderIsTransaction
	} else {
		text(hasTransaction, req.TransactionID)
	}
	if req.Flow == refund.FlowRefund {
		bits |= flowIsRefund
	} else {
		text(hasFlow, string(req.Flow))
	}
	if whole {
		text(hasTerminal, req.Terminal)
		text(hasReason, req.Reason)
	}
	number(hasRequestedAt, stamp(req.RequestedAt))
	if id, ok := packTrace(req.Trace.Parent); ok {
		bits |= hasTraceID
		b = append(b, id...)
	} else {
		text(hasTraceParent, req.Trace.Parent)
	}
	text(hasTraceState, req.Trace.State)
	var head [binary.MaxVarintLen16]byte
	n := binary.PutUvarint(head[:], bits)
	start := binary.MaxVarintLen16 - n
	copy(b[start:], head[:n])
	return string(b[start:])
}

func unpackRequest(s, order string, currency refund.Currency, req *refund.Request) (provider string, ok bool) {
	p := packed{rest: s}
	bits := p.uvarint()
	text := func(bit uint64) string {
		if bits&bit == 0 {
			return ""
		}
		return p.text()
	}
	number := func(bit uint64) int64 {
		if bits&bit == 0 {
			return 0
		}
		return p.varint()
	}
	provider = text(hasProvider)
	if total := number(hasOrderAmount); total != 0 {
		req.OrderAmount = refund.Money{Minor: total, Currency: currency}
	}
	req.Method = text(hasMethod)
	req.Wallet = text(hasWallet)
	if req.OrderNo = text(hasOrderNo); bits&orderIsOrderNo != 0 {
		req.OrderNo = order
	}
	if req.TransactionID = text(hasTransaction); bits&orderIsTransaction != 0 {
		req.TransactionID = order
	}
	if req.Flow = refund.Flow(text(hasFlow)); bits&flowIsRefund != 0 {
		req.Flow = refund.FlowRefund
	}
	req.Terminal = text(hasTerminal)
	req.Reason = text(hasReason)
	req.RequestedAt = instant(number(hasRequestedAt))
	req.Trace.Parent = text(hasTraceParent)
	if bits&hasTraceID != 0 {
		req.Trace.Parent = unpackTrace(p.bytes(traceBytes))
	}
	req.Trace.State = text(hasTraceState)
	return provider, !p.bad && p.rest == ""
}

// traceBytes is the length of a packed traceparent: trace id, parent id, flags.
const traceBytes = 16 + 8 + 1

// packTrace halves a traceparent of the usual form,
// 00-<32 hex>-<16 hex>-<2 hex>; others are kept as they came.
func packTrace(parent string) ([]byte, bool) {
	if len(parent) != len("00-")+2*traceBytes+len("--") || parent[:3] != "00-" {
		return nil, false
	}
	id, err := hex.DecodeString(parent[3:35] + parent[36:52] + parent[53:])
	return id, err == nil && unpackTrace(string(id)) == parent
}

func unpackTrace(id string) string {
	if len(id) != traceBytes {
		return ""
	}
	return fmt.Sprintf("00-%x-%x-%x", id[:16], id[16:24], id[24:])
}

// The packed outcome is empty, or five texts.
func packOutcome(ev refund.Event) string {
	texts := [...]string{ev.ProviderStatus, ev.ProviderRefundID, ev.TransactionID, ev.Code, ev.Message}
	if texts == [len(texts)]string{} {
		return ""
	}
	b := make([]byte, 0, 64)
	for _, s := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return string(b)
}

func unpackOutcome(s string, ev *refund.Event) bool {
	if s == "" {
		return true
	}
	p := packed{rest: s}
	ev.ProviderStatus, ev.ProviderRefundID, ev.TransactionID = p.text(), p.text(), p.text()
	ev.Code, ev.Message = p.text(), p.text()
	return !p.bad && p.rest == ""
}

// packed is read from its front; bad tells that it ended too early.
type packed struct {
	rest string
	bad  bool
}

func (p *packed) uvarint() uint64 {
	n, size := binary.Uvarint([]byte(p.rest[:min(len(p.rest), binary.MaxVarintLen64)]))
	return advance(p, n, size)
}

func (p *packed) varint() int64 {
	n, size := binary.Varint([]byte(p.rest[:min(len(p.rest), binary.MaxVarintLen64)]))
	return advance(p, n, size)
}

func advance[T int64 | uint64](p *packed, n T, size int) T {
	if size <= 0 {
		p.bad, p.rest = true, ""
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

func (p *packed) text() string { return p.bytes(p.uvarint()) }

func (p *packed) bytes(n uint64) string {
	if n > uint64(len(p.rest)) {
		p.bad, p.rest = true, ""
		return ""
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}
