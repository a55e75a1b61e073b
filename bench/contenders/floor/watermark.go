package main

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// watermarks knows per partition up to where everything is done.
type watermarks struct {
	topic string
	mu    sync.Mutex
	fifos map[int32]*fifo
}

type fifo struct {
	places []*place
	mark   int64 // offset after the last done one of the prefix
}

type place struct {
	offset int64
	done   bool
}

func newWatermarks(topic string) *watermarks {
	return &watermarks{topic: topic, fifos: map[int32]*fifo{}}
}

func (w *watermarks) add(partition int32, offset int64) *place {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.fifos[partition]
	if f == nil {
		f = &fifo{mark: offset}
		w.fifos[partition] = f
	}
	p := &place{offset: offset}
	f.places = append(f.places, p)
	return p
}

func (w *watermarks) done(partition int32, p *place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.done = true
	f := w.fifos[partition]
	for len(f.places) > 0 && f.places[0].done {
		f.mark = f.places[0].offset + 1
		f.places[0] = nil
		f.places = f.places[1:]
	}
}

func (w *watermarks) commit(ctx context.Context, client *kgo.Client) error {
	w.mu.Lock()
	offsets := map[int32]kgo.EpochOffset{}
	for partition, f := range w.fifos {
		offsets[partition] = kgo.EpochOffset{Epoch: -1, Offset: f.mark}
	}
	w.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	var failed error
	client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{w.topic: offsets}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
		failed = err
	})
	return failed
}
