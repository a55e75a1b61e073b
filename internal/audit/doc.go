// Package audit proves the promises of DESIGN.md, section 1, for every refund, from what lies on the topics and in the
// gateways' books, and names each refund that breaks one:
//
//  1. nothing is lost: every request has a status, final or visibly open, or is a dead letter, or still waits to be read;
//  2. money moves at most once, only after its intent was on the status topic, and statuses say the truth about it;
//  3. no order is refunded beyond its total, by the statuses and by the books;
//  4. statuses only move forward: same id, same content; after a final one only repeats, an explicit correction, or the
//     adoption of a refund that was known from a callback alone.
//
// A Checker is fed in any order of kinds (requests, statuses, dead letters, books), each topic's partition in the order
// of its offsets, and reads nothing by itself. It is judged by nobody else's code: of the domain it uses types and
// which status is final, not the lifecycle.
//
// Time: a system at rest may be read in any order. Of one that is at work read first the committed offsets of the request
// topic and of all delay topics, all of them before anything else; then the books, the dead letters, the delay topics
// and the request topic from there on for what still waits (Checker.Queued; a message is written to where it waits next
// before it is committed where it was), the requests, and the status topic last. Options.Books needs a system at rest: what
// is paid after the books were read has no entry there.
//
// Memory: RefundBytes a refund (its names, three events, its order), nothing per repeat, some 300 bytes a finding. With
// Options.Parts what is given goes into that many files, by the refunds' numbers, and Report takes one of them after
// another, then the orders in the same way: memory holds one part at a time, the files some 350 bytes a refund.
//
// It knows the domain (refund) alone.
package audit
