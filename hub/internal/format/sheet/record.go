package sheet

import (
	"strings"

	"ecs/hub/internal/format"
	"ecs/observable"
)

// Limits of the texts of one record, in bytes, as in docs/formats/intake.md.
const (
	maxSummary   = 2 << 10
	maxContext   = 16 << 10
	maxReference = 512
	maxLabels    = 64
	maxLabel     = 200
)

// draft is a row on its way to records.
type draft struct {
	rec      format.Record
	cells    []valueCell
	pattern  string
	kind     string // the type as written
	port     string
	protocol string
	set      [32]bool // by position in Fields: the row gave it
	values   []oneValue
}

type valueCell struct {
	text  string
	kind  observable.Kind
	split string
}

type oneValue struct {
	text, pattern string
	kind          observable.Kind
}

func (d *draft) mark(f Field) {
	for i := range Fields {
		if Fields[i] == f {
			d.set[i] = true
		}
	}
}

func (d *draft) has(i int) bool { return d.set[i] }

// label adds what a cell lists.
func (d *draft) label(text, split string) {
	if split == "" {
		split = ",;\n"
	}
	for l := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(split, r) }) {
		l = strings.TrimSpace(l)
		if l != "" {
			d.rec.Labels = append(d.rec.Labels, l)
		}
	}
}

// finish adds the constants and makes the values.
func (p *plan) finish(d *draft) *format.Problem {
	if len(p.mapping.Constants) > 0 {
		for i, f := range Fields {
			text, ok := p.mapping.Constants[f]
			if !ok || d.has(i) && f != Marking {
				continue
			}
			var why *format.Problem
			if f == Labels {
				d.label(text, "")
			} else {
				why = p.field(d, f, &cell{text: strings.TrimSpace(text)}, "")
			}
			if why != nil {
				return why
			}
		}
	}
	if len(d.rec.Labels) > maxLabels {
		return problem(codeValue, "%d labels, limit %d", len(d.rec.Labels), maxLabels)
	}
	for _, l := range d.rec.Labels {
		_, why := text("labels", l, maxLabel)
		if why != nil {
			return why
		}
	}
	switch {
	case len(d.cells) == 0 && d.pattern == "":
		return problem(codeMissing, "neither a value nor a pattern")
	case len(d.cells) > 0 && d.pattern != "":
		return problem(codeValue, "both a value and a pattern: give one of them")
	case d.pattern != "":
		d.values = append(d.values, oneValue{pattern: d.pattern})
		return nil
	}
	for _, c := range d.cells {
		why := p.split(d, c)
		if why != nil {
			return why
		}
	}
	if len(d.values) == 0 {
		return problem(codeMissing, "the value is nothing but separators")
	}
	return nil
}

// split makes the values of a cell.
func (p *plan) split(d *draft, c valueCell) *format.Problem {
	kinds, why := p.kinds(d.kind)
	if why != nil {
		return why
	}
	if c.kind != observable.None {
		kinds = []observable.Kind{c.kind}
	}
	if c.split == "" {
		return d.add(c.text, kinds)
	}
	for v := range strings.FieldsFuncSeq(c.text, func(r rune) bool { return strings.ContainsRune(c.split, r) }) {
		v = strings.TrimSpace(v)
		if v == "" {
			continue
		}
		why := d.add(v, kinds)
		if why != nil {
			return why
		}
	}
	return nil
}

// add adds one value. One of a composed type, such as MISP's domain|ip, is as many
// values as it has parts; a port belongs to what is before it.
func (d *draft) add(v string, kinds []observable.Kind) *format.Problem {
	if len(kinds) < 2 {
		kind := observable.None
		if len(kinds) == 1 {
			kind = kinds[0]
		}
		d.values = append(d.values, oneValue{text: d.narrowed(v, kind), kind: kind})
		return nil
	}
	parts := strings.Split(v, "|")
	if len(parts) != len(kinds) {
		return problem(codeValue, "the type has %d parts and the value %d", len(kinds), len(parts))
	}
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if kinds[i] != observable.Port {
			d.values = append(d.values, oneValue{text: part, kind: kinds[i]})
			continue
		}
		if i == 0 {
			return problem(codeValue, "the type begins with a port")
		}
		before := &d.values[len(d.values)-1]
		if before.kind == observable.Addr {
			before.text = withPort(before.text, part, "any")
		}
	}
	return nil
}

// narrowed adds the port of the row to an address.
func (d *draft) narrowed(v string, kind observable.Kind) string {
	if d.port == "" && d.protocol == "" {
		return v
	}
	if kind != observable.None && kind != observable.Addr && kind != observable.Prefix {
		return v
	}
	a, err := observable.FromValue(v)
	if err != nil || a.Port != 0 || a.Kind != observable.Addr && a.Kind != observable.Prefix {
		return v
	}
	port, protocol := d.port, d.protocol
	if port == "" {
		port = "any"
	}
	if protocol == "" {
		protocol = "any"
	}
	return withPort(a.Value, port, protocol)
}

func withPort(address, port, protocol string) string {
	return address + " " + port + "/" + protocol
}
