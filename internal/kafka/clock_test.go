package kafka

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// quorumOf is a broker's answer about its quorum, as another library writes it.
func quorumOf(code int16, caughtUp int64) []byte {
	answer := kmsg.NewPtrDescribeQuorumResponse()
	answer.SetVersion(1)
	answer.ErrorCode = code
	partition := kmsg.NewDescribeQuorumResponseTopicPartition()
	partition.LeaderID, partition.LeaderEpoch, partition.HighWatermark = 2, 7, 1000
	for id, at := range map[int32]int64{1: caughtUp - 60_000, 2: caughtUp, 3: -1} {
		voter := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		voter.ReplicaID, voter.LogEndOffset, voter.LastFetchTimestamp, voter.LastCaughtUpTimestamp = id, 1000, at, at
		partition.CurrentVoters = append(partition.CurrentVoters, voter)
	}
	topic := kmsg.NewDescribeQuorumResponseTopic()
	topic.Topic = metadataTopic
	topic.Partitions = append(topic.Partitions, partition)
	if code == 0 {
		answer.Topics = append(answer.Topics, topic)
	}
	return append([]byte{0, 0, 0, 1, 0}, answer.AppendTo(nil)...) // header 1
}

// controller answers one request as a broker whose clock is ahead of ours.
func controller(t *testing.T, code int16, ahead time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		asked, err := readAnswer(conn)
		if err != nil {
			return
		}
		request := kmsg.NewPtrDescribeQuorumRequest()
		request.SetVersion(1)
		if binary.BigEndian.Uint16(asked) != 55 || binary.BigEndian.Uint16(asked[2:]) != 1 || request.ReadFrom(asked[8+2+len("us")+1:]) != nil ||
			len(request.Topics) != 1 || request.Topics[0].Topic != metadataTopic || len(request.Topics[0].Partitions) != 1 {
			t.Errorf("asked %q: %+v", asked, request)
		}
		body := quorumOf(code, time.Now().Add(ahead).UnixMilli())
		_, _ = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
		_, _ = io.Copy(io.Discard, conn)
	}()
	return listener.Addr().String()
}

func TestSkew(t *testing.T) {
	for _, ahead := range []time.Duration{0, 90 * time.Second, -time.Hour} {
		client, err := Open(Config{Brokers: []string{controller(t, 0, ahead)}, ClientID: "us"})
		must(t, err)
		defer client.Close()
		got, err := client.Skew(within(t, 5*time.Second))
		if off := (got - ahead).Abs(); err != nil || off > time.Second {
			t.Errorf("%s ahead: measured %s, %v", ahead, got, err)
		}
	}
	refused, err := Open(Config{Brokers: []string{controller(t, 31, 0)}, ClientID: "us"})
	must(t, err)
	defer refused.Close()
	if _, err := refused.Skew(within(t, 5*time.Second)); !errors.Is(err, ErrNoClock) {
		t.Errorf("without the right: %v", err)
	}
	// A broker that does not know the call.
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	must(t, err)
	defer fake.Close()
	old, err := Open(Config{Brokers: fake.ListenAddrs(), ClientID: "us"})
	must(t, err)
	defer old.Close()
	if _, err := old.Skew(within(t, 5*time.Second)); !errors.Is(err, ErrNoClock) {
		t.Errorf("an old broker: %v", err)
	}
	if _, err := (&Client{cfg: Config{Brokers: []string{"127.0.0.1:1"}}}).Skew(within(t, 5*time.Second)); err == nil || errors.Is(err, ErrNoClock) {
		t.Errorf("nobody there: %v", err)
	}
}

func FuzzLeaderTime(f *testing.F) {
	f.Add(quorumOf(0, 1_700_000_000_000))
	f.Add(quorumOf(31, 1))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if at, err := leaderTime(answer); err == nil && at.IsZero() {
			t.Fatal("no time and no error")
		}
	})
}
