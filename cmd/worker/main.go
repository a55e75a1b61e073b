// Command worker consumes refund requests, calls the gateways and follows up on
// open refunds until their outcome is known.
package main

import (
	"os"

	"github.com/refundworker/refundworker/internal/app"
)

func main() { os.Exit(app.WorkerDaemon.Main(os.Args[1:], os.Stdout, os.Stderr)) }
