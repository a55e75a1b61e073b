//go:build race

package explorer

// raced: the race detector is on, and everything takes ten times as long.
const raced = true
