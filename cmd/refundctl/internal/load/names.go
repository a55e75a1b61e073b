package load

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/refund"
)

// Names are the fresh numbers of one run. They are letters and digits, at most 20
// of them, which every gateway takes.
type Names struct{ Run string }

// NewNames makes the names of a run that begins now.
func NewNames(now time.Time) Names {
	return Names{"L" + strings.ToUpper(strconv.FormatInt(now.UnixMilli(), 36))}
}

// fresh is what a number and an order of a run look like.
var fresh = regexp.MustCompile(`^L[0-9A-Z]{8}R[0-9A-Z]+$`)

// IsFresh says that a request was made by a load test.
func IsFresh(r refund.Request) bool { return fresh.MatchString(r.RefundNo) && r.RequestedAt.IsZero() }

// RefundNo is the number of message i.
func (n Names) RefundNo(i int) string {
	return n.Run + "R" + strings.ToUpper(strconv.FormatInt(int64(i), 36))
}

// Index is the message that a number of this run belongs to.
func (n Names) Index(refundNo string) (int, bool) {
	digits, ours := strings.CutPrefix(refundNo, n.Run+"R")
	if !ours {
		return 0, false
	}
	i, err := strconv.ParseInt(digits, 36, 64)
	return int(i), err == nil
}

// Source is the requests that are replayed, which begin anew where they end.
type Source struct {
	requests []refund.Request
	first    []int // the first request of the same order
}

// NewSource takes at least one request.
func NewSource(requests []refund.Request) Source {
	type order struct{ merchant, orderNo, transactionID string }
	at := map[order]int{}
	s := Source{requests: requests}
	for i, r := range requests {
		o := order{r.Merchant, r.OrderNo, r.TransactionID}
		if _, there := at[o]; !there {
			at[o] = i
		}
		s.first = append(s.first, at[o])
	}
	return s
}

// Fresh makes message i: another number, and another order, which it shares with
// those requests of the same round with which it shared the old one.
func (s Source) Fresh(n Names, i int) refund.Request {
	place, round := i%len(s.requests), i/len(s.requests)
	r := s.requests[place]
	order := n.Run + "O" + strings.ToUpper(strconv.FormatInt(int64(round), 36)+"X"+strconv.FormatInt(int64(s.first[place]), 36))
	r.RefundNo = n.RefundNo(i)
	if r.OrderNo != "" {
		r.OrderNo = order
	}
	if r.TransactionID != "" {
		r.TransactionID = order
	}
	r.Trace, r.RequestedAt = refund.Trace{}, time.Time{}
	return r
}
