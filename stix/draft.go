package stix

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Draft is a JSON object being written: members in any order, at the end in
// canonical form (RFC 8785), so that the same content is always the same bytes.
// What is empty is left out, as STIX 2.1 section 2.7 and 2.6 want of strings and
// lists. The first mistake is kept and given by [Draft.Append].
type Draft struct {
	members []member
	err     error
}

type member struct {
	name  string
	value []byte
}

// NewDraft begins an SDO or SRO: type, spec_version, id, created and modified.
// An empty id is made up ([NewID]); created and modified are the same if
// modified is zero, as of a first version (section 3.6).
func NewDraft(typ, id string, created, modified time.Time) *Draft {
	if id == "" {
		id = NewID(typ)
	}
	if modified.IsZero() {
		modified = created
	}
	d := &Draft{}
	d.Str("type", typ).Str("spec_version", "2.1").Str("id", id).Time("created", created).Time("modified", modified)
	switch {
	case CheckID(id) != nil || TypeOf(id) != typ:
		d.fail(fmt.Errorf("%q is not an identifier of type %q", clip(id), clip(typ)))
	case created.IsZero():
		d.fail(errors.New("created is zero; give the time of the first version"))
	case modified.Before(created):
		d.fail(errors.New("modified is before created"))
	}
	return d
}

func (d *Draft) fail(err error) {
	if d.err == nil {
		d.err = fmt.Errorf("stix: draft: %w", err)
	}
}

func (d *Draft) set(name string, value []byte) *Draft {
	if !utf8.ValidString(name) || !utf8.Valid(value) {
		d.fail(fmt.Errorf("%s: %w", clip(strconv.QuoteToASCII(name)), ErrUTF8))
	}
	d.members = append(d.members, member{name, value})
	return d
}

// Str sets a string unless it is empty.
func (d *Draft) Str(name, value string) *Draft {
	if value == "" {
		return d
	}
	return d.set(name, appendString(nil, value))
}

// Time sets a timestamp unless it is zero: three digits of a second, or more if
// there are more, down to nanoseconds.
func (d *Draft) Time(name string, t time.Time) *Draft {
	if t.IsZero() {
		return d
	}
	if t.Year() < 0 || t.Year() > 9999 {
		d.fail(fmt.Errorf("%s: year %d cannot be written", name, t.Year()))
	}
	s := FormatTime(t)
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		s = t.UTC().Format("2006-01-02T15:04:05.999999999Z")
	}
	return d.Str(name, s)
}

// List sets a list of strings unless it is empty.
func (d *Draft) List(name string, values []string) *Draft {
	if len(values) == 0 {
		return d
	}
	b := []byte{'['}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, v)
	}
	return d.set(name, append(b, ']'))
}

// Int sets a whole number, which a double must hold exactly (section 2.8).
func (d *Draft) Int(name string, n int64) *Draft {
	if n > 1<<53-1 || n < -(1<<53-1) {
		d.fail(fmt.Errorf("%s: %d is beyond what JSON numbers hold exactly", name, n))
	}
	return d.set(name, appendNumber(nil, float64(n)))
}

// Flag sets true or false.
func (d *Draft) Flag(name string, value bool) *Draft {
	return d.set(name, strconv.AppendBool(nil, value))
}

// JSON sets any JSON value, strict and nested no deeper than 64.
func (d *Draft) JSON(name string, text []byte) *Draft {
	b, err := CanonicalJSON(text)
	if err != nil {
		d.fail(fmt.Errorf("%s: %w", name, err))
	}
	return d.set(name, b)
}

// Object sets an object unless it has no members.
func (d *Draft) Object(name string, part *Draft) *Draft {
	if part == nil || len(part.members) == 0 && part.err == nil {
		return d
	}
	b, err := part.Append(nil)
	if err != nil {
		d.fail(fmt.Errorf("%s: %w", name, err))
	}
	return d.set(name, b)
}

// Objects sets a list of objects unless it is empty.
func (d *Draft) Objects(name string, parts []*Draft) *Draft {
	if len(parts) == 0 {
		return d
	}
	b := []byte{'['}
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		b, err = p.Append(b)
		if err != nil {
			d.fail(fmt.Errorf("%s: %w", name, err))
		}
	}
	return d.set(name, append(b, ']'))
}

// Append appends the object in canonical form.
func (d *Draft) Append(dst []byte) ([]byte, error) {
	if d.err != nil {
		return dst, d.err
	}
	slices.SortStableFunc(d.members, func(a, b member) int { return compareUTF16(a.name, b.name) })
	out := append(dst, '{')
	for i, m := range d.members {
		if i > 0 {
			if m.name == d.members[i-1].name {
				return dst, fmt.Errorf("stix: draft: property %s is set twice", m.name)
			}
			out = append(out, ',')
		}
		out = append(append(appendString(out, m.name), ':'), m.value...)
	}
	return append(out, '}'), nil
}
