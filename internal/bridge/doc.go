// Package bridge takes the gateways' callbacks over HTTP into the same lifecycle as the worker's news.
//
// It guarantees:
//
//   - only what the gateway's own signature proves is looked at any further; nothing else reaches the store, a log or a
//     topic;
//   - 200 and the gateway's acknowledgement are answered only once the event is durable on the status topic and, where a
//     query is owed, its follow-up is durable too. Anything short of that is an answer that makes the gateway repeat;
//   - a repeat, a late or an overtaken callback is answered like the first: what it changes is refund.Decide's to say;
//   - slow, large or many requests take bounded time and memory.
//
// It knows the domain (refund) and net/http. The answers are the table of DESIGN.md, section 3, "Bridge".
package bridge
