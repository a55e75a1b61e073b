// Command refundctl is for people who run the system or integrate with it: submit
// and watch refunds, show what became of one, verify and replay callbacks, look
// after dead letters. docs/refundctl.md has the commands and their exit codes.
package main

import (
	"os"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/ctl"
)

func main() { os.Exit(ctl.Main(os.Args[1:])) }
