// Package wire is what the contenders say and hear: requests, status events and
// eftPay's calls, as far as the benchmark's own work needs them. It is written for
// speed: fixed field orders, no maps, no checks that only strangers' messages need.
// It shares no code with the product, so that what it costs is a floor.
package wire
