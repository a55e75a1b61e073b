//go:build unix

package chaos

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/refundworker/refundworker/internal/realparts"
)

// What grows is told from what goes up and down, and from what grows at first only.
func TestTrend(t *testing.T) {
	for name, row := range map[string]struct {
		at    func(i int) float64
		grows bool
	}{
		"flat":           {func(int) float64 { return 36 }, false},
		"up and down":    {func(i int) float64 { return 36 + float64(i%7) }, false},
		"warm by then":   {func(i int) float64 { return min(36, 4*float64(i)) }, false},
		"a little more":  {func(i int) float64 { return 36 + float64(i)/10 }, false},
		"grows for ever": {func(i int) float64 { return 36 + float64(i)/2 }, true},
	} {
		var held []holding
		for i := range 60 {
			held = append(held, holding{bytes: 1e6 * row.at(i)})
		}
		q := quantities[0]
		if before, after := trend(held, q); q.grows(before, after) != row.grows {
			t.Errorf("%s: %v to %v", name, before, after)
		}
	}
}

func TestErrorLines(t *testing.T) {
	log := filepath.Join(t.TempDir(), "worker.log")
	text := `{"level":"info","message":"an error was not"}` + "\nnot JSON\n" + `{"level":"error","message":"x"}` + "\n" + `{"level":"warn","error":"x"}` + "\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if lines, err := errorLines(&realparts.Process{Log: log}); err != nil || len(lines) != 1 {
		t.Errorf("%q, %v", lines, err)
	}
}
