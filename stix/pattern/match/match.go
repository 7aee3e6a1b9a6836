package match

import (
	"fmt"

	"ecs/stix/pattern"
)

// DefaultSteps is far above what patterns of people need; it is spent in a few
// seconds.
const DefaultSteps = 50_000_000

// BudgetError says that an answer would take more steps than allowed. Nothing is
// known of the answer.
type BudgetError struct {
	Steps int64 // the budget
}

// Error implements error.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("no answer within %d steps; narrow the pattern or give less data", e.Steps)
}

// Matcher is a pattern made ready. It may be used by several goroutines.
type Matcher struct {
	root     pattern.Observation
	brackets []*bracket
}

type bracket struct {
	observe *pattern.Observe
	tests   map[*pattern.Test]*Test
}

// New makes a pattern ready. The function nfc brings a string into Unicode
// normalization form C, which LIKE and MATCHES compare in (section 9.6.1); the
// standard library has none. It may be nil for patterns without these two. The
// error is a [*pattern.Error]: a regular expression that needs more than linear
// time or is too long, a constant that is no address.
func New(p *pattern.Pattern, nfc func(string) string) (*Matcher, error) {
	m := &Matcher{root: p.Root}
	for _, o := range Brackets(p.Root) {
		b := &bracket{observe: o, tests: map[*pattern.Test]*Test{}}
		err := b.prepare(o.Expr, nfc)
		if err != nil {
			return nil, err
		}
		m.brackets = append(m.brackets, b)
	}
	return m, nil
}

// Brackets gives the observations of a pattern in the order written.
func Brackets(o pattern.Observation) []*pattern.Observe {
	switch o := o.(type) {
	case *pattern.Observe:
		return []*pattern.Observe{o}
	case *pattern.Qualified:
		return Brackets(o.Of)
	case *pattern.Combined:
		var out []*pattern.Observe
		for _, item := range o.Items {
			out = append(out, Brackets(item)...)
		}
		return out
	}
	return nil
}

func (b *bracket) prepare(c pattern.Comparison, nfc func(string) string) error {
	switch c := c.(type) {
	case *pattern.Logic:
		for _, item := range c.Items {
			err := b.prepare(item, nfc)
			if err != nil {
				return err
			}
		}
	case *pattern.Test:
		t, err := NewTest(c, nfc)
		if err != nil {
			return err
		}
		b.tests[c] = t
	}
	return nil
}

// Hit is one object that satisfies one bracket.
type Hit struct {
	Observation int    // index in [Data.Observations]
	Object      string // identifier, or the key in a STIX 2.0 dictionary
}

// Result says whether a pattern holds.
type Result struct {
	Matched bool
	// Brackets gives for each bracket, in the order written, what satisfies it by
	// itself, whether the pattern holds or not.
	Brackets [][]Hit
	// Binding is one way in which the pattern holds: indexes in
	// [Data.Observations], in order, each once. Nil if it does not.
	Binding []int
	// Steps is what the answer took.
	Steps int64
}

// Match tells whether the pattern holds on the data, within so many steps; 0
// stands for [DefaultSteps]. The error is a [*BudgetError].
func (m *Matcher) Match(d *Data, steps int64) (Result, error) {
	if steps == 0 {
		steps = DefaultSteps
	}
	e := &evaluator{left: steps}
	res := Result{}
	hits := make([][]int, len(m.brackets))
	for i, b := range m.brackets {
		var found []Hit
		for n, o := range d.Observations {
			before := len(found)
			for _, obj := range o.objects {
				e.scope = o.scope
				if e.holds(b, b.observe.Expr, obj) && !e.spent() {
					found = append(found, Hit{n, obj.id})
				}
			}
			if len(found) > before {
				hits[i] = append(hits[i], n)
			}
		}
		if e.spent() {
			return Result{Steps: steps}, &BudgetError{steps}
		}
		res.Brackets = append(res.Brackets, found)
	}
	spans := make([]Span, len(d.Observations))
	for i, o := range d.Observations {
		spans[i] = Span{o.First, o.Last, o.Number}
	}
	binding, left, err := combine(m.root, spans, hits, e.left)
	if err != nil {
		return Result{Steps: steps}, &BudgetError{steps}
	}
	res.Binding, res.Matched, res.Steps = binding, binding != nil, steps-left
	return res, nil
}

// evaluator judges comparisons on objects.
type evaluator struct {
	left  int64
	scope map[string]*object
}

func (e *evaluator) spent() bool { return e.left < 0 }

// spend takes steps from the budget. Whoever calls it gives up when it says no.
func (e *evaluator) spend(n int64) bool {
	e.left -= n
	return e.left >= 0
}

// holds tells whether a comparison holds on one object.
func (e *evaluator) holds(b *bracket, c pattern.Comparison, o *object) bool {
	if !e.spend(1) {
		return false
	}
	l, ok := c.(*pattern.Logic)
	if !ok {
		return e.test(b.tests[c.(*pattern.Test)], o)
	}
	for _, item := range l.Items {
		if e.holds(b, item, o) != (l.Op == pattern.And) {
			return l.Op == pattern.Or
		}
	}
	return l.Op == pattern.And
}

// test tells whether any value at the path satisfies a test. A path that leads
// nowhere satisfies none, with NOT or without.
func (e *evaluator) test(t *Test, o *object) bool {
	if o.typ != t.of.Path.Type {
		return false
	}
	found := false
	e.walk(o.members, t.of.Path.Steps, false, func(v any) bool {
		ok, steps := t.Holds(v, e.left)
		found = e.spend(steps) && ok
		return !found && !e.spent()
	})
	return found
}
