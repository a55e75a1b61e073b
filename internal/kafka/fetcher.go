package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
)

// Where to begin, instead of an offset.
const (
	First int64 = kafkago.FirstOffset // the oldest record there is
	End   int64 = kafkago.LastOffset  // only what is written from now on
)

const (
	defaultMaxBytes = 512 << 10
	defaultMaxWait  = 500 * time.Millisecond
	answerMargin    = 2 * time.Second // past MaxWait: a broker that is silent for longer is frozen
	patience        = 5 * time.Second // trouble shorter than this (a restart, a moving leader) is not reported
	firstBackoff    = 50 * time.Millisecond
	longestBackoff  = time.Second
)

// FetchOptions bound one answer. Zero values mean 512 KiB and 500 ms.
type FetchOptions struct {
	MaxBytes int // packed; a broker sends one whole batch at least
	MaxWait  time.Duration
}

// Fetcher reads one partition in order: committed records only, each once, exact over the gaps that transactions and
// compaction leave. For one goroutine at a time.
//
// Of the two ways to do that with kafka-go this is the raw one: the response's batches are kept as bytes and read here
// (decodeCommitted). kafka-go's own record stream filters nothing, forgets each batch's last offset, so that the end of a
// compacted segment can only be stepped over one by one, and costs 4 to 10 times the CPU on small batches.
//
// The request's MaxBytes is kept well above the partition's limit: kfake leaves out the list of aborted transactions when
// MaxBytes is what cuts an answer (real brokers do not).
type Fetcher struct {
	client *Client
	tp     TopicPartition
	opts   FetchOptions
	offset int64
	end    int64

	records []Record // of the last answer, to be used again
}

// Fetcher begins at offset, or at First or End.
func (c *Client) Fetcher(tp TopicPartition, offset int64, opts FetchOptions) *Fetcher {
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	if opts.MaxWait <= 0 {
		opts.MaxWait = defaultMaxWait
	}
	return &Fetcher{client: c, tp: tp, opts: opts, offset: offset, end: -1}
}

// Offset is where the next Fetch begins: behind everything that was returned or dropped. Negative until the first Fetch
// where it began at First or End.
func (f *Fetcher) Offset() int64 { return f.offset }

// End is the last stable offset as of the last answer: everything before it is decided. -1 before the first answer.
func (f *Fetcher) End() int64 { return f.end }

// SeekTo makes the next Fetch begin at offset, First or End.
func (f *Fetcher) SeekTo(offset int64) { f.offset = offset }

// Resolve turns First or End into an offset, so that Offset tells it before the first Fetch. Trouble is ridden out and
// returned as in Fetch.
func (f *Fetcher) Resolve(ctx context.Context) error {
	if f.offset >= 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at, err := f.client.offsetWithin(bounded, f.tp, f.offset)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("kafka: where to begin in %s: %w", f.tp, explain(err))
	}
	f.offset = at
	return nil
}

