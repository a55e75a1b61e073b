package kafka

import (
	"context"

	"github.com/segmentio/kafka-go/sasl"
)

// live is a SASL mechanism whose user is asked for at each new connection, so that a changed password costs no restart.
// Connections that are open stay.
type live struct {
	sasl        sasl.Mechanism // as configured first
	name        string
	credentials func() (username, password string)
}

// Name implements sasl.Mechanism.
func (l live) Name() string { return l.sasl.Name() }

// Start implements sasl.Mechanism.
func (l live) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	username, password := l.credentials()
	now, err := SASL{Mechanism: l.name, Username: username, Password: password}.mechanism()
	if err != nil {
		return nil, nil, err
	}
	return now.Start(ctx)
}

// mechanism is nil where there is no SASL.
func (c Config) mechanism() (sasl.Mechanism, error) {
	fixed, err := c.SASL.mechanism()
	if err != nil || fixed == nil || c.Credentials == nil {
		return fixed, err
	}
	return live{sasl: fixed, name: c.SASL.Mechanism, credentials: c.Credentials}, nil
}
