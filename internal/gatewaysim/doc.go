// Package gatewaysim is eftPay and BluePay as their pages describe them, over
// real HTTP, with a ledger of the money that moved and misbehaviour on
// request. It is the opponent that the clients of this module are judged by:
// it imports no other package of the module, signs and parses by its own
// code, checks every field against the vendors' tables, and is never linked
// into the worker or the bridge.
//
// # Guarantees
//
//   - Each movement of money is one ledger entry. The same refund number sent
//     twice moves money twice, and nothing checks totals, unless Config says
//     so: a client's double payment or overshoot is to be seen.
//   - A valid call takes effect even where its caller has hung up.
//   - A call that breaks a vendor's page has no effect, uses up no script step,
//     and is listed by Refusals.
//   - The gateway's own numbers, and what a Generator writes, depend on the
//     seed and on the refund alone: a run repeats.
//   - No lock is held over a sleep, a signature or a write. Callbacks have a
//     bounded number of senders. Close leaves no goroutine behind.
//
// # Addresses
//
//	POST {prefix}/Servlet/JSAPIService.do       eftPay refunds and query B (prefix: /VMP)
//	POST {prefix}/Servlet/QRcodeTradeQuery.do   eftPay query A; without refund_no the sale's status
//	POST /open-api/payment/refund               BluePay 5.1
//	POST /open-api/refund/payments              BluePay 5.2
//
// # eftPay's return_status
//
// Values of 00 and above are signed, negative ones are not, as the page has
// it. 00, 12 (time off), 51 (SYSTEM_EXCEPTION) and -13 (service) are seen at
// eftPay; its appendix is not public, so these are the simulator's own: 40
// query for an unknown refund (EftPayMerchant.NotFoundStatus), 41 another
// amount under the same number, -1 not a JSON object of strings, -2
// merchant, -3 sign, -4 a field, -5 wallet differs from the sale's, -6
// unknown sale. Query B's querytype EFT_TRADE is a guess as well.
//
// # Scripts
//
// Script, ScriptQueries and ScriptNotifications say how the successive calls,
// queries and callbacks of a refund number go, or of merchant/number where two
// merchants use the same. See Step and Notification for the fields. Over the control page they are written as JSON, durations as
// "1m30s":
//
//	{"scripts": {"R1": {
//	  "calls":         [{"result": "succeed", "answer": "hang"}, {"code": "51"}],
//	  "queries":       [{"answer": "reset", "times": 3}, {"result": "nothing"}, {"delay": "2s"}],
//	  "notifications": [{"sign": "foreign", "once": true}, {"after": "1s"}, {"after": "1s"}]}}}
//
//	calls, queries: times delay result answer every http_status status code message fields;
//	                calls also land_after, settle_after
//	result:         succeed fail cancel decline process nothing; queries: reverse, not decline
//	answer:         hang reset hangup html garbage empty truncated drip oversized redirect
//	                unsigned bad_sign unknown_status unknown_code contradict other_refund other_amount
//	notifications:  after before_answer skip sign once status event amount refund_no shape url fields
//	sign:           bad missing foreign tampered
//
// A number without a script gets one at its first call: by its amount where
// Config.MagicAmounts is set, else by the Generator.
//
// # Magic amounts, which are the Generator's names too
//
//	amount  name                  what happens
//	900.01  timeout_before        never answered, no money moved
//	900.02  timeout_after         money moved, never answered
//	900.03  land_late             never answered, money moves 20 s after the call
//	900.04  reset_before          connection reset, no money moved
//	900.05  reset_after           money moved, connection reset
//	900.06  error_before          500 with HTML, no money moved
//	900.07  error_after           money moved, 500 with HTML
//	900.08  garbage               money moved, answer is no JSON
//	900.09  unsigned              money moved, answer unsigned (eftPay)
//	900.10  bad_sign              money moved, answer badly signed (eftPay)
//	900.11  unknown_status        money moved, status that no page lists
//	900.12  unknown_code          money moved, code that no page lists
//	900.13  drip                  money moved, answer comes a byte a second
//	900.14  oversized             money moved, answer of 8 MiB
//	900.15  redirect              307 to itself; who follows it pays there
//	900.16  slow                  answers after 5 s
//	900.17  decline               refused for good
//	900.18  fail_later            taken, fails 2 s later
//	900.19  cancel_later          taken, cancelled 2 s later (BluePay)
//	900.20  settle_later          taken, succeeds 30 s later
//	900.21  stuck                 taken, stays open for ever
//	900.22  settle_by_query       taken, the second query ends it, no callback
//	900.23  system_error_before   eftPay 51, BluePay 21000; no money moved
//	900.24  system_error_after    money moved, eftPay 51, BluePay 21000
//	900.25  later                 twice refused for now: BluePay 21014, eftPay HTTP 429
//	900.26  other_refund          money moved, answer about another refund
//	900.27  other_amount          money moved, answer with another amount
//	900.28  contradict            money moved, answer says failed
//	900.29  reverse               succeeds, the first query finds it taken back
//	900.30  query_fails           money moved, never answered; three queries fail
//	900.31  callback_lost         ends without a callback
//	900.32  callback_doubled      callback twice at once
//	900.33  callback_late         callback 5 min late
//	900.34  callback_overtaken    final callback, then an older one
//	900.35  callback_forged       forged callback, then the true one
//	900.36  callback_amount       callback with another amount, then the true one
//	900.37  callback_first        callback before the answer to the call
package gatewaysim
