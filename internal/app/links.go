package app

import (
	"crypto/tls"
	"sync/atomic"

	"github.com/refundworker/refundworker/internal/config"
)

// link is how we introduce ourselves to Kafka or Redis: asked at each new
// connection, so that a new password or certificate costs no restart.
type link struct{ current atomic.Pointer[introduction] }

type introduction struct {
	username, password string
	certificate        *tls.Certificate
}

func newLink(username, password string, t config.TLS) *link {
	l := &link{}
	l.set(username, password, t)
	return l
}

func (l *link) set(username, password string, t config.TLS) {
	l.current.Store(&introduction{username, password, t.Certificate()})
}

func (l *link) credentials() (username, password string) {
	now := l.current.Load()
	return now.username, now.password
}

// tls is nil where TLS is not enabled. Whom we trust stays as it was at the start.
func (l *link) tls(c config.TLS) *tls.Config {
	if !c.Enabled {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		RootCAs:    c.Authorities(),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if now := l.current.Load().certificate; now != nil {
				return now, nil
			}
			return &tls.Certificate{}, nil // none
		},
	}
}
