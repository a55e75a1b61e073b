//go:build unix

// Command regress holds the micro-benchmarks of this working tree against those of
// another commit: make bench-regress BASE=v1.0.0. Both are built, and run in turns
// with the same number of operations. What is compared are allocations, which
// repeat, and the processor time of pairs of runs, not wall time, which on a busy
// machine says nothing. It exits 1 where one grew.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("regress", flag.ContinueOnError)
	flags.SetOutput(errs)
	base := flags.String("base", "HEAD", "the commit to hold the working tree against")
	pattern := flags.String("bench", ".", "which benchmarks, as go test -bench has it")
	rounds := flags.Int("rounds", 9, "pairs of runs of each benchmark")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *rounds < 1 {
		fmt.Fprintln(errs, "regress: -rounds must be 1 at least")
		return 2
	}
	if flags.NArg() == 0 {
		fmt.Fprintln(errs, "regress: name the packages, as in ./internal/events: make bench-regress does")
		return 2
	}
	grown, err := compare(ctx, *base, *pattern, flags.Args(), *rounds, out)
	if err != nil {
		fmt.Fprintln(errs, "regress:", err)
		return 2
	}
	if len(grown) > 0 {
		fmt.Fprintf(out, "grown: %s\n", strings.Join(grown, "; "))
		return 1
	}
	fmt.Fprintln(out, "nothing grew")
	return 0
}

// compare prints a line for each benchmark that both have, and answers what grew.
func compare(ctx context.Context, base, pattern string, packages []string, rounds int, out io.Writer) (grown []string, err error) {
	top, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return nil, fmt.Errorf("this is no git repository: %w", err)
	}
	head := strings.TrimSpace(string(top))
	dir, err := os.MkdirTemp("", "refundworker-regress-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tree := filepath.Join(dir, "base")
	if text, err := exec.CommandContext(ctx, "git", "worktree", "add", "--detach", tree, base).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("checking out %s: %w: %s", base, err, text)
	}
	defer func() {
		err = errors.Join(err, exec.Command("git", "worktree", "remove", "--force", tree).Run())
	}()
	fmt.Fprintf(out, "%-52s %16s %18s  %s\n", "benchmark", "allocations", "bytes", "CPU (least to most of the pairs)")
	for i, pkg := range packages {
		before, after := binary{dir: filepath.Join(tree, pkg)}, binary{dir: filepath.Join(head, pkg)}
		for n, b := range []*binary{&before, &after} {
			b.path = filepath.Join(dir, fmt.Sprintf("%d-%d.test", i, n))
			command := exec.CommandContext(ctx, "go", "test", "-c", "-o", b.path, ".")
			command.Dir = b.dir
			if text, err := command.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("building %s: %w: %s", b.dir, err, text)
			}
		}
		names, err := common(ctx, before, after, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			p, err := pair(ctx, before, after, name, rounds)
			if err != nil {
				return nil, err
			}
			fmt.Fprintln(out, p)
			grown = append(grown, p.grown()...)
		}
	}
	return grown, nil
}

// binary is a package's tests, compiled, and where they run.
type binary struct{ path, dir string }

// result is what one run of a benchmark said, and its processor time.
type result struct {
	name          string
	operations    int64
	bytes, allocs float64
	cpu           time.Duration
}

func (b binary) run(ctx context.Context, pattern, length string) ([]result, error) {
	command := exec.CommandContext(ctx, b.path, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+length, "-test.benchmem", "-test.cpu=2")
	command.Dir = b.dir
	text, err := command.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w: %s", pattern, b.dir, err, text)
	}
	results := parse(string(text))
	if len(results) == 1 {
		results[0].cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	}
	return results, nil
}

// parse reads the lines of benchmarks: name, operations, then figures with units.
func parse(text string) (all []result) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		r := result{name: strings.TrimSuffix(words[0], "-2")}
		if _, err := fmt.Sscan(words[1], &r.operations); err != nil {
			continue
		}
		for i := 2; i+1 < len(words); i += 2 {
			var into *float64
			switch words[i+1] {
			case "B/op":
				into = &r.bytes
			case "allocs/op":
				into = &r.allocs
			default:
				continue
			}
			if _, err := fmt.Sscan(words[i], into); err != nil {
				continue
			}
		}
		all = append(all, r)
	}
	return all
}

// common are the benchmarks that both have.
func common(ctx context.Context, before, after binary, pattern string) (names []string, err error) {
	old, err := before.run(ctx, pattern, "1x")
	if err != nil {
		return nil, err
	}
	now, err := after.run(ctx, pattern, "1x")
	if err != nil {
		return nil, err
	}
	for _, r := range now {
		if slices.ContainsFunc(old, func(o result) bool { return o.name == r.name }) {
			names = append(names, r.name)
		}
	}
	return names, nil
}

// paired is one benchmark before and after.
type paired struct {
	name          string
	before, after result    // of the last pair
	cpu           []float64 // after beside before, of each pair, sorted
}

// length of one run, roughly.
const length = 200 * time.Millisecond

// pair runs both in turns, who is first changing, each with the same number of
// operations. What a run costs without any is taken off.
func pair(ctx context.Context, before, after binary, name string, rounds int) (paired, error) {
	p := paired{name: name}
	pattern := "^" + strings.ReplaceAll(name, "/", "$/^") + "$"
	once := func(b binary, length string) (result, error) {
		all, err := b.run(ctx, pattern, length)
		if err == nil && len(all) != 1 {
			err = fmt.Errorf("%s is %d benchmarks", name, len(all))
		}
		if err != nil {
			return result{}, err
		}
		return all[0], nil
	}
	sized, err := once(before, length.String())
	if err != nil {
		return p, err
	}
	many := fmt.Sprintf("%dx", max(1, sized.operations))
	sides := []struct {
		of    binary
		into  *result
		empty time.Duration
	}{{of: before, into: &p.before}, {of: after, into: &p.after}}
	for i := range sides {
		empty, err := once(sides[i].of, "1x")
		if err != nil {
			return p, err
		}
		sides[i].empty = empty.cpu
	}
	for range rounds {
		for i := range sides {
			if *sides[i].into, err = once(sides[i].of, many); err != nil {
				return p, err
			}
			sides[i].into.cpu -= sides[i].empty
		}
		p.cpu = append(p.cpu, float64(p.after.cpu)/float64(max(p.before.cpu, time.Millisecond)))
		slices.Reverse(sides)
	}
	slices.SortFunc(p.cpu, cmp.Compare[float64])
	return p, nil
}

func (p paired) median() float64 { return p.cpu[len(p.cpu)/2] }

// grown: allocations repeat, so little is enough; processor time has to grow by a
// tenth, in three of four pairs.
func (p paired) grown() (what []string) {
	if p.after.allocs > 1.02*p.before.allocs+0.5 {
		what = append(what, p.name+" allocates more often")
	}
	if p.after.bytes > 1.05*p.before.bytes+16 {
		what = append(what, p.name+" allocates more bytes")
	}
	if p.median() > 1.10 && p.cpu[len(p.cpu)/4] > 1 {
		what = append(what, fmt.Sprintf("%s takes %.2f of the processor time", p.name, p.median()))
	}
	return what
}

func (p paired) String() string {
	return fmt.Sprintf("%-52s %7.0f -> %5.0f %8.0f -> %6.0f  %.2f (%.2f to %.2f)", p.name, p.before.allocs, p.after.allocs, p.before.bytes, p.after.bytes,
		p.median(), p.cpu[0], p.cpu[len(p.cpu)-1])
}
