package web

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"ecs/contract"
)

// Charts are SVG made here, without script and without inline style: colors
// come from the style sheet by class, and every chart either stands beside a
// table with the same facts (then it is hidden from screen readers) or carries
// a title and a description in words.

func init() {
	funcs["bar"] = func(v any, most int64) (template.HTML, error) {
		switch n := v.(type) {
		case int:
			return Bar(n, most), nil
		case int64:
			return Bar(n, most), nil
		case contract.Bucket:
			return Bar(n, most), nil
		}
		return "", fmt.Errorf("bar of a %T", v)
	}
	funcs["lifelines"] = Lifelines
}

// Bar is one horizontal bar for a cell of a table that also holds the number.
func Bar[N int | int64 | contract.Bucket](n N, most int64) template.HTML {
	const width = 200
	w, value := int64(0), int64(n)
	if most > 0 && value > 0 {
		w = max(2, value*width/most)
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // G203: numbers only
		`<svg class="ecs-bar" viewBox="0 0 %d 12" width="%d" height="12" aria-hidden="true" focusable="false">`+
			`<rect class="ecs-bar__rail" width="%d" height="12" rx="2"></rect>`+
			`<rect class="ecs-bar__value" width="%d" height="12" rx="2"></rect></svg>`, width, width, width, w))
}

// Life is one line of a [Lifelines] chart.
type Life struct {
	Label string
	Spans []LifeSpan
}

// LifeSpan is a stretch of a line. Kind chooses its look: "wait" (hatched by a
// dashed outline), "force" (solid) or "refused" (outlined, crossed).
type LifeSpan struct {
	From, To time.Time
	Kind     string
}

// Lifelines draws who had an indicator in force, and when. From and to bound the
// axis; spans are clipped to it.
func Lifelines(id, title, description string, from, to time.Time, lines []Life) template.HTML {
	const (
		left, width, row, top = 190, 720, 30, 26
	)
	total := to.Sub(from)
	if total <= 0 || len(lines) == 0 {
		return ""
	}
	height := top + row*len(lines) + 8
	x := func(t time.Time) float64 {
		f := float64(t.Sub(from)) / float64(total)
		return left + min(max(f, 0), 1)*(width-left-10)
	}
	var b strings.Builder
	esc := template.HTMLEscapeString
	fmt.Fprintf(&b, `<svg class="ecs-life" viewBox="0 0 %d %d" role="img" aria-labelledby="%s-t %s-d">`, width, height, esc(id), esc(id))
	fmt.Fprintf(&b, `<title id="%s-t">%s</title><desc id="%s-d">%s</desc>`, esc(id), esc(title), esc(id), esc(description))
	for i := range 5 {
		t := from.Add(total * time.Duration(i) / 4)
		anchor := [...]string{"start", "middle", "middle", "middle", "end"}[i]
		fmt.Fprintf(&b, `<line class="ecs-life__grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"></line>`, x(t), x(t), top-6, height-6)
		fmt.Fprintf(&b, `<text class="ecs-life__tick" x="%.1f" y="12" text-anchor="%s">%s</text>`, x(t), anchor, esc(tick(t, total)))
	}
	for i, l := range lines {
		y := top + row*i
		fmt.Fprintf(&b, `<text class="ecs-life__label" x="0" y="%d">%s</text>`, y+17, esc(l.Label))
		fmt.Fprintf(&b, `<line class="ecs-life__rail" x1="%d" x2="%d" y1="%d" y2="%d"></line>`, left, width-10, y+12, y+12)
		for _, s := range l.Spans {
			a, z := x(s.From), x(s.To)
			fmt.Fprintf(&b, `<rect class="ecs-life__%s" x="%.1f" y="%d" width="%.1f" height="16" rx="3"></rect>`, esc(s.Kind), a, y+4, max(z-a, 3))
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // G203: every text above is escaped
}

func tick(t time.Time, total time.Duration) string {
	switch {
	case total < 10*time.Minute:
		return t.UTC().Format("15:04:05")
	case total < 48*time.Hour:
		return t.UTC().Format("Jan 2, 15:04")
	default:
		return t.UTC().Format("Jan 2, 2006")
	}
}
