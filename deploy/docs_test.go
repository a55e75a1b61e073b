package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are those at the root and all of docs.
func pages(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"README.md", "ARCHITECTURE.md", "DESIGN.md", "docs/*.md", "docs/runbooks/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		all = append(all, files...)
	}
	return all
}

var (
	called  = regexp.MustCompile("refundctl ((?:[a-z]+ ?)+)([^`\\n#|]*)")
	oneFlag = regexp.MustCompile(`(?:^|\s)(--[a-z-]+)`)
)

// Every command of refundctl that the documentation names exists, with its flags.
func TestCommandsOfTheDocumentation(t *testing.T) {
	refundctl := filepath.Join(t.TempDir(), "refundctl")
	build := exec.Command("go", "build", "-o", refundctl, "./cmd/refundctl")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	helps := map[string]string{}
	help := func(words []string) string { // of exactly this command; empty: there is none
		path := strings.Join(words, " ")
		if _, known := helps[path]; !known {
			out, _ := exec.Command(refundctl, append(slices.Clone(words), "--help")...).CombinedOutput()
			if helps[path] = ""; regexp.MustCompile(`(?m)^  refundctl ` + path + `( |$)`).Match(out) {
				helps[path] = string(out)
			}
		}
		return helps[path]
	}
	found := 0
	for _, page := range pages(t) {
		for _, call := range called.FindAllStringSubmatch(read(t, page), -1) {
			words := strings.Fields(call[1])
			text := ""
			for n := min(2, len(words)); n > 0 && text == ""; n-- {
				text = help(words[:n])
			}
			flags := oneFlag.FindAllStringSubmatch(call[2], -1)
			if text == "" && len(flags) == 0 {
				continue // prose: refundctl needs ...
			}
			found++
			for _, flag := range flags {
				if !strings.Contains(text, flag[1]) {
					t.Errorf("%s: refundctl %s has no %s", page, strings.TrimSpace(call[1]), flag[1])
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d commands found", found)
	}
}

var link = regexp.MustCompile(`\]\(([^)#: ]+)(#[^)]*)?\)`)

// Links within the repository lead somewhere.
func TestLinks(t *testing.T) {
	for _, page := range pages(t) {
		for _, l := range link.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), l[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
