package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"
)

// maxUnpacked bounds what one batch may grow to. A batch is at most max.message.bytes long, but packed.
const maxUnpacked = 64 << 20

var errTooLarge = fmt.Errorf("it grows to more than %d bytes", maxUnpacked)

// buffers are for answers and for what is unpacked of them: both live for a moment, and their bytes are copied (keeper).
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// mostPooled is the largest buffer that is kept for the next time.
const mostPooled = 4 << 20

func buffer() []byte { return (*buffers.Get().(*[]byte))[:0] }

func free(b []byte) {
	if c := cap(b); c > 0 && c <= mostPooled {
		buffers.Put(&b)
	}
}

// unpacking is as many as there are processors: more at a time would only take more memory.
var unpacking = make(chan struct{}, runtime.GOMAXPROCS(0))

// unpack hands over the batch's records for as long as use runs.
func (b batch) unpack(use func(records []byte) error) error {
	compression := b.attributes.Compression()
	if compression == 0 {
		return use(b.records)
	}
	unpacking <- struct{}{}
	defer func() { <-unpacking }()
	unpacked, err := unpackTo(buffer(), b.records, compression)
	if err != nil {
		return fmt.Errorf("unpacking (%s): %w", compression, err)
	}
	defer free(unpacked)
	return use(unpacked)
}

func unpackTo(buffer, packed []byte, compression compress.Compression) ([]byte, error) {
	switch compression { // kafka-go's readers of these take twice the time, and much memory
	case compress.Zstd:
		return unzstd().DecodeAll(packed, buffer)
	case compress.Lz4:
		return unlz4(buffer, packed)
	}
	codec := compression.Codec()
	if codec == nil {
		return nil, errors.New("not known here")
	}
	from := codec.NewReader(bytes.NewReader(packed))
	defer from.Close()
	return readAll(buffer, from)
}

// unzstd is for any number of goroutines.
var unzstd = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		panic(err) // an option that is none
	}
	return d
})

// readAll is io.ReadAll into a buffer that may be large already, up to maxUnpacked.
func readAll(buffer []byte, from io.Reader) ([]byte, error) {
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, make([]byte, max(64<<10, len(buffer)))...)[:len(buffer)]
		}
		n, err := from.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case len(buffer) > maxUnpacked:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return buffer, nil
		case err != nil:
			return nil, err
		}
	}
}
