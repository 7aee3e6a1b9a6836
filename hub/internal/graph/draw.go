package graph

import (
	"fmt"
	"html/template"
	"strings"
	"unicode/utf8"
)

// Measures of a drawing, in user units.
const (
	columnWide = 270
	boxWide    = 200
	boxHigh    = 34
	rowHigh    = 46
	maxDrawn   = 60 // nodes; the table beside has all
)

// SVG draws a graph, one column for each step from the beginning. It is a picture
// without links or tab stops: the tables beside it have the same facts.
func (g *Graph) SVG(id, title, text string) template.HTML {
	drawn := g.Nodes[:min(len(g.Nodes), maxDrawn)]
	type place struct{ x, y int }
	at, rows, deepest := map[string]place{}, map[int]int{}, 0
	for _, n := range drawn {
		at[n.ID] = place{10 + n.Depth*columnWide, 10 + rows[n.Depth]*rowHigh}
		rows[n.Depth]++
		deepest = max(deepest, n.Depth)
	}
	high := 0
	for _, r := range rows {
		high = max(high, r)
	}
	esc := template.HTMLEscapeString
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="ecs-graph" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="%[5]s-title %[5]s-text"><title id="%[5]s-title">%[6]s</title><desc id="%[5]s-text">%[7]s</desc>`,
		20+deepest*columnWide+boxWide, 20+high*rowHigh, 20+deepest*columnWide+boxWide, 20+high*rowHigh, esc(id), esc(title), esc(text))
	for _, e := range g.Edges {
		from, ok := at[e.From]
		to, ok2 := at[e.To]
		if !ok || !ok2 {
			continue
		}
		x1, x2 := from.x+boxWide, to.x
		if from.x > to.x {
			x1, x2 = from.x, to.x+boxWide
		} else if from.x == to.x {
			x2 = to.x + boxWide
		}
		y1, y2 := from.y+boxHigh/2, to.y+boxHigh/2
		fmt.Fprintf(&b, `<path d="M%d %dC%d %d %d %d %d %d" fill="none" stroke="#71767a" stroke-width="1"/>`, x1, y1, (x1+x2)/2, y1, (x1+x2)/2, y2, x2, y2)
	}
	for _, n := range drawn {
		p := at[n.ID]
		dash := ""
		if !n.Known {
			dash = ` stroke-dasharray="4 3"`
		}
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" rx="4" fill="#ffffff" stroke="#565c65"%s/>`, p.x, p.y, boxWide, boxHigh, dash)
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="11" fill="#565c65">%s</text>`, p.x+8, p.y+13, esc(shorten(strings.ReplaceAll(n.Type, "-", " "), 32)))
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="12" fill="#1b1b1b">%s</text>`, p.x+8, p.y+28, esc(shorten(n.Label(), 28)))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // every text in it is escaped
}

// Label gives what to call a node.
func (n Node) Label() string {
	if n.Name != "" {
		return n.Name
	}
	_, rest, ok := strings.Cut(n.ID, "--")
	if !ok {
		return n.ID
	}
	return shorten(rest, 8)
}

func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
