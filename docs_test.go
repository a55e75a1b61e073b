package refundworker_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	comment = regexp.MustCompile(`//.*`)
	page    = regexp.MustCompile(`[A-Za-z0-9_./-]+\.md\b`)
)

// othersPages are named in comments and lie elsewhere.
var othersPages = []string{"doc/lz4_Frame_format.md"}

// TestPagesThatCommentsName exist: from the root, in docs, or beside the file.
func TestPagesThatCommentsName(t *testing.T) {
	found := 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, said := range comment.FindAllString(string(source), -1) {
			for _, name := range page.FindAllString(said, -1) {
				found++
				if !slices.Contains(othersPages, name) && !slices.ContainsFunc([]string{".", "docs", filepath.Dir(path)}, func(dir string) bool {
					_, err := os.Stat(filepath.Join(dir, strings.TrimPrefix(name, "/")))
					return err == nil
				}) {
					t.Errorf("%s names %s, which is not there", path, name)
				}
			}
		}
		return nil
	})
	if err != nil || found < 30 {
		t.Errorf("%d found: %v", found, err)
	}
}
