package gatewaysim

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// oversize is how many blanks precede an Oversized answer.
const oversize = 8 << 20

// write sends body as the step's Answer says. Answers that spoil the content
// were applied to body before.
func (s *Sim) write(w http.ResponseWriter, r *http.Request, step Step, body []byte) {
	status := step.HTTPStatus
	if status == 0 {
		status = http.StatusOK
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	switch step.Answer {
	case Hang:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		dropConnection(w, false)
		return
	case Reset:
		dropConnection(w, true)
		return
	case Hangup:
		dropConnection(w, false)
		return
	case HTML:
		if step.HTTPStatus == 0 {
			status = http.StatusInternalServerError
		}
		w.Header().Set("Content-Type", "text/html")
		body = []byte("<html><head><title>" + strconv.Itoa(status) + "</title></head><body><h1>" +
			http.StatusText(status) + "</h1><hr>proxy</body></html>\n")
	case Garbage:
		body = []byte("\x00\x01{\"return_status\":\"00\",\"code\":10000 oops")
	case Empty:
		body = nil
	case Truncated:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = w.Write(body[:len(body)/2])
		flush(w)
		dropConnection(w, false)
		return
	case Drip:
		s.drip(w, r, step, status, body)
		return
	case Oversized:
		w.WriteHeader(status)
		blanks := bytes.Repeat([]byte{' '}, 64<<10)
		for range oversize / len(blanks) {
			if _, err := w.Write(blanks); err != nil {
				return // the client had enough
			}
		}
		_, _ = w.Write(body)
		return
	case Redirect:
		w.Header().Set("Location", r.URL.Path)
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	w.WriteHeader(status)
	// An error here is a client that hung up: nobody is left to be told.
	_, _ = w.Write(body)
}

func (s *Sim) drip(w http.ResponseWriter, r *http.Request, step Step, status int, body []byte) {
	every := step.Every
	if every <= 0 {
		every = time.Second
	}
	w.WriteHeader(status)
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil {
			return
		}
		flush(w)
		if r.Context().Err() != nil || !s.sleep(every) {
			dropConnection(w, false)
			return
		}
	}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// breaker is a connection of Transport: it breaks with the given error.
type breaker interface{ breakOff(err error) }

// dropConnection ends the connection without (the rest of) an answer, by a
// TCP reset where asked.
func dropConnection(w http.ResponseWriter, reset bool) {
	if b, ok := w.(breaker); ok {
		err := io.ErrUnexpectedEOF
		if reset {
			err = errReset
		}
		b.breakOff(err)
	}
	if reset {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // close sends RST
			}
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}
