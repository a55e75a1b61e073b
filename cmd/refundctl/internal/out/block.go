package out

import (
	"fmt"
	"io"
	"strings"
)

// Line of a block: a name and what there is to say. A name that repeats the one
// above is not written again; the words of the one named refund are never masked.
type Line struct{ Name, Words string }

// Block writes named lines for people, the words in one column. Lines without words
// are left out.
func Block(w io.Writer, lines []Line) error {
	widest := 0
	for _, l := range lines {
		if l.Words != "" {
			widest = max(widest, len(l.Name))
		}
	}
	last := ""
	for _, l := range lines {
		if l.Words == "" {
			continue
		}
		name := l.Name
		if name == last {
			name = ""
		}
		last = l.Name
		words := Clean(l.Words)
		if l.Name != "refund" {
			words = Mask(w, words)
		}
		if _, err := fmt.Fprintf(w, "%s%s  %s\n", name, strings.Repeat(" ", widest-len(name)), words); err != nil {
			return err
		}
	}
	return nil
}
