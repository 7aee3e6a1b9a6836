package match

import (
	"math"
	"slices"
	"time"

	"ecs/stix/pattern"
)

// Span is when something was observed, from First to Last, and how often.
type Span struct {
	First, Last time.Time
	Number      int64 // at least 1
}

// maxDepth bounds how many parts of a pattern, repetitions included, can be bound
// at once, and by that the stack.
const maxDepth = 50_000

// Combine tells whether observations satisfy the operators and qualifiers of a
// pattern, given which of them satisfy each of its brackets (indexes in spans, in
// the order of [Brackets]). It gives the observations of one way in which they do,
// nil if there is none. The error is a [*BudgetError].
//
// Each bracket is bound to an observation of its own (section 9.4): one with a
// Number of n can be bound n times. Of an observation that lasted, any moment
// counts: a FOLLOWEDBY b holds if moments can be chosen such that none of a is
// after any of b; WITHIN if moments can be chosen that lie so close together;
// START and STOP if each has a moment from START to before STOP.
func Combine(root pattern.Observation, spans []Span, hits [][]int, steps int64) ([]int, error) {
	if steps == 0 {
		steps = DefaultSteps
	}
	binding, _, err := combine(root, spans, hits, steps)
	return binding, err
}

func combine(root pattern.Observation, spans []Span, hits [][]int, steps int64) ([]int, int64, error) {
	s := &search{spans: spans, hits: map[*pattern.Observe][]int{}, used: make([]int64, len(spans)), left: steps}
	for i, o := range Brackets(root) {
		byBeginning := slices.Clone(hits[i])
		slices.SortStableFunc(byBeginning, func(a, b int) int { return spans[a].First.Compare(spans[b].First) })
		s.hits[o] = byBeginning
	}
	var binding []int
	s.solve(root, func(window) bool {
		binding = []int{}
		for i, n := range s.used {
			if n > 0 {
				binding = append(binding, i)
			}
		}
		return true
	})
	if s.left < 0 && binding == nil {
		return nil, 0, &BudgetError{steps}
	}
	return binding, max(0, s.left), nil
}

// window is what time says of a set of observations: the latest beginning and the
// earliest end. Every question about their order needs only these two.
type window struct {
	latestFirst, earliestLast time.Time
	some                      bool
}

func (w window) with(o window) window {
	if !w.some {
		return o
	}
	if o.latestFirst.After(w.latestFirst) {
		w.latestFirst = o.latestFirst
	}
	if o.earliestLast.Before(w.earliestLast) {
		w.earliestLast = o.earliestLast
	}
	return w
}

// scope is a qualifier that what is being bound stands under. What breaks it
// cannot be mended by binding more.
type scope struct {
	up    *scope
	so    window // of what is bound below it
	holds func(window) bool
}

// search binds brackets to observations by trying, with the rest of the pattern
// as a continuation.
type search struct {
	spans []Span
	hits  map[*pattern.Observe][]int // by their beginning
	used  []int64                    // how often each observation is bound
	trail []int                      // the choices made, to tell repetitions apart
	scope *scope
	left  int64
	depth int
}

// then goes on with the rest of the pattern and reports whether that succeeded.
type then func(window) bool

// solve binds o in every way, one after the other, until the rest succeeds.
func (s *search) solve(o pattern.Observation, k then) bool {
	s.left--
	s.depth++
	defer func() { s.depth-- }()
	if s.depth > maxDepth {
		s.left = -1
	}
	if s.left < 0 {
		return false
	}
	switch o := o.(type) {
	case *pattern.Observe:
		return s.observe(o, k)
	case *pattern.Qualified:
		return s.qualified(o, k)
	case *pattern.Combined:
		if o.Op == pattern.Or {
			return s.either(o.Items, k)
		}
		return s.all(o, 0, window{}, k)
	}
	return false
}

func (s *search) observe(o *pattern.Observe, k then) bool {
	for _, i := range s.hits[o] {
		if s.tooLate(i) {
			return false
		}
		if s.bind(i, 1, k) {
			return true
		}
		if s.left < 0 {
			return false
		}
	}
	return false
}

// tooLate tells whether an observation begins too late for what is bound under
// the same qualifiers, as then all do that begin later.
func (s *search) tooLate(i int) bool {
	for sc := s.scope; sc != nil; sc = sc.up {
		if sc.so.some && !sc.holds(sc.so.with(window{s.spans[i].First, sc.so.earliestLast, true})) {
			return true
		}
	}
	return false
}

