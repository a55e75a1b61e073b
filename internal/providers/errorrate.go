package providers

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/refundworker/refundworker/internal/refund"
)

// errorRate holds a merchant back that gets too many errors: upstream of a gateway
// the limit for those is far lower (WeChat: 6 a second). Errors of calls that were
// under way together may overdraw it; that is paid back before the next call.
type errorRate struct {
	limiter *rate.Limiter // nil: no limit
}

func (e *errorRate) open(perSecond int) {
	if perSecond > 0 {
		e.limiter = rate.NewLimiter(rate.Limit(perSecond), perSecond)
	}
}

// spend notes an error answer.
func (e *errorRate) spend(now time.Time) {
	if e.limiter != nil {
		e.limiter.ReserveN(now, 1)
	}
}

func (e *errorRate) wait(now time.Time) *refund.Wait {
	if e.limiter == nil {
		return nil
	}
	missing := 1 - e.limiter.TokensAt(now)
	if missing <= 0 {
		return nil
	}
	after := time.Duration(missing / float64(e.limiter.Limit()) * float64(time.Second))
	return &refund.Wait{After: max(after, 100*time.Millisecond), Code: refund.CodeRateLimited, Message: "the gateway answered too many errors"}
}
