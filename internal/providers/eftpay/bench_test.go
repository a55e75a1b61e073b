package eftpay

import (
	"testing"

	"github.com/refundworker/refundworker/internal/providers/transport"
)

// BenchmarkSign is a refund call from the request to the bytes that are sent.
func BenchmarkSign(b *testing.B) {
	g := newGateway(b, "", nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Sign(sample()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify is an answer from its bytes to what it says: the strict reading,
// the signature, the meaning.
func BenchmarkVerify(b *testing.B) {
	g := newGateway(b, "", nil)
	answer := transport.Answer{Status: 200, Body: []byte(signedBody(callAnswer, testSecret))}
	b.SetBytes(int64(len(answer.Body)))
	b.ReportAllocs()
	for b.Loop() {
		f, unclear := g.verified(answer)
		if unclear != nil {
			b.Fatal(unclear)
		}
		g.judgeCall(f, sample())
	}
}
