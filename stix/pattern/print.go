package pattern

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// String gives the canonical form: one space where the grammar needs any and
// around operators, no needless parentheses, "=" and "!=", the shortest spelling
// of each constant, keys in quotes only where needed. Parsed again it gives the
// same tree but for positions. Order is kept as written.
func (p *Pattern) String() string {
	var b strings.Builder
	writeObservation(&b, p.Root)
	return b.String()
}

// Write gives one comparison in canonical form, as it stands in its pattern.
func Write(c Comparison) string {
	var b strings.Builder
	writeComparison(&b, c)
	return b.String()
}

func writeObservation(b *strings.Builder, o Observation) {
	switch o := o.(type) {
	case *Observe:
		b.WriteByte('[')
		writeComparison(b, o.Expr)
		b.WriteByte(']')
	case *Combined:
		for i, item := range o.Items {
			if i > 0 {
				b.WriteString(" " + o.Op.String() + " ")
			}
			c, ok := item.(*Combined)
			enclose(b, ok && c.Op >= o.Op, func() { writeObservation(b, item) })
		}
	case *Qualified:
		_, combined := o.Of.(*Combined)
		enclose(b, combined || hasQualifier(o.Of, o.With.name()), func() { writeObservation(b, o.Of) })
		b.WriteByte(' ')
		b.WriteString(o.With.String())
	}
}

// hasQualifier reports whether one of this name stands directly on o, so that a
// second one would be refused without parentheses between them.
func hasQualifier(o Observation, name string) bool {
	q, ok := o.(*Qualified)
	for ok {
		if q.With.name() == name {
			return true
		}
		q, ok = q.Of.(*Qualified)
	}
	return false
}

func enclose(b *strings.Builder, yes bool, write func()) {
	if yes {
		b.WriteByte('(')
	}
	write()
	if yes {
		b.WriteByte(')')
	}
}

// String gives the qualifier as written in a pattern.
func (w Within) String() string { return "WITHIN " + w.Seconds.String() + " SECONDS" }

// String gives the qualifier as written in a pattern.
func (r Repeats) String() string { return "REPEATS " + strconv.FormatInt(r.Times, 10) + " TIMES" }

// String gives the qualifier as written in a pattern.
func (s StartStop) String() string {
	return "START " + timestamp(s.Start) + " STOP " + timestamp(s.Stop)
}

func writeComparison(b *strings.Builder, c Comparison) {
	switch c := c.(type) {
	case *Logic:
		for i, item := range c.Items {
			if i > 0 {
				b.WriteString(" " + c.Op.String() + " ")
			}
			l, ok := item.(*Logic)
			enclose(b, ok && l.Op >= c.Op, func() { writeComparison(b, item) })
		}
	case *Test:
		if c.Op == Exists {
			b.WriteString("EXISTS " + c.Path.String())
			return
		}
		b.WriteString(c.Path.String() + " ")
		if c.Not {
			b.WriteString("NOT ")
		}
		b.WriteString(c.Op.String() + " ")
		if c.Op != In {
			b.WriteString(c.Values[0].String())
			return
		}
		b.WriteByte('(')
		for i, v := range c.Values {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(v.String())
		}
		b.WriteByte(')')
	}
}

// String gives the path as written in a pattern.
func (p Path) String() string {
	var b strings.Builder
	b.WriteString(p.Type + ":")
	for i, s := range p.Steps {
		switch {
		case s.Kind == Any:
			b.WriteString("[*]")
			continue
		case s.Kind == Index:
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
			continue
		case i > 0:
			b.WriteByte('.')
		}
		if plainKey(s.Key) {
			b.WriteString(s.Key)
		} else {
			b.WriteString(Quote(s.Key))
		}
	}
	return b.String()
}

func plainKey(s string) bool {
	if s == "" || !nameStart(s[0]) || keywords[s] || s == "LAST" { // LAST: reserved, without a meaning
		return false
	}
	for i := range len(s) {
		if !nameStart(s[i]) && !digit(s[i]) {
			return false
		}
	}
	return true
}

var escapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// Quote writes s as a string constant.
func Quote(s string) string { return "'" + escapes.Replace(s) + "'" }

// String gives the constant as written in a pattern.
func (v Literal) String() string {
	switch v.Kind {
	case String:
		return Quote(v.Text)
	case Int:
		return strconv.FormatInt(v.Int, 10)
	case Float:
		s := strconv.FormatFloat(v.Float, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	case Bool:
		return strconv.FormatBool(v.Bool)
	case Binary:
		return "b'" + base64.StdEncoding.EncodeToString(v.Bytes) + "'"
	case Hex:
		return "h'" + hex.EncodeToString(v.Bytes) + "'"
	default:
		return timestamp(v.Time)
	}
}

func timestamp(t time.Time) string { return "t'" + t.Format("2006-01-02T15:04:05.999999999Z") + "'" }
