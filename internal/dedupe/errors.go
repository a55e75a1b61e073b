package dedupe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/refundworker/refundworker/internal/refund"
)

// EpochMissingError says that a merchant has no sentinel in Redis: it is new, or
// what Redis knew of it is gone. *refund.Unavailable wraps it. It is a
// statuslog.Lost.
type EpochMissingError struct{ Merchant string }

func (e *EpochMissingError) Error() string {
	return "no epoch is stored for merchant " + e.Merchant
}

// Kept is false: nothing is left.
func (e *EpochMissingError) Kept() (epoch int64, ok bool) { return 0, false }

// ServerChangedError says that the sentinel was written under another identity of
// the server: it restarted or failed over, and its last writes may be gone.
// Epoch is what the sentinel still holds. *refund.Unavailable wraps it. It is a
// statuslog.Lost.
type ServerChangedError struct {
	Merchant string
	Epoch    int64
}

func (e *ServerChangedError) Error() string {
	return fmt.Sprintf("the server is not the one that wrote epoch %d of merchant %s", e.Epoch, e.Merchant)
}

// Kept is the epoch that the sentinel still holds.
func (e *ServerChangedError) Kept() (epoch int64, ok bool) { return e.Epoch, true }

func gone(merchant string) error {
	return &refund.Unavailable{
		Why: "Redis knows nothing of merchant " + merchant + "; waiting for it to be rebuilt from the status topic",
		Err: &EpochMissingError{Merchant: merchant}, Closed: true,
	}
}

func changed(merchant, epoch string) error {
	n, _ := strconv.ParseInt(epoch, 10, 64) // 0 where the sentinel is not readable: lower than any epoch
	return &refund.Unavailable{
		Why: "Redis restarted or failed over; waiting for merchant " + merchant + " to be rebuilt from the status topic",
		Err: &ServerChangedError{Merchant: merchant, Epoch: n}, Closed: true,
	}
}

// movedError: the sentinel holds another epoch than the one given.
type movedError struct {
	merchant string
	to       int64
}

func (e *movedError) Error() string {
	return fmt.Sprintf("merchant %s has epoch %d by now", e.merchant, e.to)
}

// sayings puts into words what Redis answers by its first word.
var sayings = []struct{ prefix, why string }{
	{"READONLY", "Redis is read-only (a replica, or failing over)"},
	{"LOADING", "Redis is loading its data"},
	{"OOM", "Redis is out of memory: raise maxmemory; nothing may be evicted"},
	{"CLUSTERDOWN", "the Redis cluster is down: a master is missing"},
	{"MASTERDOWN", "the Redis replica has no link to its master"},
	{"TRYAGAIN", "the Redis cluster is moving this slot"},
	{"MOVED", "the Redis cluster has moved this slot; is one address given for a cluster?"},
	{"ASK", "the Redis cluster is moving this slot"},
	{"BUSY", "Redis is busy with a script"},
	{"MISCONF", "Redis cannot save to disk and refuses writes"},
	{"NOREPLICAS", "Redis has fewer replicas than min-replicas-to-write"},
	{"NOAUTH", "Redis wants a password: set redis.username and redis.password"},
	{"WRONGPASS", "Redis refuses redis.username and redis.password"},
	{"NOPERM", "the user of redis.username may not run a command that is needed"},
	{"UNBLOCKED", "Redis is failing over"},
	{"ERR max number of clients", "Redis has its most clients: raise maxclients"},
}

// saying is what is written for a server's answer, or nothing.
func saying(answer error) string {
	said := saidInScript(answer.Error())
	for _, s := range sayings {
		if strings.HasPrefix(said, s.prefix) {
			return s.why
		}
	}
	return ""
}

// mayGoAlone says whether a script was refused for a reason that its steps, one by
// one, may overcome: a cluster's client knows where a slot is, and a proxy may take
// no script for several. Who is in trouble is not asked once more for each step.
func mayGoAlone(err error) bool {
	server, refused := errors.AsType[redis.Error](err)
	if !refused {
		return false
	}
	for _, slot := range []string{"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"} {
		if redis.HasErrorPrefix(err, slot) {
			return true
		}
	}
	return saying(server) == ""
}

// saidInScript is what Redis said to a script's command. From version 7 on that is
// the script's own error; before it, it stands within: "ERR Error running script
// (call to f_...): @user_script:3: @user_script: 3: -READONLY You can't ...", and of
// a step "@user_script: 3: -READONLY You can't ...".
func saidInScript(text string) string {
	if strings.HasPrefix(text, "ERR Error running script") || strings.HasPrefix(text, "@user_script") {
		if i := strings.LastIndex(text, ": -"); i >= 0 {
			return text[i+len(": -"):]
		}
	}
	return text
}

// unavailable puts an error of the client into words. What is not an outage (a
// script that failed) comes back as it is, wrapped.
func unavailable(err error) error {
	var server redis.Error
	if errors.As(err, &server) && !errors.Is(err, redis.Nil) {
		if why := saying(server); why != "" {
			return &refund.Unavailable{Why: why, Err: err}
		}
		return fmt.Errorf("dedupe: Redis refused a step: %w", err)
	}
	why := "Redis cannot be reached"
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		why = "given up while waiting for Redis"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		why = "Redis did not answer in time"
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		why = "no connection to Redis came free in time"
	case errors.Is(err, redis.ErrClosed):
		why = "the connection to Redis is closed"
	case errors.As(err, &network) && network.Timeout():
		why = "Redis did not answer in time"
	case errors.Is(err, io.EOF):
		why = "Redis closed the connection"
	}
	return &refund.Unavailable{Why: why, Err: err}
}

// ErrRebuilding says that another process rebuilds the merchant, or that the
// right to do so was lost: it ran out, or the server changed meanwhile.
// *refund.Unavailable wraps it.
var ErrRebuilding = errors.New("another process is rebuilding it, or the rebuild must begin again")

// ErrServing says that a merchant was to be rebuilt although its sentinel stands:
// claims are being given.
var ErrServing = errors.New("the merchant is being served")

func rebuilding(merchant string) error {
	return &refund.Unavailable{Why: "merchant " + merchant + " is being rebuilt", Err: ErrRebuilding, Closed: true}
}
