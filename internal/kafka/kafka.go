// Package kafka is the only importer of kafka-go. It moves bytes and knows nothing of refunds.
//
// It guarantees:
//   - a Producer's Write returns nil only when every record is acknowledged by all in-sync replicas;
//   - a Fetcher, Scan and Tail deliver committed records only, each offset once, in order, with their checksums verified;
//   - a Generation's Commit is fenced by the broker: a member that was replaced cannot move an offset;
//   - errors that a caller must tell apart are typed (TooLargeError, OutOfRangeError, ErrFenced, ErrNoTopic).
//
// Nobody else may use kafka-go in a process that uses this package: Open replaces kafka-go's decoder of fetch responses
// by one that keeps the raw batches (see Fetcher), after which kafka-go's own Client.Fetch panics.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Header is one header of a record: Key and Value. Keys may repeat; order is kept. It is kafka-go's own, so that no
// record's headers are copied on the way out: they must not be changed once they were given to Write.
type Header = kafkago.Header

// Record is one record of a topic. Of a record to be written Partition and Offset are ignored.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	// Key and Value keep the difference between null (nil) and empty.
	Key, Value []byte
	Headers    []Header
	// Time is the record's timestamp, in Kafka to the millisecond. When writing, zero means the time of sending.
	Time time.Time
}

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int
}

// String is topic/partition.
func (t TopicPartition) String() string { return fmt.Sprintf("%s/%d", t.Topic, t.Partition) }

// SASL is a user of the brokers. Mechanism is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or empty for none.
type SASL struct {
	Mechanism, Username, Password string
}

// Config says how to reach the brokers.
type Config struct {
	Brokers []string // host:port, at least one
	TLS     *tls.Config
	SASL    SASL
	// Credentials, where given with a mechanism, is asked at each new connection in place of SASL's username and password.
	Credentials func() (username, password string)
	ClientID    string
	// Topics limits the metadata that is fetched each second to these topics; a topic that is not among them is then
	// unknown to this client. Empty means all topics of the cluster.
	Topics []string
}

const (
	// A moved leader is found within this time. Nothing else drops the cached metadata when a call fails: it is what keeps
	// the other brokers' partitions going while one is down.
	metadataTTL = time.Second
	dialTimeout = 2 * time.Second // TCP, TLS and SASL together
)

// Client is a connection pool to one cluster. Safe for concurrent use.
type Client struct {
	cfg       Config
	addr      net.Addr
	mechanism sasl.Mechanism
	transport *kafkago.Transport // all but what admin is for
	admin     *kafkago.Transport // creation of topics, which hangs on a transport with MetadataTopics, and the list of all
}

// Open checks the configuration and returns a Client. It does not dial: a broker that is down now may come later. Use
// Ping to find out.
func Open(cfg Config) (*Client, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("kafka: no brokers given")
	}
	for _, b := range cfg.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("kafka: broker %q is not host:port: %w", b, err)
		}
	}
	mechanism, err := cfg.mechanism()
	if err != nil {
		return nil, err
	}
	setUp()
	c := &Client{cfg: cfg, addr: kafkago.TCP(cfg.Brokers...), mechanism: mechanism}
	c.transport = c.newTransport(cfg.Topics)
	c.admin = c.newTransport(nil)
	return c, nil
}

func (c *Client) newTransport(topics []string) *kafkago.Transport {
	return &kafkago.Transport{
		DialTimeout:    dialTimeout,
		MetadataTTL:    metadataTTL,
		MetadataTopics: topics,
		ClientID:       c.cfg.ClientID,
		TLS:            c.cfg.TLS,
		SASL:           c.mechanism,
	}
}

// mechanism is nil for an empty SASL.
func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch strings.ToUpper(s.Mechanism) {
	case "":
		if s.Username != "" || s.Password != "" {
			return nil, errors.New("kafka: sasl has a username or password but no mechanism")
		}
		return nil, nil
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
	case "SCRAM-SHA-256":
		return scram.Mechanism(scram.SHA256, s.Username, s.Password)
	case "SCRAM-SHA-512":
		return scram.Mechanism(scram.SHA512, s.Username, s.Password)
	}
	return nil, fmt.Errorf("kafka: sasl mechanism %q is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", s.Mechanism)
}

// Close closes idle connections; those in use close when their call ends. Producers and groups are closed by their owners.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	c.admin.CloseIdleConnections()
	return nil
}

// Ping asks a broker, any of them, for what it can do. Its error says in words what to check.
func (c *Client) Ping(ctx context.Context) error {
	if _, err := c.transport.RoundTrip(ctx, c.addr, &apiversions.Request{}); err != nil {
		return fmt.Errorf("kafka: brokers %s do not answer: %w", strings.Join(c.cfg.Brokers, ", "), explain(err))
	}
	return nil
}

func (c *Client) api() *kafkago.Client {
	return &kafkago.Client{Addr: c.addr, Transport: c.transport}
}
