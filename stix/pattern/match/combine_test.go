package match

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ecs/stix/pattern"
)

// bound is one way to bind a part of a pattern: how often each observation is
// used.
type bound []int64

// every gives all ways to bind an observation expression, one step after the
// other and without thinking ahead, as section 9 tells it.
func every(o pattern.Observation, spans []Span, hits map[*pattern.Observe][]int) []bound {
	switch o := o.(type) {
	case *pattern.Observe:
		var out []bound
		for _, i := range hits[o] {
			b := make(bound, len(spans))
			b[i] = 1
			out = append(out, b)
		}
		return out
	case *pattern.Combined:
		var out []bound
		for n, item := range o.Items {
			next := every(item, spans, hits)
			switch {
			case n == 0:
				out = next
			case o.Op == pattern.Or:
				out = append(out, next...)
			default:
				out = pairs(out, next, spans, o.Op == pattern.FollowedBy)
			}
		}
		return unique(out)
	case *pattern.Qualified:
		one := every(o.Of, spans, hits)
		var out []bound
		switch q := o.With.(type) {
		case pattern.Repeats:
			out = one
			for range q.Times - 1 {
				out = unique(pairs(out, one, spans, false))
			}
		case pattern.Within:
			for _, b := range one {
				first, last := ends(b, spans)
				if first.Sub(last) <= seconds(q.Seconds) {
					out = append(out, b)
				}
			}
		case pattern.StartStop:
			for _, b := range one {
				first, last := ends(b, spans)
				if !last.Before(q.Start) && first.Before(q.Stop) {
					out = append(out, b)
				}
			}
		}
		return out
	}
	return nil
}

// pairs puts together what does not use an observation more often than it was
// observed, in order if asked.
func pairs(a, b []bound, spans []Span, ordered bool) []bound {
	var out []bound
	for _, x := range a {
		for _, y := range b {
			sum, ok := make(bound, len(spans)), true
			for i := range sum {
				sum[i] = x[i] + y[i]
				ok = ok && sum[i] <= spans[i].Number
			}
			first, _ := ends(x, spans)
			_, last := ends(y, spans)
			if ok && (!ordered || !first.After(last)) {
				out = append(out, sum)
			}
		}
	}
	return out
}

func unique(all []bound) []bound {
	slices.SortFunc(all, func(a, b bound) int { return slices.Compare(a, b) })
	return slices.CompactFunc(all, func(a, b bound) bool { return slices.Equal(a, b) })
}

// ends gives the latest beginning and the earliest end of what is bound.
func ends(b bound, spans []Span) (latestFirst, earliestLast time.Time) {
	some := false
	for i, n := range b {
		if n == 0 {
			continue
		}
		if !some || spans[i].First.After(latestFirst) {
			latestFirst = spans[i].First
		}
		if !some || spans[i].Last.Before(earliestLast) {
			earliestLast = spans[i].Last
		}
		some = true
	}
	return latestFirst, earliestLast
}

func drawObservation(t *rapid.T, depth int) pattern.Observation {
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
		return &pattern.Observe{}
	}
	start := time.Unix(0, 0).UTC()
	switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); kind {
	case 0, 1, 2:
		out := &pattern.Combined{Op: pattern.Join(kind)}
		for range rapid.IntRange(2, 3).Draw(t, "items") {
			out.Items = append(out.Items, drawObservation(t, depth-1))
		}
		return out
	case 3:
		return &pattern.Qualified{Of: drawObservation(t, depth-1), With: pattern.Repeats{Times: int64(rapid.IntRange(1, 3).Draw(t, "times"))}}
	case 4:
		return &pattern.Qualified{Of: drawObservation(t, depth-1), With: pattern.Within{Seconds: pattern.Literal{Kind: pattern.Int, Int: int64(rapid.IntRange(1, 4).Draw(t, "within"))}}}
	default:
		from := rapid.IntRange(0, 8).Draw(t, "start")
		to := rapid.IntRange(from+1, 9).Draw(t, "stop")
		return &pattern.Qualified{Of: drawObservation(t, depth-1), With: pattern.StartStop{
			Start: start.Add(time.Duration(from) * time.Second), Stop: start.Add(time.Duration(to) * time.Second),
		}}
	}
}

// TestCombine compares the search with listing all there is, and looks whether
// the binding that it gives is one of these.
func TestCombine(t *testing.T) {
	yes, no := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var spans []Span
		for range rapid.IntRange(1, 5).Draw(t, "observations") {
			first := rapid.IntRange(0, 9).Draw(t, "first")
			last := rapid.IntRange(first, 9).Draw(t, "last")
			spans = append(spans, Span{time.Unix(int64(first), 0), time.Unix(int64(last), 0), int64(rapid.IntRange(1, 3).Draw(t, "number"))})
		}
		root := drawObservation(t, 3)
		byBracket := map[*pattern.Observe][]int{}
		var hits [][]int
		for _, o := range Brackets(root) {
			var of []int
			for i := range spans {
				if rapid.Bool().Draw(t, "hit") {
					of = append(of, i)
				}
			}
			byBracket[o] = of
			hits = append(hits, of)
		}
		got, err := Combine(root, spans, hits, 0)
		if err != nil {
			t.Skip(err)
		}
		all := every(root, spans, byBracket)
		if (got != nil) != (len(all) > 0) {
			t.Fatalf("%s on %v with %v: got %v, there are %d bindings", (&pattern.Pattern{Root: root}).String(), spans, hits, got, len(all))
		}
		if got == nil {
			no++
			return
		}
		yes++
		if !slices.ContainsFunc(all, func(b bound) bool {
			for i, n := range b {
				if (n > 0) != slices.Contains(got, i) {
					return false
				}
			}
			return true
		}) {
			t.Fatalf("%v binds nothing", got)
		}
	})
	if yes == 0 || no == 0 {
		t.Errorf("%d patterns held, %d did not", yes, no)
	}
}
