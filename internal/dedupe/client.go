package dedupe

import "github.com/redis/go-redis/v9"

// Client is a connection pool to Redis, so that who wires a Store need not import
// its library.
type Client = redis.UniversalClient
