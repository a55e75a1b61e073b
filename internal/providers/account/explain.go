package account

import "github.com/refundworker/refundworker/internal/refund"

// Explanation says how a callback's signature is looked at, for whoever has to
// find out why one is refused. It holds no secret and no key.
type Explanation struct {
	Rule    string        // how the vendor signs, in words
	Signed  string        // the text that is signed, without the secret; empty where there is none to be had
	Fields  []string      // that are signed, in their order
	LeftOut []string      // fields that are there and not signed
	Sign    string        // as received
	Keys    []KeyTried    // in the order in which they are tried
	Hints   []string      // what would make it right; each is certain, none is a guess about a secret
	Err     error         // why it counts for nothing: a *refund.CallbackError; nil: it counts
	Notice  refund.Notice // what it tells, where Err is nil
}

// KeyTried is one secret or key by the name of its setting.
type KeyTried struct {
	Name    string
	Matched bool
}

// Told is what a gateway's notification is to say, for a rehearsal.
type Told struct {
	Refund   refund.Record // the refund: its numbers, amounts and wallet
	Event    string        // success, failed or cancel
	RefundID string        // the gateway's own number; empty: the record's, or one made up
}
