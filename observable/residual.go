package observable

import (
	"net/netip"
	"strings"

	"ecs/stix/pattern"
	"ecs/stix/pattern/match"
)

// Residual is what must hold besides the atoms of a pattern. Rooms do not
// evaluate it yet, which is why no service is named for a pattern that has one.
//
// An object that a service sees satisfies a bracket if it satisfies the bracket's
// group ([Group.Holds]). If Temporal is false, that is the answer; otherwise Root
// says how brackets and times have to go together ([match.Combine]).
//
// It compares as atoms do, not as the standard does: values in canonical spelling,
// and a name covers the names below it. On values that are in canonical spelling,
// and names that are not below each other, the two are the same.
type Residual struct {
	Groups   []Group             // one for each bracket, in the order written
	Root     pattern.Observation // the pattern, with canonical constants
	Temporal bool                // whether operators other than OR, or qualifiers, stand in Root
}

// Group is one bracket.
type Group struct {
	Bracket int                // its number, from 0
	Atoms   []Atom             // the bracket can hold only where one of them is seen; none: look at every object
	Rest    pattern.Comparison // what must hold on an object with such an atom; nil: nothing more
	Why     *Unobservable      // why the group never holds: it cannot be evaluated within its budget; nil if it can

	rest *predicate
}

// Object is one thing that a service sees, in the words of STIX: a name, a
// message, an attachment, a flow.
type Object interface {
	// Type gives the object type, such as "email-message".
	Type() string
	// Values gives each value that a path leads to, until yield says no, and
	// nothing for a path that leads nowhere. Types are those that
	// [match.Test.Holds] takes.
	Values(path pattern.Path, yield func(any) bool)
}

// Holds tells whether an object satisfies the bracket, given that one of the
// group's atoms was seen on it, or that the group has none. It takes at most so
// many steps; the error is a [*match.BudgetError].
func (g *Group) Holds(o Object, steps int64) (bool, error) {
	if g.Why != nil || g.Rest == nil {
		return g.Why == nil, nil
	}
	left := steps
	ok := g.rest.holds(o, &left)
	if left < 0 {
		return false, &match.BudgetError{Steps: steps}
	}
	return ok, nil
}

// prepare makes the rest ready, or says why it cannot be evaluated.
func (g *Group) prepare() {
	var err error
	g.rest, err = newPredicate(g.Rest)
	if err != nil {
		e := err.(*pattern.Error) //nolint:errorlint // newPredicate says so
		g.Why = &Unobservable{Part: "[" + part(pattern.Write(g.Rest)) + "]", Pos: e.Pos, Why: e.Msg}
	}
}

// predicate is a comparison made ready.
type predicate struct {
	op    pattern.Join
	items []*predicate // none for a test

	of     *pattern.Test
	plain  *match.Test // compares as the standard does; nil if by spelling
	kind   Kind        // whose spelling it compares by
	values []string    // canonical
	nets   []netip.Prefix
}

// newPredicate makes a comparison ready. The error is a [*pattern.Error].
func newPredicate(c pattern.Comparison) (*predicate, error) {
	if l, ok := c.(*pattern.Logic); ok {
		p := &predicate{op: l.Op}
		for _, item := range l.Items {
			sub, err := newPredicate(item)
			if err != nil {
				return nil, err
			}
			p.items = append(p.items, sub)
		}
		return p, nil
	}
	t := c.(*pattern.Test)
	p := &predicate{of: t, kind: spelled(t)}
	if t.Op == pattern.IsSubset {
		p.kind = None
	}
	for _, v := range t.Values {
		if v.Kind != pattern.String {
			p.kind = None
		}
	}
	if p.kind == None {
		var err error
		p.plain, err = match.NewTest(t, normalized)
		return p, err
	}
	for _, v := range t.Values {
		p.values = append(p.values, v.Text)
		net, err := parsePrefix(v.Text)
		if p.kind == Prefix && err == nil {
			p.nets = append(p.nets, net)
		}
	}
	return p, nil
}

func (p *predicate) holds(o Object, left *int64) bool {
	*left--
	if *left < 0 {
		return false
	}
	if p.of == nil {
		for _, item := range p.items {
			if item.holds(o, left) != (p.op == pattern.And) {
				return p.op == pattern.Or
			}
		}
		return p.op == pattern.And
	}
	found := false
	if o.Type() != p.of.Path.Type {
		return false
	}
	o.Values(p.of.Path, func(v any) bool {
		ok, steps := p.value(v, *left)
		*left -= steps
		found = ok && *left >= 0
		return !found && *left >= 0
	})
	return found
}

func (p *predicate) value(v any, most int64) (ok bool, steps int64) {
	if p.plain != nil {
		return p.plain.Holds(v, most)
	}
	s, isString := v.(string)
	steps = int64(1 + len(p.values) + len(s)/16)
	if steps > most {
		return false, steps
	}
	equal := isString && p.equal(s)
	return equal != (p.of.Op == pattern.NotEqual) != p.of.Not, steps
}

// equal compares by the spelling of the kind; what has no canonical spelling is
// compared as it is.
func (p *predicate) equal(s string) bool {
	canonical, err := Canonical(p.kind, s)
	if err == nil {
		s = canonical
	}
	if p.kind == Prefix && err == nil {
		net, err := parsePrefix(s)
		for _, want := range p.nets {
			if err == nil && want.Bits() <= net.Bits() && want.Contains(net.Addr()) {
				return true
			}
		}
	}
	for _, want := range p.values {
		if s == want || p.kind == Domain && strings.HasSuffix(s, "."+want) {
			return true
		}
	}
	return false
}
