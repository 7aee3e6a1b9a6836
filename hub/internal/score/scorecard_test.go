package score_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/score"
	"ecs/observable"
)

func fresh(observable.Kind) time.Duration { return 90 * day }

func tally(recorded string) *score.Tally {
	return score.NewTally("cedar", recorded, now.Add(-30*day), now, fresh)
}

func figure(t *testing.T, c *score.Scorecard, name string, numerator, denominator, unknown int64) *score.Metric {
	t.Helper()
	m := c.Metric(name)
	if m == nil {
		t.Fatalf("no metric %q", name)
	}
	if got := [3]int64{m.Numerator, m.Denominator, m.Unknown}; got != [3]int64{numerator, denominator, unknown} {
		t.Errorf("%s is %v (of, all, unknown), want %d of %d, %d", name, got, numerator, denominator, unknown)
	}
	if m.Definition == "" || m.Base == "" {
		t.Errorf("%s lacks definition or base", name)
	}
	return m
}

func TestScorecard(t *testing.T) {
	y := tally("B")
	at := now.Add(-10 * day)
	for _, m := range []score.Mention{
		{At: at, Observed: at.Add(-91 * day), First: true, Public: score.No, State: indicator.InForce, Released: at.Add(2 * time.Hour), FalsePositive: score.No, Fired: score.Yes, Has: score.HasObserved | score.HasLabels},
		{At: at, Observed: at.Add(-90 * day), First: true, Public: score.Yes, State: indicator.Revoked, Released: at.Add(4 * time.Hour), FalsePositive: score.Yes, Fired: score.No, Has: score.HasObserved},
		{At: at, First: true, State: indicator.Rejected},
		{At: at, State: indicator.Returned},
		{At: at, State: indicator.Purged, Returned: true},
		{At: at, First: true, Public: score.No, State: indicator.PendingFirst},
		{At: at, Again: true, State: indicator.InForce, Released: at, FalsePositive: score.No},
		{At: at, First: true, Public: score.No, State: indicator.Expired, Released: at.Add(time.Hour), FalsePositive: score.No},
	} {
		y.Add(&m)
	}
	y.Refused("SYNTAX", 1)
	y.Refused("BAD-VALUE", 3)
	y.Refused("SYNTAX", 1)
	y.All(8, 100)
	c := y.Card()
	figure(t, &c, score.MetricStale, 1, 2, 6)
	figure(t, &c, score.MetricNew, 5, 7, 0)
	figure(t, &c, score.MetricNovel, 3, 6, 1)
	figure(t, &c, score.MetricDuplicate, 1, 8, 0)
	figure(t, &c, score.MetricRefused, 5, 13, 0)
	figure(t, &c, score.MetricWrong, 4, 6, 1)
	figure(t, &c, score.MetricFalsePositives, 1, 3, 0)
	figure(t, &c, score.MetricRejected, 1, 6, 1)
	figure(t, &c, score.MetricReturned, 2, 6, 1)
	figure(t, &c, score.MetricComplete, 3, 64, 0)
	figure(t, &c, score.MetricFired, 1, 2, 1)
	figure(t, &c, score.MetricConcentration, 8, 100, 0)
	m := figure(t, &c, score.MetricRelease, 0, 3, 4)
	if m.Median != 2*time.Hour || m.String() != "median 2h0m0s of 3, which are few; 4 unknown" {
		t.Errorf("median %s: %s", m.Median, m)
	}
	if got, want := c.Metric(score.MetricWrong).String(), "4 of 6, too few for a percentage; 1 unknown"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := c.Metric(score.MetricConcentration).String(), "8.0 %: 8 of 100"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if diff := cmp.Diff([]score.Count{{Name: "BAD-VALUE", N: 3}, {Name: "SYNTAX", N: 2}}, c.Refusals); diff != "" {
		t.Error(diff)
	}
	if c.Suggested != "F" || len(c.Reasons) != 1 {
		t.Errorf("six judged indicators give %s: %q", c.Suggested, c.Reasons)
	}
}

