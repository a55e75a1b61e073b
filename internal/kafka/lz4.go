package kafka

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go/compress"
)

// frugalLz4 is kafka-go's codec with a writer of small blocks, as the Java client has them: with the library's default each
// batch that is written takes eight megabytes.
type frugalLz4 struct{ compress.Codec }

// NewWriter implements compress.Codec.
func (frugalLz4) NewWriter(to io.Writer) io.WriteCloser {
	w := lz4Writers.Get().(*lz4.Writer)
	w.Reset(to)
	return &pooledLz4{w}
}

var lz4Writers = sync.Pool{New: func() any {
	w := lz4.NewWriter(nil)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block256Kb)); err != nil {
		panic(err) // an option that is none
	}
	return w
}}

type pooledLz4 struct{ *lz4.Writer }

// Close ends the frame.
func (p *pooledLz4) Close() error {
	err := p.Writer.Close()
	lz4Writers.Put(p.Writer)
	p.Writer = nil
	return err
}

// unlz4 unpacks an LZ4 frame (github.com/lz4/lz4, doc/lz4_Frame_format.md) behind what is in the buffer. It is not the
// library's reader, which takes eight megabytes for each frame whose writer allowed for large blocks, as most writers do;
// the blocks themselves are the library's. Checksums within the frame are not looked at: the batch has its own.
func unlz4(buffer, frame []byte) ([]byte, error) {
	const magic, independent, blockSum, contentSize, dictionary = 0x184D2204, 1 << 5, 1 << 4, 1 << 3, 1
	if len(frame) < 7 || binary.LittleEndian.Uint32(frame) != magic {
		return nil, errors.New("not an LZ4 frame")
	}
	flags, largest := frame[4], 1<<(8+2*(frame[5]>>4&7)) // 64 KiB, 256 KiB, 1 MiB or 4 MiB
	header := 7
	if flags&contentSize != 0 {
		header += 8
	}
	if flags>>6 != 1 || flags&dictionary != 0 || largest < 64<<10 || len(frame) < header {
		return nil, errors.New("an LZ4 frame of a form that is not known")
	}
	for rest := frame[header:]; ; {
		if len(rest) < 4 {
			return nil, errCutFrame
		}
		size := binary.LittleEndian.Uint32(rest)
		packed := size>>31 == 0
		size &= 1<<31 - 1
		if size == 0 {
			return buffer, nil
		}
		if rest = rest[4:]; uint64(len(rest)) < uint64(size) {
			return nil, errCutFrame
		}
		block := rest[:size]
		rest = rest[size:]
		if flags&blockSum != 0 {
			rest = rest[min(4, len(rest)):]
		}
		if !packed {
			buffer = append(buffer, block...)
			continue
		}
		var before []byte // linked blocks refer to what was unpacked before them
		if flags&independent == 0 {
			before = buffer[max(0, len(buffer)-64<<10):]
		}
		var err error
		if buffer, err = unlz4Block(buffer, block, before, largest); err != nil {
			return nil, err
		}
	}
}

var errCutFrame = errors.New("the LZ4 frame is cut")

// unlz4Block tries with as much room as there is, then with more: nothing tells how large a block becomes.
func unlz4Block(buffer, block, before []byte, largest int) ([]byte, error) {
	for room := max(5*len(block), 64<<10); ; room *= 2 {
		buffer = slices.Grow(buffer, min(room, largest))
		free := buffer[len(buffer):cap(buffer)]
		n, err := lz4.UncompressBlockWithDict(block, free, before)
		switch {
		case err == nil && len(buffer)+n > maxUnpacked:
			return nil, errTooLarge
		case err == nil:
			return buffer[:len(buffer)+n], nil
		case len(free) >= largest:
			return nil, err
		}
	}
}
