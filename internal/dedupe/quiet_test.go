package dedupe

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The test runs itself as another process, whose stderr can be read, with and
// without Quiet.
func TestQuietKeepsTheClientOffStderr(t *testing.T) {
	const how = "REFUNDWORKER_TEST_QUIET"
	if os.Getenv(how) != "" {
		if os.Getenv(how) == "yes" {
			Quiet()
		}
		client := Dial(Address{Addrs: []string{"127.0.0.1:1"}, Timeout: 100 * time.Millisecond})
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if client.Ping(ctx).Err() == nil {
			t.Error("somebody listens at port 1")
		}
		return
	}
	for word, talks := range map[string]bool{"yes": false, "no": true} {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), how+"="+word)
		var stderr bytes.Buffer
		child.Stderr = &stderr
		if err := child.Run(); err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(stderr.String(), "redis"); said != talks {
			t.Errorf("Quiet %s: stderr %q", word, stderr.String())
		}
	}
}
