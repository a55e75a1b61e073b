// Command profiled is the product's worker with net/http/pprof beside it, at the
// address in PPROF. The product itself never serves profiles.
package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"time"

	"github.com/refundworker/refundworker/internal/app"
)

func main() {
	if addr := os.Getenv("PPROF"); addr != "" {
		runtime.SetMutexProfileFraction(10)
		runtime.SetBlockProfileRate(int((10 * time.Microsecond).Nanoseconds()))
		go func() { panic(http.ListenAndServe(addr, nil)) }()
	}
	os.Exit(app.WorkerDaemon.Main(os.Args[1:], os.Stdout, os.Stderr))
}
