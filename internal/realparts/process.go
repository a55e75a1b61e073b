//go:build unix

package realparts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Missing names in one line what this machine lacks of these commands, or is
// empty.
func Missing(commands ...string) string {
	var missing []string
	for _, c := range commands {
		if _, err := exec.LookPath(c); err != nil {
			missing = append(missing, c)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "missing here: " + strings.Join(missing, ", ") + " (Debian: apt-get install default-jre-headless maven redis-server)"
}

// Process is one started part. It may be killed and started again, with the same
// command and data. Its methods are safe for use by several goroutines.
type Process struct {
	Name string
	Log  string // the file with its output, all lives of it

	build func() *exec.Cmd

	mu      sync.Mutex
	command *exec.Cmd
	exited  chan struct{}
}

// StartProcess starts a command with its output appended to dir/name.log, and
// returns once ready answers true. build makes the command anew for each Start;
// ready nil: it is not waited for.
func StartProcess(dir, name string, build func() *exec.Cmd, ready func() bool, within time.Duration) (*Process, error) {
	p := &Process{Name: name, Log: filepath.Join(dir, name+".log"), build: build}
	if err := p.Start(); err != nil {
		return nil, err
	}
	if ready == nil {
		return p, nil
	}
	if err := p.Await(ready, within); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// Start starts the part again after it has ended. It does not wait until it is
// ready.
func (p *Process) Start() error {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := p.build()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownGroup()
	if err := spawn(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	exited := make(chan struct{})
	p.mu.Lock()
	p.command, p.exited = cmd, exited
	p.mu.Unlock()
	go func() {
		_ = cmd.Wait() // ExitCode tells
		close(exited)
	}()
	return nil
}

// Await asks until ready answers true. Its error shows the last lines of the log.
func (p *Process) Await(ready func() bool, within time.Duration) error {
	deadline := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.Exited():
			return fmt.Errorf("%s ended: %s", p.Name, p.lastLines())
		case <-deadline:
			return fmt.Errorf("%s is not ready after %s: %s", p.Name, within, p.lastLines())
		case <-tick.C:
		}
	}
	return nil
}

// Exited is closed once the newest life of the part has ended.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

// ExitCode of the newest life, once Exited is closed; -1 where a signal ended it.
func (p *Process) ExitCode() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.command.ProcessState.ExitCode()
}

// Pid is the process id of the newest life.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.command.Process.Pid
}

func (p *Process) lastLines() string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// Signal sends a signal to the part's whole process group. A part that has ended
// is no error.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.exited:
		return nil // its number may be somebody else's now
	default:
	}
	if err := syscall.Kill(-p.command.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("%s to %s: %w", s, p.Name, err)
	}
	return nil
}

// Kill is kill -9, and waits until the process has gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.Exited()
}

// Stop is SIGTERM, and kill -9 where that does not help within the time. It
// answers whether SIGTERM was enough.
func (p *Process) Stop(within time.Duration) bool {
	_ = p.Signal(syscall.SIGTERM)
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.Exited():
		return true
	case <-timer.C:
		p.Kill()
		return false
	}
}

// Pause is SIGSTOP, Resume is SIGCONT.
func (p *Process) Pause() error  { return p.Signal(syscall.SIGSTOP) }
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

// spawn forks on a thread that lives as long as this process: the kernel sends the
// parent-death signal when the forking thread ends, not the process.
func spawn(cmd *exec.Cmd) error {
	forker.once.Do(func() {
		forker.work = make(chan func())
		go func() {
			runtime.LockOSThread()
			for work := range forker.work {
				work()
			}
		}()
	})
	failed := make(chan error, 1)
	forker.work <- func() { failed <- cmd.Start() }
	return <-failed
}

var forker struct {
	once sync.Once
	work chan func()
}
