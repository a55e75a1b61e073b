//go:build unix

package lab

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU     time.Duration // user and system
	PeakRSS int64         // bytes
}

// clockTick is USER_HZ, which Linux fixes at 100 for programs.
const clockTick = 10 * time.Millisecond

// usage reads /proc (proc(5)).
func usage(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	// The name in parentheses may hold anything; the 12th and 13th field after it are utime and stime.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return Usage{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return Usage{}, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return Usage{}, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, err
	}
	peak, err := number(string(status), "VmHWM:")
	return Usage{CPU: time.Duration(user+system) * clockTick, PeakRSS: peak << 10}, err
}

// number is the one after a name in a text of lines.
func number(text, name string) (int64, error) {
	_, rest, found := strings.Cut(text, name)
	if fields := strings.Fields(rest); found && len(fields) > 0 {
		return strconv.ParseInt(fields[0], 10, 64)
	}
	return 0, fmt.Errorf("no %s", name)
}

// redisMemory is what Redis holds, in bytes.
func (l *Lab) redisMemory(ctx context.Context) (int64, error) {
	info, err := l.store.Do(ctx, l.store.B().Info().Section("memory").Build()).ToString()
	if err != nil {
		return 0, err
	}
	return number(info, "used_memory:")
}

// topicBytes is what the topics with this prefix take on all brokers' disks
// together.
func (l *Lab) topicBytes(ctx context.Context, prefix string) (sum int64, err error) {
	all, err := l.admin.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return 0, err
	}
	all.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if strings.HasPrefix(p.Topic, prefix) {
				sum += p.Size
			}
		})
	})
	return sum, nil
}

// Load is the machine's load average of the last minute.
func Load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}
