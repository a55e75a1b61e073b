// Command profiled is the product's worker with net/http/pprof beside it, at the
// address in PPROF. The product itself never serves profiles. Mutexes and blocking
// are watched only while /debug/pprof/watch?seconds=N is asked: watching costs.
package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/refundworker/refundworker/internal/app"
)

func main() {
	if addr := os.Getenv("PPROF"); addr != "" {
		http.HandleFunc("GET /debug/pprof/watch", watch)
		go func() { panic(http.ListenAndServe(addr, nil)) }()
	}
	os.Exit(app.WorkerDaemon.Main(os.Args[1:], os.Stdout, os.Stderr))
}

func watch(_ http.ResponseWriter, r *http.Request) {
	seconds, _ := strconv.Atoi(r.FormValue("seconds"))
	runtime.SetMutexProfileFraction(5)
	runtime.SetBlockProfileRate(int((10 * time.Microsecond).Nanoseconds()))
	time.Sleep(time.Duration(seconds) * time.Second)
	runtime.SetMutexProfileFraction(0)
	runtime.SetBlockProfileRate(0)
}
