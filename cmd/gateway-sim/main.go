// Command gateway-sim serves the simulated gateways, for compose and load
// tests, with a page to control them and a ledger of the money they moved.
// See the doc of internal/gatewaysim for what they can do.
//
//	gateway-sim --config sim.json
//	gateway-sim --eftpay S0003469:secret --delay 200ms --rate timeout_after=10
//	gateway-sim keys DIR
//	gateway-sim healthcheck http://127.0.0.1:9480/healthz
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments: 0 for a clean end, which
// the end of ctx is, and 1 otherwise.
func run(ctx context.Context, args []string, log io.Writer) int {
	root := command(log)
	root.SetArgs(args)
	root.SetOut(log)
	root.SetErr(log)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(log, "gateway-sim:", err)
		return 1
	}
	return 0
}

func command(log io.Writer) *cobra.Command {
	var o options
	root := &cobra.Command{
		Use: "gateway-sim", Short: "Serve simulated eftPay and BluePay gateways",
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := o.settings(cmd.Flags())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), s, log)
		},
	}
	o.register(root.Flags())
	root.AddCommand(
		&cobra.Command{Use: "keys DIR", Short: "Make a merchant's and a gateway's RSA keys for BluePay", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error { return writeKeys(args[0]) }},
		&cobra.Command{Use: "healthcheck URL", Short: "Exit 0 where URL answers 200", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return healthcheck(cmd.Context(), args[0]) }},
	)
	return root
}

// shutdownTime bounds the wait for answers under way once ctx has ended;
// calls that hang on purpose are broken off after it.
const shutdownTime = 2 * time.Second

// serve runs until ctx ends or a listener fails.
func serve(ctx context.Context, s settings, log io.Writer) error {
	sim, err := gatewaysim.New(s.sim)
	if err != nil {
		return err
	}
	defer sim.Close()
	for no, script := range s.scripts {
		if err := sim.SetScript(no, script); err != nil {
			return err
		}
	}
	handler := beside(sim.Handler(), sim.Control())
	var control net.Listener
	failed := make(chan error, 1)
	if s.admin != "" {
		// A listener of its own stays where the gateways refuse.
		handler = sim.Handler()
		if control, err = net.Listen("tcp", s.admin); err != nil {
			return fmt.Errorf("control page: %w", err)
		}
		page := &http.Server{Handler: sim.Control(), ReadHeaderTimeout: 10 * time.Second}
		go func() { failed <- page.Serve(control) }()
		defer page.Close()
	}
	server, err := sim.ListenWith(s.addr, handler)
	if err != nil {
		return err
	}
	at := server.Addr()
	if control != nil {
		at = control.Addr().String()
	}
	fmt.Fprintf(log, "gateway-sim: eftPay at %s, BluePay at %s, http://%s has /control /ledger /callbacks /refusals /healthz\n",
		server.EftPayURL(), server.URL(), at)
	select {
	case err := <-server.Failed():
		return err
	case err := <-failed:
		return fmt.Errorf("control page: %w", err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		fmt.Fprintln(log, "gateway-sim: calls that still hung were broken off")
	}
	fmt.Fprintf(log, "gateway-sim: ended with %d movements of money\n", len(sim.Ledger()))
	return nil
}

// beside serves the control page's addresses and leaves the rest to the
// gateways.
func beside(gateways, control http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/control", "/ledger", "/callbacks", "/refusals", "/healthz"} {
		mux.Handle(path, control)
	}
	mux.Handle("/", gateways)
	return mux
}

// writeKeys makes what both sides of BluePay need. It overwrites nothing.
func writeKeys(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, who := range []string{"merchant", "gateway"} {
		if there(filepath.Join(dir, who+".pem")) && there(filepath.Join(dir, who+".pub.pem")) {
			continue // made by an earlier run
		}
		pair, err := gatewaysim.NewKeyPair(2048)
		if err != nil {
			return err
		}
		if err := writeNew(filepath.Join(dir, who+".pem"), pair.Private, 0o600); err != nil {
			return err
		}
		if err := writeNew(filepath.Join(dir, who+".pub.pem"), pair.Public, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func writeNew(path, text string, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func healthcheck(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
