package audit

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// spill keeps facts in files, one for each part. They have no name, where the system
// can do that, so that nothing is left of them when the process ends in any way.
// After the first trouble it does nothing more: see failed. A nil spill is none.
type spill struct {
	files   []*os.File
	writers []*bufio.Writer
	frame   []byte
	err     error
}

// inMemory is how much of each file waits to be written, or was read ahead.
const inMemory = 64 << 10

func newSpill(dir string, parts int) *spill {
	s := &spill{}
	for range parts {
		f, err := os.CreateTemp(dir, "refund-audit-*")
		if err != nil {
			s.fail(err)
			break
		}
		_ = os.Remove(f.Name()) // where an open file cannot be removed, close does it
		s.files, s.writers = append(s.files, f), append(s.writers, bufio.NewWriterSize(f, inMemory))
	}
	return s
}

func (s *spill) fail(err error) {
	if s.err == nil {
		s.err = fmt.Errorf("audit: what does not fit into memory is kept in a file: %w", err)
	}
}

func (s *spill) failed() error {
	if s == nil {
		return nil
	}
	return s.err
}

func (s *spill) close() {
	if s == nil {
		return
	}
	for _, f := range s.files {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	s.files, s.writers = nil, nil
	s.fail(os.ErrClosed)
}

// put writes a fact: its length, then itself.
func (s *spill) put(part int, merchant uint32, f fact) {
	if s.err != nil {
		return
	}
	s.frame = f.append(s.frame[:0], merchant)
	w := s.writers[part]
	_, err := w.Write(binary.AppendUvarint(w.AvailableBuffer(), uint64(len(s.frame))))
	if err == nil {
		_, err = w.Write(s.frame)
	}
	if err != nil {
		s.fail(err)
	}
}

// each shows what was put into a part so far, in that order. More may be put
// afterwards.
func (s *spill) each(part int, merchants []string, show func(fact)) {
	if s.err != nil {
		return
	}
	if err := s.read(part, merchants, show); err != nil {
		s.fail(err)
	}
}

func (s *spill) read(part int, merchants []string, show func(fact)) error {
	if err := s.writers[part].Flush(); err != nil {
		return err
	}
	size, err := s.files[part].Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(s.files[part], 0, size), inMemory)
	for {
		length, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || length > uint64(size) {
			return errors.Join(errDamaged, err)
		}
		if uint64(cap(s.frame)) < length {
			s.frame = make([]byte, length)
		}
		s.frame = s.frame[:length]
		if _, err := io.ReadFull(r, s.frame); err != nil {
			return errors.Join(errDamaged, err)
		}
		f, err := readFact(s.frame, merchants)
		if err != nil {
			return err
		}
		show(f)
	}
}
