// Package refund is the domain: what a refund is, how it may move from one
// status to the next, and the order of steps by which money is moved at most
// once.
//
// It guarantees, given what its ports promise (see ports.go):
//
//   - nothing is sent to a gateway before the intent to do so is durable on the
//     status topic;
//   - after an outcome that is not known the only next step is to ask the
//     gateway; a resend, always under the same number, needs its proof that it
//     has no such refund;
//   - statuses only move forward, and every change is a new event with a higher
//     sequence.
//
// Its parts, in the order of a delivery: Handler (one delivery to one verdict),
// Decide (the pure lifecycle), Recorder (decide, record, publish: shared by
// worker and bridge), Schedule (when to ask again).
//
// It knows no Kafka, no Redis and no HTTP. It declares what it needs of them
// (Accounts, Claims, Records, Gateway, Slots, Publisher) and everybody else knows
// it.
package refund
