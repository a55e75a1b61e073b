package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/config"
)

// healthcheckTime is above that of /readyz, so that its words arrive where a part hangs, and below the 3 s of
// docker-compose.yml.
const healthcheckTime = 2500 * time.Millisecond

// healthcheck asks a daemon on this machine whether it is ready, for images that
// have no other program to ask with.
func healthcheck(cfg *config.Config, admin func(*config.Config) string, out io.Writer) int {
	ctx, cancel := context.WithTimeout(context.Background(), healthcheckTime)
	defer cancel()
	host, port, err := net.SplitHostPort(admin(cfg))
	if err != nil {
		fmt.Fprintln(out, err)
		return ExitError
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		fmt.Fprintln(out, err)
		return ExitError
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Fprintln(out, err)
		return ExitError
	}
	defer answer.Body.Close()
	words, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	fmt.Fprintln(out, strings.TrimSpace(string(words)))
	if answer.StatusCode != http.StatusOK {
		return ExitError
	}
	return ExitDone
}
