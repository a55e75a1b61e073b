package kafka

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go/compress"
	"pgregory.net/rapid"
)

// texts are what is hard and easy to pack, in any mixture.
func texts(t *rapid.T) []byte {
	var out []byte
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	for range rapid.IntRange(0, 6).Draw(t, "parts") {
		n := rapid.IntRange(0, 300_000).Draw(t, "length")
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			out = append(out, bytes.Repeat([]byte(`{"refund_no":"R1","amount":"0.10"}`), n/34)...)
		case 1:
			for range n {
				out = append(out, byte(random.Uint32()))
			}
		default:
			out = append(out, make([]byte, 10*n)...)
		}
	}
	return out
}

// Whatever was packed, by whichever codec and form of frame, comes back, behind what is in the buffer already.
func TestUnpackedIsWhatWasPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := texts(t)
		codec := rapid.SampledFrom([]compress.Compression{compress.Gzip, compress.Snappy, compress.Lz4, compress.Zstd}).Draw(t, "codec")
		var b bytes.Buffer
		w := codec.Codec().NewWriter(&b)
		if codec == compress.Lz4 {
			frames := lz4.NewWriter(&b)
			if err := frames.Apply(
				lz4.BlockSizeOption(rapid.SampledFrom([]lz4.BlockSize{lz4.Block64Kb, lz4.Block256Kb, lz4.Block1Mb, lz4.Block4Mb}).Draw(t, "blocks")),
				lz4.BlockChecksumOption(rapid.Bool().Draw(t, "block sums")), lz4.ChecksumOption(rapid.Bool().Draw(t, "sum")),
				lz4.SizeOption(uint64(rapid.SampledFrom([]int{0, len(text)}).Draw(t, "size")))); err != nil {
				t.Fatal(err)
			}
			w = frames
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := unpackTo(make([]byte, 0, rapid.IntRange(0, 100_000).Draw(t, "room")), b.Bytes(), codec)
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%s: %d bytes came back as %d, %v", codec, len(text), len(got), err)
		}
	})
}

// Blocks that refer to the ones before them, as some writers make them.
func TestLinkedBlocks(t *testing.T) {
	text := bytes.Repeat([]byte("a text that is longer than nothing, "), 3000)
	first, second := text[:59_976], text[59_976:]              // the text repeats itself each 36 bytes
	frame := []byte{0x04, 0x22, 0x4D, 0x18, 1 << 6, 4 << 4, 0} // no flag of independence
	for i, block := range [][]byte{first, second} {
		packed := make([]byte, lz4.CompressBlockBound(len(block)))
		n, err := lz4.CompressBlock(block, packed, nil)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 { // one sequence: two literals, then a copy of what lies 59,976 bytes back
			packed, n = append([]byte{0x2F, block[0], block[1], 59_976 & 0xFF, 59_976 >> 8}, copyLength(len(block)-2-5)...), 0
			packed = append(append(packed, 0x50), block[len(block)-5:]...)
			n = len(packed)
		}
		frame = append(frame, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		frame = append(frame, packed[:n]...)
	}
	frame = append(frame, 0, 0, 0, 0)
	got, err := unlz4(nil, frame)
	if err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%d bytes came back as %d, %v", len(text), len(got), err)
	}
}

// copyLength is the rest of a copy's length, after the 15 in its token and the least of 4.
func copyLength(n int) (out []byte) {
	for n -= 19; n >= 255; n -= 255 {
		out = append(out, 255)
	}
	return append(out, byte(n))
}

// Whatever the bytes are, unpacking them ends, and takes no more memory than is bearable.
func FuzzUnlz4(f *testing.F) {
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	_, _ = w.Write(bytes.Repeat([]byte("text "), 100))
	_ = w.Close()
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:20])
	f.Fuzz(func(t *testing.T, frame []byte) {
		if out, err := unlz4(nil, frame); err == nil && len(out) > maxUnpacked {
			t.Fatalf("%d bytes", len(out))
		}
	})
}
