// Package sandbox is the whole system in one process: embedded Kafka and Redis,
// simulated gateways, a worker and a bridge, over real sockets, wired by the same
// constructors as the commands and from a configuration file of the same form.
// Nothing needs to be installed, nothing outlives it.
//
// It knows the app and everything that is simulated.
package sandbox
