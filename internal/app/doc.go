// Package app wires the parts in one straight line: the worker and the bridge, as
// cmd/*, the sandbox and the crash tests run them. It knows every other package
// but the simulated ones, and decides nothing itself.
package app
