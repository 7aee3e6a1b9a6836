package list

import (
	"strings"
)

// trails is the block of a trail file that is being read.
type trails struct {
	references []string // of the block, newest last
	values     bool     // a value has followed them
}

// maxReferences bounds what one block of a trail file may refer to.
const maxReferences = 32

// family takes the name of a trail file, which is that of the family.
func (l *Reader) family(name string) {
	name = strings.TrimSuffix(name, ".txt")
	if name == "" || name == "." || name == "/" {
		return
	}
	l.labels = append(l.labels, clip(name, maxLabel))
	l.category = category(name)
}

// trail reads a line of a trail file of Maltrail: a value, and perhaps a comment
// behind a number sign. Comments above a block of values say where they come from.
func (l *Reader) trail(line string) {
	g := &l.group
	line = strings.TrimSpace(line)
	if line == "" {
		return
	}
	if line[0] == '#' {
		text := strings.TrimSpace(strings.TrimLeft(line, "#"))
		l.comment(text)
		if g.values {
			g.references, g.values, l.about = nil, false, ""
		}
		l.above(text)
		return
	}
	if !g.values {
		g.values = true
		l.about = clip(strings.Join(g.references, "\n"), maxContext)
	}
	v, about, _ := strings.Cut(line, "#")
	v = strings.TrimSpace(v)
	l.bareValue(v)
	if r := &l.queue[len(l.queue)-1]; about != "" {
		remark(r, about)
	}
}

// above keeps what a comment says of the values below it.
func (l *Reader) above(text string) {
	name, rest, ok := strings.Cut(text, ":")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.HasPrefix(text, "Copyright (c)"), strings.HasPrefix(text, "See the file '"), text == "":
	case ok && strings.EqualFold(name, "Aliases"):
		for a := range strings.SplitSeq(rest, ",") {
			a = clip(a, maxLabel)
			if a != "" && len(l.labels) < maxLabels {
				l.labels = append(l.labels, a)
			}
		}
	case len(l.group.references) < maxReferences:
		if ok && strings.HasPrefix(name, "Ref") {
			text = rest
		}
		l.group.references = append(l.group.references, text)
	}
}
