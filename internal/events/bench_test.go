package events

import "testing"

func BenchmarkDecodeRequest(b *testing.B) {
	value, hs := []byte(contractRequest), binary()
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if _, err := DecodeRequest(value, hs); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeStatus(b *testing.B) {
	rec := succeeded()
	b.ReportAllocs()
	for b.Loop() {
		EncodeStatus(rec)
	}
}

func BenchmarkRestoreRecord(b *testing.B) {
	_, value, hs := EncodeStatus(succeeded())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := RestoreRecord(value, hs); err != nil {
			b.Fatal(err)
		}
	}
}
