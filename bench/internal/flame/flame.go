// Package flame draws a CPU profile as a flame graph: one SVG without scripts, whose
// boxes tell their share when they are pointed at.
package flame

import (
	"fmt"
	"hash/fnv"
	"html"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// node is a function within its callers.
type node struct {
	name     string
	value    int64
	children map[string]*node
}

func (n *node) child(name string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	c := n.children[name]
	if c == nil {
		c = &node{name: name}
		n.children[name] = c
	}
	return c
}

const (
	width  = 1400.0
	height = 17
	least  = 0.7 // pixels; what is narrower is left out
	most   = 60  // frames deep
)

// Draw writes the flame graph of a profile's last sample value (CPU time, bytes).
func Draw(w io.Writer, from io.Reader, title string) error {
	p, err := profile.Parse(from)
	if err != nil {
		return err
	}
	if len(p.SampleType) == 0 {
		return fmt.Errorf("flame: the profile has no values")
	}
	root := &node{name: "all"}
	for _, s := range p.Sample {
		value := s.Value[len(s.Value)-1]
		root.value += value
		at := root
		for i := len(s.Location) - 1; i >= 0; i-- {
			lines := s.Location[i].Line
			for j := len(lines) - 1; j >= 0; j-- { // inlined callers last
				at = at.child(short(lines[j].Function))
				at.value += value
			}
		}
	}
	if root.value == 0 {
		return fmt.Errorf("flame: the profile is empty")
	}
	var boxes strings.Builder
	deep := draw(&boxes, root, root.value, 0, 0)
	_, err = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" font-family="monospace" font-size="11">
<rect width="100%%" height="100%%" fill="#ffffff"/><text x="4" y="14" font-size="13">%s</text>
%s</svg>
`, width, (deep+2)*height+8, html.EscapeString(title), boxes.String())
	return err
}

// short leaves the package's last element and the function.
func short(f *profile.Function) string {
	if f == nil {
		return "?"
	}
	return f.Name[strings.LastIndexByte(f.Name, '/')+1:]
}

// draw writes a node's box and those below it, and answers how deep they go.
func draw(b *strings.Builder, n *node, all int64, x float64, depth int) int {
	wide := float64(n.value) / float64(all) * width
	if wide < least || depth > most {
		return depth
	}
	y := (depth+1)*height + 6
	label := ""
	if letters := int(wide/6.7) - 1; letters > 3 {
		label = n.name[:min(letters, len(n.name))]
	}
	fmt.Fprintf(b, `<g><title>%s %.1f%%</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="#fff" stroke-width="0.5"/><text x="%.1f" y="%d">%s</text></g>`+"\n",
		html.EscapeString(n.name), 100*float64(n.value)/float64(all), x, y, wide, height-1, colour(n.name), x+3, y+12, html.EscapeString(label))
	deepest := depth
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		c := n.children[name]
		deepest = max(deepest, draw(b, c, all, x, depth+1))
		x += float64(c.value) / float64(all) * width
	}
	return deepest
}

// colour tells whose code it is: the runtime's grey, the product's packages blue,
// the others' warm.
func colour(name string) string {
	of, _, _ := strings.Cut(name, ".")
	h := fnv.New32a()
	_, _ = h.Write([]byte(of))
	shade := int(h.Sum32() % 40)
	switch of {
	case "runtime", "syscall", "poll", "linux", "sync", "atomic":
		return fmt.Sprintf("hsl(210,8%%,%d%%)", 70+shade/3)
	case "refund", "consumer", "dedupe", "kafka", "events", "eftpay", "app", "transport", "providers":
		return fmt.Sprintf("hsl(%d,65%%,72%%)", 195+shade)
	}
	return fmt.Sprintf("hsl(%d,75%%,72%%)", 15+shade)
}
