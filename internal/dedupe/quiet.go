package dedupe

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Quiet keeps go-redis from writing lines of its own to the process's stderr, for
// programs whose stderr is read by people: what fails is in the errors. It counts
// for the whole process; call it before the first Dial.
func Quiet() { redis.SetLogger(silence{}) }

type silence struct{}

// Printf implements go-redis's logger.
func (silence) Printf(context.Context, string, ...any) {}
