package explorer

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryFaultIsListed: the package's comment names each test of a rule that is left out, and no other.
func TestEveryFaultIsListed(t *testing.T) {
	var tests, listed []string
	for _, file := range must(filepath.Glob("faults*_test.go")) {
		for _, match := range regexp.MustCompile(`(?m)^func TestFault(\w+)\(t `).FindAllStringSubmatch(string(must(os.ReadFile(file))), -1) {
			tests = append(tests, match[1])
		}
	}
	for _, match := range regexp.MustCompile(`(?m)^//\t.*  (\S.*)$`).FindAllStringSubmatch(string(must(os.ReadFile("doc.go"))), -1) {
		listed = append(listed, strings.Split(match[1], ", ")...)
	}
	slices.Sort(tests)
	slices.Sort(listed)
	if len(tests) == 0 || !slices.Equal(tests, listed) {
		t.Errorf("the tests are %q, the comment names %q", tests, listed)
	}
	hunted := map[string]bool{}
	for _, d := range allDefects {
		if hunted[d.name] {
			t.Errorf("two defects are called %q", d.name)
		}
		hunted[d.name] = true
	}
	t.Logf("%d tests of rules that are left out, %d defects", len(tests), len(allDefects))
}
