package sheet

import (
	"slices"
	"strings"

	"ecs/hub/internal/format"
	"ecs/hub/internal/marking"
	"ecs/observable"
)

// plan is a mapping bound to the columns of one file.
type plan struct {
	mapping *Mapping // what is not said there is as in a table with our own names
	known   bool     // the columns have our own names: no translations
	columns []bound  // by position
	layout  string   // of the last time that was read
	numbers bool     // there is no header: rows may be shorter or longer
	banner  []marking.Mark

	days1904 bool // of the workbook
}

type bound struct {
	header string
	field  Field // empty: a column without a header, which must be empty
	kind   observable.Kind
	split  string
	left   int64
}

// bindKnown takes a header of our own names.
func bindKnown(r *row) (*plan, error) {
	p := &plan{mapping: &Mapping{}, known: true}
	used := map[Field]bool{}
	for i := range r.cells {
		f := Field(strings.ToLower(strings.TrimSpace(r.cells[i].text)))
		switch {
		case f == "":
		case f == Ignore || !slices.Contains(Fields, f):
			return nil, refused(codeFormat, "unknown column %q in line %d: want some of %s; or make a mapping for the files of this source",
				clip(string(f)), r.line, knownNames())
		case used[f]:
			return nil, refused(codeFormat, "column %q is named twice", f)
		}
		used[f] = true
		p.columns = append(p.columns, bound{header: string(f), field: f})
	}
	if !used[Value] && !used[Pattern] {
		return nil, refused(codeFormat, "the header names neither a column value nor a column pattern")
	}
	return p, p.bounded()
}

func knownNames() string {
	var out []string
	for _, f := range Fields[:len(Fields)-1] {
		out = append(out, string(f))
	}
	return strings.Join(out, ", ")
}

func (p *plan) bounded() error {
	if len(p.columns) > maxColumns {
		return refused(codeFormat, "the header has %d columns, limit %d", len(p.columns), maxColumns)
	}
	return nil
}

func (c *Column) bound(header string) bound {
	k, _ := kindWord(c.Kind)
	return bound{header: header, field: c.Field, kind: k, split: c.Split}
}

func bindNumbers(m *Mapping) *plan {
	p := &plan{mapping: m, numbers: true}
	for i := range m.Columns {
		c := &m.Columns[i]
		for len(p.columns) < c.Number {
			p.columns = append(p.columns, bound{})
		}
		p.columns[c.Number-1] = c.bound(c.Header)
	}
	return p
}

// bind finds the columns of a mapping in a header. Each column of the file must be
// mapped, and each column of the mapping be there.
func bind(m *Mapping, r *row) (*plan, error) {
	p := &plan{mapping: m}
	at := map[string]int{} // position by folded header, -1 when it stands there twice
	for i := range r.cells {
		name := strings.TrimSpace(r.cells[i].text)
		p.columns = append(p.columns, bound{header: name})
		_, twice := at[fold(name)]
		at[fold(name)] = i
		if twice {
			at[fold(name)] = -1
		}
	}
	err := p.bounded()
	if err != nil {
		return nil, err
	}
	taken := make([]bool, len(p.columns))
	for i := range m.Columns {
		c := &m.Columns[i]
		pos, found := at[fold(c.Header)]
		if c.Number > 0 {
			pos, found = c.Number-1, c.Number <= len(p.columns)
		}
		switch {
		case !found && c.Optional:
			continue
		case !found:
			return nil, refused(codeFormat, "column %s of the mapping is not in the header in line %d: has the source changed its files? Change the mapping", c.name(), r.line)
		case pos < 0:
			return nil, refused(codeFormat, "the header in line %d names %q twice: the mapping must name that column by its number", r.line, clip(c.Header))
		case c.Header != "" && fold(p.columns[pos].header) != fold(c.Header):
			return nil, refused(codeFormat, "column %d is %q, and the mapping says %q: has the source changed its files? Change the mapping",
				pos+1, clip(p.columns[pos].header), clip(c.Header))
		case taken[pos]:
			return nil, refused(codeFormat, "column %d is mapped twice, by its header and by its number", pos+1)
		}
		taken[pos] = true
		p.columns[pos] = c.bound(p.columns[pos].header)
	}
	for i, c := range p.columns {
		if !taken[i] && c.header != "" {
			return nil, refused(codeFormat, "column %d, %q, is not in the mapping: it could be a marking. Map it, to ignore if it is of no concern", i+1, clip(c.header))
		}
	}
	return p, nil
}

func (c *Column) name() string {
	if c.Header != "" {
		return `"` + clip(c.Header) + `"`
	}
	return "number " + itoa(c.Number)
}

// records makes the records of a row: one for each value, or one with a problem.
func (p *plan) records(r *row, out []format.Record) []format.Record {
	base := format.Record{Place: "line " + itoa(int(r.line)), Line: r.line, Raw: r.raw}
	d := draft{rec: base}
	d.rec.Confidence, d.rec.Marks = -1, slices.Clip(p.banner)
	why := r.problem
	if why == nil {
		why = p.draft(&d, r)
	}
	if why == nil {
		why = p.finish(&d)
	}
	if why != nil {
		base.Problem = why
		return append(out, base)
	}
	for i, v := range d.values {
		rec := d.rec
		if len(d.values) > 1 {
			rec.Place += ", value " + itoa(i+1)
		}
		rec.Value, rec.Kind, rec.Pattern = v.text, v.kind, v.pattern
		out = append(out, rec)
	}
	return out
}

// draft reads all cells of a row.
func (p *plan) draft(d *draft, r *row) *format.Problem {
	short := len(r.cells) < len(p.columns) && !r.sparse
	if !p.numbers && (short || len(r.cells) > len(p.columns) && !emptyCells(r.cells[len(p.columns):])) {
		return problem(codeSyntax, "%d fields, and the header names %d", len(r.cells), len(p.columns))
	}
	for i := range r.cells {
		c := &r.cells[i]
		c.text = strings.TrimSpace(c.text)
		if c.text == "" && c.bad == "" {
			continue
		}
		if i >= len(p.columns) || p.columns[i].field == "" {
			return problem(codeSyntax, "column %d has no header, and holds something here", i+1)
		}
		b := &p.columns[i]
		if b.field == Ignore {
			b.left++
			continue
		}
		if c.bad != "" {
			return problem(codeValue, "%s: %s", b.field, c.bad)
		}
		var why *format.Problem
		switch b.field {
		case Value:
			d.cells = append(d.cells, valueCell{text: c.text, kind: b.kind, split: b.split})
		case Labels:
			d.label(c.text, b.split)
		default:
			why = p.field(d, b.field, c, b.header)
		}
		if why != nil {
			return why
		}
	}
	return nil
}

func emptyCells(cells []cell) bool {
	for i := range cells {
		if cells[i].bad != "" || strings.TrimSpace(cells[i].text) != "" {
			return false
		}
	}
	return true
}
