package ctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/refundworker/refundworker/cmd/refundctl/internal/out"
	"github.com/refundworker/refundworker/internal/app"
	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/providers/transport"
)

func newConfig(r *run) *cobra.Command {
	var skip bool
	check := &cobra.Command{
		Use:   "check [FILE...]",
		Short: "Check configuration files and tell all findings at once",
		Long: `Check reads configuration files (default: --config or REFUND_CONFIG) as the worker
does and tells all findings at once, with file, line, column and the line itself.
Secrets are not shown. It reaches for no network.

Exit code 0: right; 1: something is wrong; 2: a file cannot be read.`,
		Example: `  refundctl config check
  refundctl config check staging.yaml production.yaml --skip-env
  refundctl config check -o json`,
		RunE: func(_ *cobra.Command, files []string) error { return r.configCheck(files, skip) },
	}
	check.Flags().BoolVar(&skip, "skip-env", false, "leave ${NAME} and ${file:PATH} as they are, where secrets are not at hand")
	return group("config", "Check and begin configurations", "Config looks after the file that worker, notify-bridge and refundctl share.",
		"  refundctl config check worker.yaml\n  refundctl config init --provider eftpay > worker.yaml", check, newConfigInit(r))
}

// configFinding is one finding of the answer; a file that is right has one without
// a line.
type configFinding struct {
	File    string `json:"file"`
	OK      bool   `json:"ok"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message,omitempty"`
	Excerpt string `json:"excerpt,omitempty"`
}

func (r *run) configCheck(files []string, skip bool) error {
	if len(files) == 0 {
		path, err := config.Path(r.configFile)
		if err != nil {
			return usage("%w", err)
		}
		files = []string{path}
	}
	right := true
	for _, file := range files {
		cfg, err := checkFile(file, skip)
		var missing *fs.PathError
		if errors.As(err, &missing) && missing.Path == file {
			return usage("%w", err)
		}
		right = right && err == nil
		if err := r.showFindings(file, cfg, err); err != nil {
			return err
		}
	}
	if !right {
		return found()
	}
	return nil
}

// checkFile answers what the file says, or what is wrong with it.
func checkFile(file string, skip bool) (*config.Config, error) {
	if !skip {
		return app.Load(file)
	}
	pool := transport.NewPool(transport.Options{})
	defer pool.Close()
	return config.Load(file, config.SkipEnvironment(), config.CheckMerchants(func(m config.Merchant) error {
		_, err := providers.Build([]providers.Settings{app.Settings(m)}, pool, providers.Hooks{})
		var wrong *providers.MerchantError
		if errors.As(err, &wrong) {
			return wrong.Err
		}
		return err
	}))
}

func (r *run) showFindings(file string, cfg *config.Config, err error) error {
	if err == nil {
		for _, line := range cfg.Advice() {
			fmt.Fprintf(r.Err, "%s: %s\n", file, line)
		}
		if r.format == out.JSON {
			return out.Object(r.Out, configFinding{File: file, OK: true})
		}
		_, err := fmt.Fprintf(r.Out, "%s: right, %d merchants\n", file, len(cfg.Merchants))
		return err
	}
	if r.format != out.JSON {
		_, err := fmt.Fprintln(r.Out, err)
		return err
	}
	var findings *config.Findings
	if !errors.As(err, &findings) {
		return out.Object(r.Out, configFinding{File: file, Message: err.Error()})
	}
	for _, f := range findings.List {
		if err := out.Object(r.Out, configFinding{File: f.File, Line: f.Line, Column: f.Column, Message: f.Message, Excerpt: f.Excerpt}); err != nil {
			return err
		}
	}
	return nil
}

func newConfigInit(r *run) *cobra.Command {
	var chosen []string
	var file string
	c := &cobra.Command{
		Use:   "init --provider NAME",
		Short: "Write a commented configuration to begin with",
		Long: `Init prints a configuration with one merchant of each provider that is named, every
line with its meaning. What must be filled in is marked FILL IN. It overwrites no
file. config.example.yaml has every key with its default.`,
		Example: `  refundctl config init --provider eftpay > worker.yaml
  refundctl config init --provider eftpay,bluepay --file worker.yaml`,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error { return r.configInit(chosen, file) },
	}
	c.Flags().StringSliceVar(&chosen, "provider", nil, "`NAMES` of providers, with commas between")
	c.Flags().StringVar(&file, "file", "", "write to `FILE`, which must not exist")
	fatal(c.RegisterFlagCompletionFunc("provider", cobra.FixedCompletions(providers.Names(), cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func (r *run) configInit(chosen []string, file string) error {
	text := configHead
	if len(chosen) == 0 {
		return usage("--provider is missing: one or more of %v", providers.Names())
	}
	for _, name := range chosen {
		block, ok := configBlocks[name]
		if !ok {
			return usage("--provider %s: want one or more of %v", name, providers.Names())
		}
		text += block
	}
	if file == "" {
		_, err := fmt.Fprint(r.Out, text)
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return usage("%w", err)
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
