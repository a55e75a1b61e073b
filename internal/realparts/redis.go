//go:build unix

package realparts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Redis is one running server.
type Redis struct {
	*Process
	Addr string // host:port
	data string
}

// StartRedis starts a server with its append-only file written every second and
// noeviction; args are further ones. A kill -9 loses none of its writes: they are
// the kernel's before they are answered.
func StartRedis(dir, name string, args ...string) (*Redis, error) {
	port, err := Ports(1)
	if err != nil {
		return nil, err
	}
	return startRedis(dir, name, port[0], args...)
}

func startRedis(dir, name string, port int, args ...string) (*Redis, error) {
	r := &Redis{Addr: local(port), data: filepath.Join(dir, name)}
	if err := os.MkdirAll(r.data, 0o700); err != nil {
		return nil, err
	}
	all := append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", r.data, "--save", "",
		"--appendonly", "yes", "--maxmemory-policy", "noeviction"}, args...)
	var err error
	r.Process, err = StartProcess(dir, name, func() *exec.Cmd { return exec.Command("redis-server", all...) },
		func() bool { return Listening(r.Addr) }, 20*time.Second)
	return r, err
}

// Restart kills the server and starts it with the data that it has.
func (r *Redis) Restart() error { return r.restart(func() error { return nil }) }

// Empty kills the server and starts it without any data.
func (r *Redis) Empty() error { return r.restart(func() error { return emptyFolder(r.data) }) }

// Forget kills the server and starts it without its last writes: what a failover
// to a replica that lagged behind loses. bytes are of its append-only file.
func (r *Redis) Forget(bytes int64) error {
	return r.restart(func() error { return truncateLog(r.data, bytes) })
}

func (r *Redis) restart(between func() error) error {
	r.Kill()
	if err := between(); err != nil {
		return err
	}
	if err := r.Start(); err != nil {
		return err
	}
	return r.Await(func() bool { return Listening(r.Addr) }, 20*time.Second)
}

func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// truncateLog cuts the end of the newest increment of the append-only file; Redis
// reads up to the last whole command.
func truncateLog(dir string, bytes int64) error {
	newest, size := "", int64(0)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".incr.aof") {
			return err
		}
		info, err := e.Info()
		if err == nil && (newest == "" || filepath.Base(path) > filepath.Base(newest)) {
			newest, size = path, info.Size()
		}
		return err
	})
	if err != nil || newest == "" {
		return errors.Join(err, os.ErrNotExist)
	}
	return os.Truncate(newest, max(0, size-bytes))
}

// StartRedisCluster starts three masters and waits until the cluster serves.
func StartRedisCluster(dir string) ([]*Redis, error) {
	ports, err := Ports(6)
	if err != nil {
		return nil, err
	}
	var nodes []*Redis
	fail := func(err error) ([]*Redis, error) {
		for _, n := range nodes {
			n.Kill()
		}
		return nil, err
	}
	create := []string{"--cluster", "create"}
	for i := range 3 {
		node, err := startRedis(dir, fmt.Sprintf("redis-cluster%d", i+1), ports[2*i], "--cluster-enabled", "yes",
			"--cluster-port", strconv.Itoa(ports[2*i+1]), "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000")
		if err != nil {
			return fail(err)
		}
		nodes = append(nodes, node)
		create = append(create, node.Addr)
	}
	if out, err := exec.Command("redis-cli", append(create, "--cluster-replicas", "0", "--cluster-yes")...).CombinedOutput(); err != nil {
		return fail(fmt.Errorf("creating the cluster: %w: %s", err, out))
	}
	for _, node := range nodes {
		if err := node.Await(func() bool { return clusterServes(node.Addr) }, 20*time.Second); err != nil {
			return fail(err)
		}
	}
	return nodes, nil
}

func clusterServes(addr string) bool {
	out, err := exec.Command("redis-cli", "-u", "redis://"+addr, "cluster", "info").Output()
	return err == nil && strings.HasPrefix(string(out), "cluster_state:ok")
}
