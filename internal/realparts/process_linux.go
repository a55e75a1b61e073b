package realparts

import (
	"runtime"
	"syscall"
)

// ownGroup is a process group of its own, killed when this process dies.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// EndWithParent has this process get SIGTERM when whoever started it dies without
// a word, as make and go run do at a SIGTERM. Call it from main.
func EndWithParent() {
	runtime.LockOSThread() // the kernel remembers it with the thread
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0)
}
