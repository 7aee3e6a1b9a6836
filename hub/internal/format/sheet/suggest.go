package sheet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ecs/observable"
)

// Proposal is a mapping that an analyst may take, and why each column was placed.
// It passes [Mapping.Check] when Complete.
type Proposal struct {
	Mapping  Mapping  `json:"mapping"`
	Reasons  []Reason `json:"reasons"` // one for each column, in order
	Complete bool     `json:"complete"`
}

// Reason is why a column has its field.
type Reason struct {
	Number int    `json:"number"` // from 1
	Header string `json:"header"`
	Field  Field  `json:"field"`
	Why    string `json:"why"`
	Sure   bool   `json:"sure"` // the header is known, and the cells agree
}

// Suggest proposes a mapping from the words of a header and a few rows below it.
// A column that nothing is known of is kept for analysts (Context); a proposal
// ignores only columns that are empty.
func Suggest(header []string, rows [][]string) Proposal {
	p := Proposal{}
	used := map[Field]int{}
	for i, h := range header[:min(len(header), maxColumns)] {
		var cells []string
		for _, r := range rows {
			if i < len(r) && strings.TrimSpace(r[i]) != "" {
				cells = append(cells, strings.TrimSpace(r[i]))
			}
		}
		if strings.TrimSpace(h) == "" && len(cells) == 0 {
			continue
		}
		c, why := p.column(h, cells)
		if used[c.Field] > 0 && !c.Field.repeats() {
			why.Why = fmt.Sprintf("column %d is %s already; kept for analysts", used[c.Field], c.Field)
			c, why.Sure = Column{Field: Context}, false
		}
		used[c.Field] = i + 1
		c.Header, c.Number = strings.Join(strings.Fields(h), " "), i+1
		why.Number, why.Header, why.Field = i+1, c.Header, c.Field
		p.Mapping.Columns = append(p.Mapping.Columns, c)
		p.Reasons = append(p.Reasons, why)
	}
	p.Complete = p.Mapping.Check() == nil
	return p
}

// column proposes one column.
func (p *Proposal) column(header string, cells []string) (Column, Reason) {
	m := headerWord(header)
	if m.field == "" {
		return p.unknown(header, cells)
	}
	c := Column{Field: m.field}
	why := Reason{Why: fmt.Sprintf("the header says %q", clip(strings.TrimSpace(header))), Sure: true}
	switch m.field {
	case Value:
		p.value(&c, &why, m.kind, cells)
	case Type:
		p.types(&why, cells)
	case Category:
		for _, v := range cells {
			_, bad := (&plan{mapping: &Mapping{}}).category(v)
			if bad != nil {
				c.Field = Labels
				why.Why += fmt.Sprintf(", but %q is no category of ours: kept as label", clip(v))
				why.Sure = false
				break
			}
		}
	case Confidence:
		p.scale(&why, cells)
	case ValidFrom, ValidUntil, Observed:
		p.dates(&c, &why, cells)
	case TLP:
		for _, v := range cells {
			_, ok := tlpWord(v)
			if !ok {
				c.Field = Marking
				why.Why += fmt.Sprintf(", but %q is no TLP: a marking of another kind", clip(v))
				why.Sure = false
				break
			}
		}
	default:
		p.fits(&c, &why, cells)
	}
	return c, why
}

// fits keeps what cannot be read as its header says for analysts.
func (p *Proposal) fits(c *Column, why *Reason, cells []string) {
	for _, v := range cells {
		var d draft
		bad := (&plan{mapping: &p.Mapping}).field(&d, c.Field, &cell{text: v}, "")
		if bad != nil {
			*c = Column{Field: Context}
			why.Why += ", but " + bad.Reason + "; kept for analysts"
			why.Sure = false
			return
		}
	}
}

// unknown places a column by what its cells look like.
func (p *Proposal) unknown(header string, cells []string) (Column, Reason) {
	name := fmt.Sprintf("the header %q is not known", clip(strings.TrimSpace(header)))
	if strings.TrimSpace(header) == "" {
		name = "there is no header"
	}
	if len(cells) == 0 {
		return Column{Field: Ignore}, Reason{Why: name + ", and all cells are empty"}
	}
	marks, values := 0, 0
	var kind observable.Kind
	for _, v := range cells {
		_, ok := tlpWord(v)
		if ok && strings.HasPrefix(strings.ToUpper(v), "TLP") {
			marks++
		}
		a, err := observable.FromValue(v)
		if err == nil {
			values++
			kind = a.Kind
		}
	}
	switch {
	case marks > 0:
		return Column{Field: Marking}, Reason{Why: fmt.Sprintf("%s, but %d of %d cells are TLP", name, marks, len(cells))}
	case values*5 >= len(cells)*4 && values > 1:
		c, why := Column{Field: Value}, Reason{}
		p.value(&c, &why, observable.None, cells)
		why.Why = fmt.Sprintf("%s, but %d of %d cells are values such as %s", name, values, len(cells), kind)
		return c, why
	}
	return Column{Field: Context}, Reason{Why: name + ": kept for analysts"}
}

