// Command notify-bridge takes the gateways' callbacks over HTTP and publishes the
// same status events as the worker.
package main

import (
	"os"

	"github.com/refundworker/refundworker/internal/app"
)

func main() { os.Exit(app.BridgeDaemon.Main(os.Args[1:], os.Stdout, os.Stderr)) }
