// Package telemetry is what a process tells of itself: metrics, traces, and what
// its log lines may show. It knows the domain alone.
//
// It guarantees that every label of a metric is a closed set (its own words, or
// names of the configuration), so that nobody outside can make a new series; that
// a number which looks like a card is not shown whole; and that without a tracing
// endpoint nothing of a trace is made.
package telemetry