// value finds what divides several values of a cell, and whether all are of the
// kind that the header names.
func (p *Proposal) value(c *Column, why *Reason, kind observable.Kind, cells []string) {
	if kind == observable.Subject || kind == observable.FileName {
		c.Kind = kind.String()
		return
	}
	for _, split := range []string{"\n", ",", ";", " ", "|"} {
		for _, v := range cells {
			parts := strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(split, r) })
			if !strings.Contains(c.Split, split) && len(parts) > 1 && allValues(parts) && !isOneValue(v) {
				c.Split += split
				why.Why += fmt.Sprintf("; cells hold several values, divided by %s", strconv.Quote(split))
			}
		}
	}
	same, read := len(cells) > 0, 0
	for _, v := range cells {
		for part := range strings.FieldsFuncSeq(v, func(r rune) bool { return strings.ContainsRune(c.Split, r) }) {
			a, err := observable.FromValue(part)
			if err == nil {
				read++
			}
			same = same && err == nil && (a.Kind == kind || kind == observable.Prefix && a.Kind == observable.Addr)
		}
	}
	if kind != observable.None && same {
		c.Kind = kind.String()
	}
	if len(cells) > 0 && read == 0 {
		why.Why += ", but no cell looks like a value"
		why.Sure = false
	}
}

func isOneValue(v string) bool {
	_, err := observable.FromValue(v)
	return err == nil
}

func allValues(parts []string) bool {
	return !slices.ContainsFunc(parts, func(s string) bool { return !isOneValue(s) })
}

// types lets the value tell for types that we have no word for.
func (p *Proposal) types(why *Reason, cells []string) {
	for _, v := range cells {
		_, bad := (&plan{mapping: &Mapping{}}).kinds(v)
		if bad != nil {
			p.Mapping.Kinds = map[string]string{"*": "any"}
			why.Why += fmt.Sprintf("; types that are not known, such as %q, are told by the value", clip(v))
			why.Sure = false
			return
		}
	}
}

// scale finds how confidence is written.
func (p *Proposal) scale(why *Reason, cells []string) {
	if len(cells) == 0 {
		return
	}
	for _, s := range []string{"words", "admiralty", "probability", "0-1", "0-10", ""} {
		fits, fraction := true, false
		for _, v := range cells {
			_, _, bad := confidence(s, v)
			fits = fits && bad == nil
			fraction = fraction || strings.ContainsAny(v, ".,")
		}
		letters := strings.ContainsAny(strings.ToUpper(cells[0]), "ABCDEF")
		if !fits || s == "0-1" && !fraction || s == "admiralty" && !letters {
			continue
		}
		p.Mapping.Scale = s
		if s != "" {
			why.Why += "; its cells are on the scale " + s
			why.Sure = s != "0-10" && s != "0-1"
		}
		return
	}
	why.Why += "; its cells are on no scale that is known: translate them or ignore the column"
	why.Sure = false
}

// dates finds how dates are written.
func (p *Proposal) dates(c *Column, why *Reason, cells []string) {
	if len(cells) == 0 {
		return
	}
	had := p.Mapping.Dates
	orders := []string{"", "dmy", "mdy", "unix", "unix-ms"}
	if had != "" {
		orders = []string{had}
	}
	var fitting []string
	for _, how := range orders {
		pl := &plan{mapping: &Mapping{Dates: how}}
		fits := true
		for _, v := range cells {
			_, bad := pl.moment(c.Field, &cell{text: v})
			fits = fits && bad == nil
		}
		if fits {
			fitting = append(fitting, how)
		}
	}
	switch {
	case len(fitting) == 0:
		*c = Column{Field: Context}
		why.Why += fmt.Sprintf(", but %q is written as no date that is known; kept for analysts", clip(cells[0]))
		why.Sure = false
	case fitting[0] != "":
		p.Mapping.Dates = fitting[0]
		why.Why += "; dates are " + fitting[0]
		if slices.Contains(fitting, "dmy") && slices.Contains(fitting, "mdy") {
			why.Why += ", or mdy: no day in the sample is after the 12th"
			why.Sure = false
		}
	}
}
