//go:build unix && !linux

package realparts

import "syscall"

// ownGroup is a process group of its own. It outlives a kill -9 of this process.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// EndWithParent is for Linux alone.
func EndWithParent() {}
