package realparts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Redis is one running server.
type Redis struct {
	*Process
	Addr string
}

// StartRedis starts a server with its append-only file written every second and
// noeviction; args are further ones.
func StartRedis(dir, name string, args ...string) (*Redis, error) {
	ports, err := Ports(1)
	if err != nil {
		return nil, err
	}
	return startRedis(dir, name, ports[0], args...)
}

func startRedis(dir, name string, port int, args ...string) (*Redis, error) {
	data := filepath.Join(dir, name)
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	all := append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", data, "--save", "",
		"--appendonly", "yes", "--maxmemory-policy", "noeviction"}, args...)
	process, err := startProcess(dir, name, func() *exec.Cmd { return exec.Command("redis-server", all...) },
		func() bool { return listening(port) }, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &Redis{Process: process, Addr: fmt.Sprintf("127.0.0.1:%d", port)}, nil
}

// StartRedisCluster starts three masters and waits until the cluster serves.
func StartRedisCluster(dir string) ([]*Redis, error) {
	ports, err := Ports(40)
	if err != nil {
		return nil, err
	}
	var nodes []*Redis
	stop := func() {
		for _, n := range nodes {
			n.Kill()
		}
	}
	create := []string{"--cluster", "create"}
	for i := range 3 {
		node, err := startRedis(dir, fmt.Sprintf("redis-cluster%d", i+1), ports[10+i*10],
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000")
		if err != nil {
			stop()
			return nil, err
		}
		nodes = append(nodes, node)
		create = append(create, node.Addr)
	}
	if out, err := exec.Command("redis-cli", append(create, "--cluster-replicas", "0", "--cluster-yes")...).CombinedOutput(); err != nil {
		stop()
		return nil, fmt.Errorf("creating the cluster: %w: %s", err, out)
	}
	for _, node := range nodes {
		if err := node.await(func() bool { return clusterServes(node.Addr) }, 15*time.Second); err != nil {
			stop()
			return nil, err
		}
	}
	return nodes, nil
}

func clusterServes(addr string) bool {
	out, err := exec.Command("redis-cli", "-u", "redis://"+addr, "cluster", "info").Output()
	return err == nil && len(out) > 16 && string(out[:16]) == "cluster_state:ok"
}
