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
// Time: feed it a system at rest, or read in this order: books, dead letters, delay topics, requests, and the status topic
// last, so that whatever is seen has had the time to be answered; and say what still waits (Checker.Queued).
//
// Memory: about 450 bytes a refund (its names, three events, its order), nothing per repeat. Ten million refunds need
// some 5 GB; with less, audit the merchants in turn: no promise reaches beyond one merchant.
//
// It knows the domain (refund) alone.
package audit
