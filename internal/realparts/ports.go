package realparts

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

var ports struct {
	sync.Mutex
	next int
}

// Ports answers free ports of the loopback below the ephemeral range, so that no
// outgoing connection takes one before its part listens. It answers no port twice.
func Ports(n int) ([]int, error) {
	ports.Lock()
	defer ports.Unlock()
	if ports.next == 0 {
		ports.next = 20000 + os.Getpid()*7%5000 // other processes begin elsewhere
	}
	var found []int
	for ; ports.next < 32000 && len(found) < n; ports.next++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports.next))
		if err != nil {
			continue
		}
		listener.Close()
		found = append(found, ports.next)
	}
	if len(found) < n {
		return nil, fmt.Errorf("found %d of %d free ports between 20000 and 32000", len(found), n)
	}
	return found, nil
}

// Listening says whether somebody accepts connections at host:port.
func Listening(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
