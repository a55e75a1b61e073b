//go:build unix

package main

import (
	"fmt"
	"html"
	"strings"
)

var colours = map[string]string{"worker": "#1f6feb", "notify-bridge": "#1f6feb", "naive": "#9a6700", "watermill": "#8250df", "floor": "#8c959f", "callbacks": "#8c959f"}

// svg draws each contender's speed as a bar beside the floor's 1.
func (r results) svg() string {
	const left, width, row = 330, 420, 18
	var b strings.Builder
	y := 40
	for _, c := range r.Cells {
		drawn := false
		for _, who := range c.cell.contenders {
			speed := c.Speed[who]
			if speed == 0 || who == c.cell.base() {
				continue
			}
			if !drawn {
				fmt.Fprintf(&b, `<text x="8" y="%d">%s</text>`+"\n", y+13, html.EscapeString(c.Title))
				drawn = true
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.0f" height="14" fill="%s"/><text x="%.0f" y="%d">%s %.2f, CPU %.2f</text>`+"\n",
				left, y, max(1, min(speed, 1.2)*width/1.2), colours[who], left+min(speed, 1.2)*width/1.2+6, y+12, who, speed, c.CPU[who])
			y += row
		}
		if drawn {
			y += 8
		}
	}
	one := left + width/1.2
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">
<rect width="100%%" height="100%%" fill="#ffffff"/>
<text x="8" y="20" font-weight="bold">Speed as a ratio to the floor (1 is the least that a correct system must do)</text>
<line x1="%.0f" y1="30" x2="%.0f" y2="%d" stroke="#d0d7de"/>
%s</svg>
`, left+width+190, y+10, one, one, y, b.String())
}
