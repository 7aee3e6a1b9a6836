package stix

import (
	"fmt"
	"strconv"
	"strings"
)

// Granular is a marking of parts of an object (section 7.2.3): of a marking, or
// of a language.
type Granular struct {
	Ref       string   // marking_ref, "" if it says a language
	Lang      string   // "" if it names a marking
	Selectors []string // of the parts, such as "external_references.[0].source_name"
	Values    []Value  // what they point at, one for each selector
}

// maxSelectors is how many selectors one object may have: each is a walk.
const maxSelectors = 256

// Covers tells whether a part, given as a selector, is marked: it is selected,
// or within something that is.
func (g *Granular) Covers(selector string) bool {
	for _, s := range g.Selectors {
		rest, ok := strings.CutPrefix(selector, s)
		if ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}

// GranularMarkings reads granular_markings. A selector that points at nothing is
// refused, as section 7.2.3 demands, and so are more than 256.
func (o *Object) GranularMarkings() ([]Granular, error) {
	all := o.Get("granular_markings")
	if !all.Ok() {
		return nil, nil
	}
	if all.Kind() != Items || all.Len() == 0 {
		return nil, wrong("granular_markings", WrongType, "property granular_markings is not a list with something in it")
	}
	var out []Granular
	n := 0
	for i, v := range all.Items() {
		r := fields{v: v}
		g := Granular{Ref: r.str("marking_ref", false), Lang: r.str("lang", false), Selectors: r.list("selectors")}
		switch {
		case v.Kind() != Members:
			r.wrong("granular_markings", WrongType, "it is not an object")
		case r.err != nil:
		case len(g.Selectors) == 0:
			r.wrong("selectors", Missing, "property selectors is missing")
		case (g.Ref == "") == (g.Lang == ""):
			r.wrong("marking_ref", BadValue, "want one of marking_ref and lang")
		case g.Ref != "" && (CheckID(g.Ref) != nil || TypeOf(g.Ref) != "marking-definition"):
			r.wrong("marking_ref", BadValue, "marking_ref %q does not name a marking-definition", clip(g.Ref))
		}
		n += len(g.Selectors)
		if n > maxSelectors {
			return nil, wrong("selectors", BadValue, "more than %d selectors", maxSelectors)
		}
		for _, s := range g.Selectors {
			x := o.Select(s)
			if !x.Ok() {
				r.wrong("selectors", BadValue, "selector %q points at nothing", clip(s))
			}
			g.Values = append(g.Values, x)
		}
		if r.err != nil {
			return nil, fmt.Errorf("granular_markings %d: %w", i, r.err)
		}
		out = append(out, g)
	}
	return out, nil
}

// Select gives the part of an object that a selector points at (section
// 7.2.3.1): names of properties and positions in lists such as "[0]", with
// points between. What it points at nothing is absent.
func (o *Object) Select(selector string) Value {
	v := o.Value()
	for step := range strings.SplitSeq(selector, ".") {
		at, isIndex := strings.CutPrefix(step, "[")
		if !isIndex {
			v = v.Get(step)
			continue
		}
		at, closed := strings.CutSuffix(at, "]")
		n, err := strconv.Atoi(at)
		if !closed || err != nil || strconv.Itoa(n) != at {
			return Value{}
		}
		v = v.Index(n)
	}
	return v
}
