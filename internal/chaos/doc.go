// Package chaos runs the real binaries on a real Kafka and a real Redis, hurts all
// of them while refunds flow, and holds what came of it against the promises.
//
// It guarantees to the reader of its verdict: the gateway keeps its books by
// itself and moves money for every call that it is sent, so a double payment or an
// overshoot is to be seen there; the auditor judges, not this package; whatever
// ended by itself, or was still open when it must not be, is a failure too; and a
// failure leaves the logs, with the whole story of each refund that is named.
//
// What the gateway is held to is what DESIGN.md, section 1, assumes of one: a call
// lands within its deadline plus resend_after or never, a call that leaves late is
// refused as stale, and its signed answers do not lie.
//
// It knows every package.
package chaos
