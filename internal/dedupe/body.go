package dedupe

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/refundworker/refundworker/internal/refund"
)

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
			b = appendText(b, s)
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
	digits := hex.EncodeToString([]byte(id))
	return "00-" + digits[:32] + "-" + digits[32:48] + "-" + digits[48:]
}

// The packed outcome is empty, or five texts.
func packOutcome(ev refund.Event) string {
	texts := [...]string{ev.ProviderStatus, ev.ProviderRefundID, ev.TransactionID, ev.Code, ev.Message}
	if texts == [len(texts)]string{} {
		return ""
	}
	b := make([]byte, 0, 64)
	for _, s := range texts {
		b = appendText(b, s)
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

func (p *packed) bytes(n uint64) string {
	if n > uint64(len(p.rest)) {
		p.bad, p.rest = true, ""
		return ""
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}
