package realparts

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Missing names in one line what this machine lacks for these commands, or is
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
	return "missing here: " + strings.Join(missing, ", ") + " (Debian: openjdk-17-jre-headless maven redis-server)"
}

// Process is one started part. Kill, Pause and Resume are for tests that hurt it.
type Process struct {
	name    string
	logFile string
	build   func() *exec.Cmd

	mu      sync.Mutex
	command *exec.Cmd
	exited  chan struct{}
	spawner sync.Once
	start   chan request
}

type request struct {
	cmd *exec.Cmd
	err chan error
}

// startProcess starts a command with its output in dir/name.log. ready is asked
// until it answers true.
func startProcess(dir, name string, build func() *exec.Cmd, ready func() bool, within time.Duration) (*Process, error) {
	p := &Process{name: name, logFile: filepath.Join(dir, name+".log"), build: build}
	if err := p.Start(); err != nil {
		return nil, err
	}
	if err := p.await(ready, within); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// Start starts the part, again after a Kill.
func (p *Process) Start() error {
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := p.build()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.spawn(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	exited := make(chan struct{})
	p.mu.Lock()
	p.command, p.exited = cmd, exited
	p.mu.Unlock()
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	return nil
}

// spawn forks on a thread that lives as long as this process: the kernel sends
// the parent-death signal when the forking thread ends, not the process.
func (p *Process) spawn(cmd *exec.Cmd) error {
	p.spawner.Do(func() {
		p.start = make(chan request)
		go func() {
			runtime.LockOSThread()
			for r := range p.start {
				r.err <- r.cmd.Start()
			}
		}()
	})
	r := request{cmd, make(chan error, 1)}
	p.start <- r
	return <-r.err
}

func (p *Process) await(ready func() bool, within time.Duration) error {
	for deadline := time.Now().Add(within); !ready(); time.Sleep(50 * time.Millisecond) {
		select {
		case <-p.current():
			return fmt.Errorf("%s ended: %s", p.name, p.lastLines())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %s: %s", p.name, within, p.lastLines())
		}
	}
	return nil
}

func (p *Process) current() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

func (p *Process) lastLines() string {
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// Signal sends a signal to the part's whole process group.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command == nil || p.command.Process == nil {
		return errors.New(p.name + " was never started")
	}
	return syscall.Kill(-p.command.Process.Pid, s)
}

// Kill is kill -9, and waits until the process has gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	if exited := p.current(); exited != nil {
		<-exited
	}
}

// Stop is SIGTERM, and kill -9 where that does not help within the time.
func (p *Process) Stop(within time.Duration) {
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.current():
	case <-time.After(within):
		p.Kill()
	}
}

// Pause is SIGSTOP, Resume is SIGCONT.
func (p *Process) Pause() error  { return p.Signal(syscall.SIGSTOP) }
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

// Ports answers free ports of the loopback below the ephemeral range, so that no
// outgoing connection takes one before its part listens.
func Ports(n int) ([]int, error) {
	var ports []int
	for port := 20000 + os.Getpid()%5000; port < 32000 && len(ports) < n; port++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		listener.Close()
		ports = append(ports, port)
	}
	if len(ports) < n {
		return nil, fmt.Errorf("found %d of %d free ports between 20000 and 32000", len(ports), n)
	}
	return ports, nil
}

func listening(port int) bool {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 200*time.Millisecond)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
