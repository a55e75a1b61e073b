package explorer

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryTestIsListed: the package's comment names each test, and no other.
func TestEveryTestIsListed(t *testing.T) {
	listed := regexp.MustCompile(`(?m)^//   - (Test\w+)`).FindAllStringSubmatch(string(must(os.ReadFile("doc.go"))), -1)
	for _, match := range listed {
		if !slices.ContainsFunc(testsOf(t, "*_test.go"), func(name string) bool { return strings.HasPrefix(name, match[1]) }) {
			t.Errorf("the comment names %s", match[1])
		}
	}
	for _, name := range testsOf(t, "*_test.go") {
		about := slices.Contains([]string{"TestMain", "TestEveryTestIsListed", "TestEveryDefectIsListed"}, name)
		if !about && !strings.HasPrefix(name, "TestDefect") && !slices.ContainsFunc(listed, func(match []string) bool { return match[1] == name }) {
			t.Errorf("the comment does not name %s", name)
		}
	}
}

func testsOf(t *testing.T, files string) (names []string) {
	for _, file := range must(filepath.Glob(files)) {
		for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(\w+ `).FindAllStringSubmatch(string(must(os.ReadFile(file))), -1) {
			names = append(names, match[1])
		}
	}
	if len(names) == 0 {
		t.Fatalf("%s: no test", files)
	}
	return names
}

// TestEveryDefectIsListed: it names each test of a rule that is left out, and no other.
func TestEveryDefectIsListed(t *testing.T) {
	var tests, listed []string
	for _, name := range testsOf(t, "hunts*_test.go") {
		tests = append(tests, strings.TrimPrefix(name, "TestDefect"))
	}
	for _, match := range regexp.MustCompile(`(?m)^//\t.*  (\S.*)$`).FindAllStringSubmatch(string(must(os.ReadFile("doc.go"))), -1) {
		listed = append(listed, strings.Split(match[1], ", ")...)
	}
	slices.Sort(tests)
	slices.Sort(listed)
	if !slices.Equal(tests, listed) {
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
