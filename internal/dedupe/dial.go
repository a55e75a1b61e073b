package dedupe

import (
	"crypto/tls"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Address says where Redis is: one address, or several of a cluster.
type Address struct {
	Addrs    []string
	Username string
	Password string
	// Credentials, where given, is asked at each new connection in place of Username and Password.
	Credentials func() (username, password string)
	TLS         *tls.Config   // nil: plain
	Timeout     time.Duration // to connect, to write and to read; 0: 3s
	PoolSize    int           // connections a server; 0: 10 a CPU
}

// Dial makes the client of a Store; it connects when it is first used. Deadlines
// of contexts count. A step is sent again after a broken connection, which is
// harmless: every script is safe to repeat.
func Dial(a Address) redis.UniversalClient {
	timeout := a.Timeout
	if timeout <= 0 {
		timeout = 3 * time.Second
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 a.Addrs,
		Username:              a.Username,
		Password:              a.Password,
		CredentialsProvider:   a.Credentials,
		TLSConfig:             a.TLS,
		DialTimeout:           timeout,
		ReadTimeout:           timeout,
		WriteTimeout:          timeout,
		PoolTimeout:           timeout,
		PoolSize:              a.PoolSize,
		ContextTimeoutEnabled: true,
		DialerRetries:         1, // commands are tried again, so a refused connection is said to be one within a readiness check
		Protocol:              2,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	})
}
