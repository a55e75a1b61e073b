package dedupe

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// The stored form of a record, as lua/form.lua reads it: a header of fields that
// end in a bar, then the order's name, the packed request and the packed outcome
// of the newest event. The scripts read the header alone. Instants are
// milliseconds, all but RecordedAt by their distance from it, and empty for none;
// the key's merchant and number are not repeated.
const format = "1"

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
	}{{ev.Matched, 'm'}, {ev.Correction, 'c'}, {r.Accepted, 'a'}, {r.Doubt, 'd'}, {r.Missed, 'u'}} {
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
	number(ev.Epoch)
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

// errForm: another version wrote it. Whoever reads it stands still.
func errForm(key refund.Key, of string) error {
	return fmt.Errorf("dedupe: %s is stored in form %q, this version reads %q: a worker of the version that wrote it goes on with it (docs/upgrades.md)", key, of, format)
}

// errDamaged: no version wrote it. A rebuild would meet the same record.
func errDamaged(key refund.Key) error {
	return fmt.Errorf("dedupe: the stored record of %s is damaged: empty its merchant's Redis, which has it rebuilt from the status topic (docs/redis.md)", key)
}

// unpack reads into r, which is new, what pack and the scripts wrote.
func unpack(r *refund.Record, key refund.Key, value string) error {
	h := header{rest: value}
	if form := h.text(); form != format {
		return errForm(key, form)
	}
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
		case 'u':
			r.Missed = true
		}
	}
	r.Holding = refund.Holding(h.text())
	ev.Source = sourcesByLetter[h.letter()]
	r.Token = h.text()
	leaseEnd, callEnd := h.text(), h.text()
	r.FollowUp = int(h.number())
	r.Place = h.text()
	r.Published = h.number()
	ev.Epoch = h.number()
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
	orderLen, requestLen := h.number(), h.number()
	rest := h.rest
	if h.bad || orderLen < 0 || requestLen < 0 || orderLen > int64(len(rest)) || requestLen > int64(len(rest))-orderLen {
		return errDamaged(key)
	}
	r.Order = rest[:orderLen]
	provider, ok1 := unpackRequest(rest[orderLen:orderLen+requestLen], r.Order, currency, &r.Request)
	ok2 := unpackOutcome(rest[orderLen+requestLen:], ev)
	if !ok1 || !ok2 {
		return errDamaged(key)
	}
	r.Provider = provider
	return nil
}

// header reads fields in their order; bad tells that one was not what it should
// be.
type header struct {
	rest string
	bad  bool
}

func (h *header) text() string {
	field, rest, ended := strings.Cut(h.rest, "|")
	h.rest, h.bad = rest, h.bad || !ended
	return field
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
