package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// ErrNoClock means that the cluster does not tell its time: it runs without KRaft, or this user lacks the Describe right
// on the cluster.
var ErrNoClock = errors.New("kafka: the cluster does not tell its time")

// Skew is how far the clock of the cluster's active controller is ahead of ours, to half a round trip. Kafka has no call
// for the time; DescribeQuorum (KIP-595, KIP-836) tells, of the quorum's leader, when it was caught up last, which is the
// moment of the answer.
func (c *Client) Skew(ctx context.Context) (time.Duration, error) {
	var err error
	for _, broker := range c.cfg.Brokers {
		var skew time.Duration
		if skew, err = c.skewTo(ctx, broker); err == nil || errors.Is(err, ErrNoClock) {
			return skew, err
		}
	}
	return 0, fmt.Errorf("kafka: asking for the time: %w", explain(err))
}

func (c *Client) skewTo(ctx context.Context, broker string) (time.Duration, error) {
	conn, err := c.dialRaw(ctx, broker)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	} else {
		_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	}
	sent := time.Now()
	if _, err := conn.Write(quorumRequest(c.cfg.ClientID)); err != nil {
		return 0, err
	}
	answer, err := readAnswer(conn)
	if err != nil { // a broker that does not know the call closes the connection
		return 0, fmt.Errorf("%w: %w", ErrNoClock, err)
	}
	took := time.Since(sent)
	at, err := leaderTime(answer)
	if err != nil {
		return 0, err
	}
	return at.Sub(sent.Add(took / 2).Round(0)), nil
}

// dialRaw is a connection of our own to a broker, TLS and SASL done by kafka-go.
func (c *Client) dialRaw(ctx context.Context, broker string) (net.Conn, error) {
	var raw net.Conn
	dialer := &kafkago.Dialer{ClientID: c.cfg.ClientID, Timeout: dialTimeout, SASLMechanism: c.mechanism,
		DialFunc: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
			if err != nil || c.cfg.TLS == nil {
				raw = conn
				return conn, err
			}
			config := c.cfg.TLS.Clone()
			if config.ServerName == "" {
				config.ServerName, _, _ = net.SplitHostPort(broker)
			}
			secured := tls.Client(conn, config)
			if err := secured.HandshakeContext(ctx); err != nil {
				conn.Close()
				return nil, err
			}
			raw = secured
			return secured, nil
		}}
	if _, err := dialer.DialContext(ctx, "tcp", broker); err != nil {
		return nil, err
	}
	return raw, nil
}

const metadataTopic = "__cluster_metadata"

// quorumRequest is DescribeQuorum version 1 about the one partition that there is. Header 2, "flexible" encoding
// (KIP-482): lengths are varints plus one, and each struct ends in its tagged fields, of which there are none.
func quorumRequest(clientID string) []byte {
	b := make([]byte, 4, 64) // the length
	b = binary.BigEndian.AppendUint16(b, 55)
	b = binary.BigEndian.AppendUint16(b, 1)
	b = binary.BigEndian.AppendUint32(b, 1) // correlation
	b = binary.BigEndian.AppendUint16(b, uint16(len(clientID)))
	b = append(b, clientID...)
	b = append(b, 0)
	b = append(b, 2, byte(len(metadataTopic)+1))
	b = append(b, metadataTopic...)
	b = append(b, 2, 0, 0, 0, 0, 0) // partition 0
	b = append(b, 0, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// mostAnswer bounds an answer about a quorum of any size.
const mostAnswer = 1 << 20

func readAnswer(conn io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > mostAnswer {
		return nil, fmt.Errorf("an answer of %d bytes", size)
	}
	answer := make([]byte, size)
	_, err := io.ReadFull(conn, answer)
	return answer, err
}

// leaderTime reads the answer up to its leader.
func leaderTime(answer []byte) (time.Time, error) {
	r := &flexible{b: answer}
	r.skip(4) // correlation
	r.tags()
	code := int16(r.number(2))
	topics := r.count()
	if code != 0 || topics < 1 || r.bad {
		return time.Time{}, fmt.Errorf("%w: %w", ErrNoClock, kafkago.Error(code))
	}
	r.skip(r.count()) // the topic's name
	partitions := r.count()
	r.skip(4)
	code = int16(r.number(2))
	leader := int32(r.number(4))
	if code != 0 || partitions < 1 || r.bad {
		return time.Time{}, fmt.Errorf("%w: %w", ErrNoClock, kafkago.Error(code))
	}
	r.skip(4 + 8) // epoch, high watermark
	for range r.count() {
		id := int32(r.number(4))
		r.skip(8 + 8) // log end, last fetch
		caughtUp := int64(r.number(8))
		r.tags()
		if id == leader && caughtUp > 0 && !r.bad {
			return time.UnixMilli(caughtUp), nil
		}
	}
	return time.Time{}, ErrNoClock
}

// flexible takes an answer apart; bad once it ended too soon.
type flexible struct {
	b   []byte
	bad bool
}

func (r *flexible) skip(n int) { r.take(n) }

func (r *flexible) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *flexible) number(bytes int) (n uint64) {
	for _, c := range r.take(bytes) {
		n = n<<8 | uint64(c)
	}
	return n
}

func (r *flexible) varint() int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > mostAnswer {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

// count is the length of an array or a string; 0 where it is null.
func (r *flexible) count() int { return max(0, r.varint()-1) }

func (r *flexible) tags() {
	for range r.varint() {
		r.varint()
		r.skip(r.varint())
		if r.bad {
			return
		}
	}
}
