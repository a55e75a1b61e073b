package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/refundworker/refundworker/internal/refund"
)

func fail(span trace.Span, what, words string) {
	span.SetAttributes(errorType.String(what))
	span.SetStatus(codes.Error, MaskCards(words))
}

// Claims are next's, each with a span.
func (t *Tracing) Claims(next refund.Claims) refund.Claims { return tracedClaims{t, next} }

type tracedClaims struct {
	*Tracing
	next refund.Claims
}

func (c tracedClaims) Claim(ctx context.Context, claim refund.Claim) (refund.Claimed, error) {
	ctx, span := c.script(ctx, claim.Request.Key, claim.Request.Trace, "claim")
	claimed, err := c.next.Claim(ctx, claim)
	return claimed, answered(span, claimed, err)
}

func (c tracedClaims) Resend(ctx context.Context, rec refund.Record, token string, lease time.Duration) (refund.Claimed, error) {
	ctx, span := c.script(ctx, rec.Key(), rec.Request.Trace, "resend")
	claimed, err := c.next.Resend(ctx, rec, token, lease)
	return claimed, answered(span, claimed, err)
}

func answered(span trace.Span, claimed refund.Claimed, err error) error {
	defer span.End()
	if err == nil {
		span.SetAttributes(refundAnswer.String(answers[claimed.Answer]), refundAttempt.Int(claimed.Record.Attempt))
	}
	failed(span, err)
	return err
}

// script begins the span of one of the store's scripts.
func (t *Tracing) script(ctx context.Context, key refund.Key, parent refund.Trace, name string) (context.Context, trace.Span) {
	return t.start(ctx, key, parent, "EVALSHA "+name, trace.SpanKindClient,
		dbSystem.String("redis"), dbOperation.String("EVALSHA"), dbProcedure.String(name))
}

// Records are next's, each with a span. The first load of a callback finds out
// which trace it belongs to.
func (t *Tracing) Records(next refund.Records) refund.Records { return tracedRecords{t, next} }

type tracedRecords struct {
	*Tracing
	next refund.Records
}

func (r tracedRecords) Load(ctx context.Context, key refund.Key) (refund.Record, error) {
	began := time.Now()
	rec, err := r.next.Load(ctx, key)
	if err == nil {
		r.belongs(ctx, rec)
	}
	ctx = ofRefund(within(ctx), key, rec.Request.Trace)
	_, span := r.tracer.Start(ctx, "EVALSHA load", trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		dbSystem.String("redis"), dbOperation.String("EVALSHA"), dbProcedure.String("load"), refundNo.String(key.RefundNo), refundMerchant.String(key.Merchant)))
	failed(span, err)
	span.End()
	return rec, err
}

func (r tracedRecords) Record(ctx context.Context, next refund.Record, endLease string) (refund.Record, bool, error) {
	ctx, span := r.script(ctx, next.Key(), next.Request.Trace, "record")
	defer span.End()
	stored, won, err := r.next.Record(ctx, next, endLease)
	if err == nil {
		span.SetAttributes(refundStatus.String(string(stored.Last.Status)), refundSequence.Int64(stored.Last.Sequence), refundAttempt.Int(stored.Attempt))
	}
	failed(span, err)
	return stored, won, err
}

func (r tracedRecords) Published(ctx context.Context, key refund.Key, sequence int64) (refund.Record, error) {
	ctx, span := r.script(ctx, key, refund.Trace{}, "published")
	defer span.End()
	rec, err := r.next.Published(ctx, key, sequence)
	failed(span, err)
	return rec, err
}

// Publisher is next, which writes to the named topic, with spans.
func (t *Tracing) Publisher(topic string, next refund.Publisher) refund.Publisher {
	return tracedPublisher{t, topic, next}
}

type tracedPublisher struct {
	*Tracing
	topic string
	next  refund.Publisher
}

func (p tracedPublisher) Publish(ctx context.Context, rec refund.Record) error {
	key := rec.Key().String()
	ctx, span := p.start(ctx, rec.Key(), rec.Request.Trace, "send "+p.topic, trace.SpanKindProducer,
		messagingSystem.String("kafka"), messagingOperation.String("send"), messagingOperationType.String("send"),
		messagingDestination.String(p.topic), kafkaKey.String(key), messagingMessageID.String(fmt.Sprintf("%s/%d", key, rec.Last.Sequence)),
		refundProvider.String(rec.Provider), refundStatus.String(string(rec.Last.Status)), refundSequence.Int64(rec.Last.Sequence))
	defer span.End()
	err := p.next.Publish(ctx, rec)
	failed(span, err)
	return err
}

// Gateway is next, with a span for each call and query. host is the gateway's.
func (t *Tracing) Gateway(provider, host string, next refund.Gateway) refund.Gateway {
	return tracedGateway{Gateway: next, tracing: t, attributes: []attribute.KeyValue{
		refundProvider.String(provider), httpMethod.String("POST"), serverAddress.String(host),
	}, provider: provider}
}

type tracedGateway struct {
	refund.Gateway
	tracing    *Tracing
	provider   string
	attributes []attribute.KeyValue
}

func (g tracedGateway) Sign(r refund.Request) (refund.Call, error) {
	call, err := g.Gateway.Sign(r)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) refund.Outcome {
		ctx, span := g.call(ctx, r.Key, r.Trace, "refund")
		return ended(span, call(ctx))
	}, nil
}

func (g tracedGateway) Query(ctx context.Context, rec refund.Record) refund.Outcome {
	ctx, span := g.call(ctx, rec.Key(), rec.Request.Trace, "query")
	return ended(span, g.Gateway.Query(ctx, rec))
}

func (g tracedGateway) call(ctx context.Context, key refund.Key, parent refund.Trace, kind string) (context.Context, trace.Span) {
	return g.tracing.start(ctx, key, parent, kind+" "+g.provider, trace.SpanKindClient, g.attributes[:len(g.attributes):len(g.attributes)]...)
}

func ended(span trace.Span, o refund.Outcome) refund.Outcome {
	defer span.End()
	span.SetAttributes(refundClass.String(string(o.Class)))
	if o.Code != "" {
		span.SetAttributes(refundCode.String(o.Code))
	}
	if o.Outage || o.Hold || o.Class == refund.Misconfigured {
		fail(span, string(o.Class), o.Message)
	}
	return o
}