// Fetch returns the next records, or none when MaxWait went by without any. The slice is used again by the next Fetch; keys,
// values and headers may be kept. Short trouble (a restarting broker, a moved
// leader) is ridden out inside, with growing pauses; trouble of more than five seconds is returned, and
// calling again is right. OutOfRangeError is returned at once and stays until SeekTo; CorruptError comes after several tries.
func (f *Fetcher) Fetch(ctx context.Context) ([]Record, error) {
	var troubleSince time.Time
	for pause := firstBackoff; ; pause = min(2*pause, longestBackoff) {
		records, err := f.once(ctx)
		if errors.Is(err, kafkago.OffsetOutOfRange) {
			err = f.outOfRange(ctx, err)
		}
		var gone *OutOfRangeError
		if err == nil || errors.As(err, &gone) {
			return records, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if troubleSince.IsZero() {
			troubleSince = time.Now()
		}
		if !retriable(err) || time.Since(troubleSince) > patience {
			return nil, fmt.Errorf("kafka: reading %s at offset %d: %w", f.tp, f.offset, explain(err))
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// once sends one request. Its deadline is what saves the loop from a frozen broker.
func (f *Fetcher) once(ctx context.Context) ([]Record, error) {
	if f.offset < 0 {
		at, err := f.client.listOffset(ctx, f.tp, f.offset, true)
		if err != nil {
			return nil, err
		}
		f.offset = at
	}
	ctx, cancel := context.WithTimeout(ctx, f.opts.MaxWait+answerMargin)
	defer cancel()
	answer, err := f.client.transport.RoundTrip(ctx, f.client.addr, &fetch.Request{
		ReplicaID:      -1,
		MaxWaitTime:    int32(f.opts.MaxWait.Milliseconds()),
		MinBytes:       1,
		MaxBytes:       int32(2*f.opts.MaxBytes + 1<<20),
		IsolationLevel: 1, // read_committed
		SessionEpoch:   -1,
		Topics: []fetch.RequestTopic{{Topic: f.tp.Topic, Partitions: []fetch.RequestPartition{{
			Partition:          int32(f.tp.Partition),
			CurrentLeaderEpoch: -1,
			FetchOffset:        f.offset,
			LogStartOffset:     -1,
			PartitionMaxBytes:  int32(f.opts.MaxBytes),
		}}}},
	})
	if err != nil {
		return nil, err
	}
	response := answer.(*fetchResponse)
	if response.ErrorCode != 0 {
		return nil, kafkago.Error(response.ErrorCode)
	}
	if len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 {
		return nil, errors.New("the answer is not about the partition asked for")
	}
	p := &response.Topics[0].Partitions[0]
	if p.ErrorCode != 0 {
		return nil, kafkago.Error(p.ErrorCode)
	}
	defer free(p.Batches.bytes)
	clear(f.records) // who has kept none of them is to keep none of their bytes
	records, next, err := decodeCommitted(f.tp, p, f.offset, f.records[:0])
	f.records = records
	if err != nil && len(records) == 0 {
		return nil, err
	}
	// Before a damaged batch there may be good ones: they are delivered, the next Fetch meets the damage first.
	f.offset, f.end = next, p.LastStableOffset
	return records, nil
}

// outOfRange confirms at the leader that the offset does not exist. The broker that said so may be one that leads no more
// and lags behind, and so may the one asked now: both must agree after a second and with new metadata.
func (f *Fetcher) outOfRange(ctx context.Context, said error) error {
	var gone *OutOfRangeError
	for range 2 {
		first, err := f.client.listOffset(ctx, f.tp, First, false)
		if err != nil {
			return err
		}
		end, err := f.client.listOffset(ctx, f.tp, End, false)
		if err != nil {
			return err
		}
		if first <= f.offset && f.offset <= end {
			return said
		}
		if gone != nil {
			break
		}
		gone = &OutOfRangeError{f.tp, f.offset, first, end}
		if err := sleep(ctx, metadataTTL+metadataTTL/4); err != nil {
			return err
		}
	}
	return gone
}

// listOffset asks the leader for the offset at a time in milliseconds since 1970, First or End. With committed, End is
// the last stable offset, else the high watermark. A time later than any record answers the end.
func (c *Client) listOffset(ctx context.Context, tp TopicPartition, at int64, committed bool) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+answerMargin)
	defer cancel()
	req := &listoffsets.Request{ReplicaID: -1, Topics: []listoffsets.RequestTopic{{Topic: tp.Topic,
		Partitions: []listoffsets.RequestPartition{{Partition: int32(tp.Partition), CurrentLeaderEpoch: -1, Timestamp: at}}}}}
	if committed {
		req.IsolationLevel = 1
	}
	answer, err := c.transport.RoundTrip(ctx, c.addr, req)
	if err != nil {
		return 0, err
	}
	topics := answer.(*listoffsets.Response).Topics
	if len(topics) != 1 || len(topics[0].Partitions) != 1 {
		return 0, fmt.Errorf("no offset in the answer about %s", tp)
	}
	p := topics[0].Partitions[0]
	switch {
	case p.ErrorCode != 0:
		return 0, kafkago.Error(p.ErrorCode)
	case p.Offset < 0 && at >= 0: // nothing is that young
		return c.listOffset(ctx, tp, End, committed)
	}
	return p.Offset, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
