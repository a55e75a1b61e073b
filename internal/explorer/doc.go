// Package explorer drives the real money path through its crashes in virtual time and holds what is left against the
// promises: refund.Handler, Decide and Recorder, the bridge's handler, statuslog.Keeper, the guard and the eftpay
// gateway, on the store in plain Go (or the Lua scripts in an embedded Redis), the simulated gateways, and a model of
// the topics and of the consumer.
//
// Every step at a port is a gate at which its goroutine waits for the one scheduler, so a run is a function of its
// schedule or seed: what fails prints one line that repeats it. A killed process never leaves the gate at which it died.
//
// There are tests here and nothing else:
//
//   - TestSchedules: one refund (or two of one order), every gate x gateway behaviour x who continues x what Redis keeps;
//   - TestLives: seeded lives of 72 hours with everything mixed;
//   - TestFault...: each rule of the protocol left out on purpose, and the shortest trace by which that is found;
//   - TestReplay: repeats what EXPLORE names, with its log.
package explorer