// bind binds one observation so many times and goes on.
func (s *search) bind(i int, times int64, k then) bool {
	s.left--
	if s.left < 0 || s.used[i]+times > s.spans[i].Number {
		return false
	}
	w := window{s.spans[i].First, s.spans[i].Last, true}
	for sc := s.scope; sc != nil; sc = sc.up {
		if !sc.holds(sc.so.with(w)) {
			return false
		}
	}
	before := make([]window, 0, 4)
	for sc := s.scope; sc != nil; sc = sc.up {
		before = append(before, sc.so)
		sc.so = sc.so.with(w)
	}
	s.used[i] += times
	s.trail = append(s.trail, i)
	ok := k(w)
	if ok {
		return true
	}
	s.trail = s.trail[:len(s.trail)-1]
	s.used[i] -= times
	n := 0
	for sc := s.scope; sc != nil; sc = sc.up {
		sc.so = before[n]
		n++
	}
	return false
}

func (s *search) either(items []pattern.Observation, k then) bool {
	for i, item := range items {
		s.trail = append(s.trail, -1-i)
		if s.solve(item, k) {
			return true
		}
		s.trail = s.trail[:len(s.trail)-1]
	}
	return false
}

// all binds the items from the n-th on, of which so is bound already.
func (s *search) all(o *pattern.Combined, n int, so window, k then) bool {
	return s.solve(o.Items[n], func(w window) bool {
		if o.Op == pattern.FollowedBy && so.some && so.latestFirst.After(w.earliestLast) {
			return false
		}
		if n+1 == len(o.Items) {
			return k(so.with(w))
		}
		return s.all(o, n+1, so.with(w), k)
	})
}

func (s *search) qualified(o *pattern.Qualified, k then) bool {
	sc := &scope{up: s.scope}
	switch q := o.With.(type) {
	case pattern.Repeats:
		if leaf, ok := o.Of.(*pattern.Observe); ok {
			return s.repeatLeaf(s.hits[leaf], q.Times, window{}, k)
		}
		return s.repeat(o.Of, q.Times, len(s.trail), len(s.trail), window{}, k)
	case pattern.Within:
		d := seconds(q.Seconds)
		sc.holds = func(w window) bool { return w.latestFirst.Sub(w.earliestLast) <= d }
	case pattern.StartStop:
		sc.holds = func(w window) bool { return !w.earliestLast.Before(q.Start) && w.latestFirst.Before(q.Stop) }
	}
	s.scope = sc
	ok := s.solve(o.Of, func(w window) bool {
		s.scope = sc.up
		ok := k(w)
		s.scope = sc
		return ok
	})
	s.scope = sc.up
	return ok
}

// seconds gives the length of a WITHIN, which has no bound in the grammar.
func seconds(l pattern.Literal) time.Duration {
	f := l.Float
	if l.Kind == pattern.Int {
		if l.Int > math.MaxInt64/int64(time.Second) {
			return math.MaxInt64
		}
		return time.Duration(l.Int) * time.Second
	}
	if f >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(math.Round(f * float64(time.Second)))
}

// repeatLeaf binds a bracket so many times to the observations at hand, each as
// often as it goes; their order does not matter.
func (s *search) repeatLeaf(hits []int, times int64, so window, k then) bool {
	for n, i := range hits {
		if s.tooLate(i) {
			return false
		}
		most := min(times, s.spans[i].Number-s.used[i])
		for m := most; m > 0; m-- {
			ok := s.bind(i, m, func(w window) bool {
				if m == times {
					return k(so.with(w))
				}
				s.depth++
				defer func() { s.depth-- }()
				if s.depth > maxDepth {
					s.left = -1
					return false
				}
				return s.repeatLeaf(hits[n+1:], times-m, so.with(w), k)
			})
			if ok {
				return true
			}
			if s.left < 0 {
				return false
			}
		}
	}
	return false
}

// repeat binds o so many times more. The choices of the last time begin at last,
// those of this time at now; each time's must not be before the last one's, so
// that no set of choices is tried in more than one order.
func (s *search) repeat(o pattern.Observation, times int64, last, now int, so window, k then) bool {
	return s.solve(o, func(w window) bool {
		if before(s.trail[now:], s.trail[last:now]) {
			return false
		}
		if times == 1 {
			return k(so.with(w))
		}
		return s.repeat(o, times-1, now, len(s.trail), so.with(w), k)
	})
}

func before(a, b []int) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return len(a) < len(b)
}