func TestGrade(t *testing.T) {
	for _, c := range []struct {
		name         string
		good, bad    int
		stale        bool
		recorded     string
		want, reason string
	}{
		{"nothing", 0, 0, false, "A", "F", "0 indicators were judged"},
		{"too few", 19, 0, false, "A", "F", "fewer than 20"},
		{"twenty good ones prove no A", 20, 0, false, "A", "C", "worse than the A on record"},
		{"fifty", 50, 0, false, "B", "B", "as on record"},
		{"many", 400, 0, false, "B", "A", "better than the B on record"},
		{"many, stale", 400, 0, true, "F", "C", "not judged"},
		{"some wrong", 970, 30, false, "C", "B", "better"},
		{"a tenth wrong", 900, 100, false, "B", "C", "worse"},
		{"a third wrong", 200, 100, false, "C", "D", "worse"},
		{"all wrong", 0, 40, true, "", "E", "on record it is not judged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := tally(c.recorded)
			m := score.Mention{At: now, Observed: now, Released: now, State: indicator.InForce, FalsePositive: score.No}
			if c.stale {
				m.Observed = now.Add(-200 * day)
			}
			for range c.good {
				y.Add(&m)
			}
			m.FalsePositive = score.Yes
			for range c.bad {
				y.Add(&m)
			}
			got := y.Card()
			if got.Suggested != c.want || got.Recorded != c.recorded || !strings.Contains(strings.Join(got.Reasons, "; "), c.reason) {
				t.Errorf("suggests %s because %q; want %s, %q", got.Suggested, got.Reasons, c.want, c.reason)
			}
		})
	}
}

// No share is above one, nothing is counted twice or lost, and one more wrong
// indicator never betters the grade.
func TestScorecardProperties(t *testing.T) {
	mention := rapid.Custom(func(t *rapid.T) score.Mention {
		m := score.Mention{
			At: now, Again: rapid.Bool().Draw(t, "again"), First: rapid.Bool().Draw(t, "first"),
			Public: score.Answer(rapid.IntRange(0, 2).Draw(t, "public")), Fired: score.Answer(rapid.IntRange(0, 2).Draw(t, "fired")),
			State: rapid.SampledFrom(indicator.States).Draw(t, "state"), FalsePositive: score.Answer(rapid.IntRange(0, 2).Draw(t, "false positive")),
			Returned: rapid.Bool().Draw(t, "returned"), Has: score.Wanted(rapid.Uint16().Draw(t, "has")),
		}
		if rapid.Bool().Draw(t, "released") {
			m.Released = now.Add(time.Duration(rapid.Int64Range(-10, 1<<40).Draw(t, "after")) * time.Second)
		}
		if rapid.Bool().Draw(t, "observed") {
			m.Observed = now.Add(-time.Duration(rapid.IntRange(-5, 300).Draw(t, "age")) * day)
		}
		return m
	})
	rapid.Check(t, func(t *rapid.T) {
		y, worse := tally("C"), tally("C")
		mentions := rapid.SliceOfN(mention, 0, 60).Draw(t, "mentions")
		var first int64
		for i := range mentions {
			y.Add(&mentions[i])
			worse.Add(&mentions[i])
			if !mentions[i].Again {
				first++
			}
		}
		c := y.Card()
		for i := range c.Metrics {
			m := &c.Metrics[i]
			if m.Numerator > m.Denominator || m.Numerator < 0 || m.Unknown < 0 {
				t.Fatalf("%s: %d of %d, %d unknown", m.Name, m.Numerator, m.Denominator, m.Unknown)
			}
			switch m.Name {
			case score.MetricStale, score.MetricDuplicate:
				if m.Denominator+m.Unknown != int64(len(mentions)) {
					t.Fatalf("%s counts %d and %d of %d mentions", m.Name, m.Denominator, m.Unknown, len(mentions))
				}
			case score.MetricNew, score.MetricNovel, score.MetricWrong, score.MetricRejected, score.MetricReturned:
				if m.Denominator+m.Unknown != first {
					t.Fatalf("%s counts %d and %d of %d indicators", m.Name, m.Denominator, m.Unknown, first)
				}
			}
		}
		worse.Add(&score.Mention{At: now, State: indicator.Rejected})
		w := worse.Card()
		if w.Suggested < c.Suggested && c.Suggested != "F" {
			t.Fatalf("one more wrong indicator bettered the grade from %s to %s", c.Suggested, w.Suggested)
		}
	})
}

func BenchmarkTally(b *testing.B) {
	m := score.Mention{At: now, Observed: now, Released: now, State: indicator.InForce, Has: score.HasObserved}
	y := tally("C")
	for b.Loop() {
		y.Add(&m)
	}
}
