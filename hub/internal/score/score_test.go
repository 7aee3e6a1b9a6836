package score_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/hub/internal/policy"
	"ecs/hub/internal/score"
	"ecs/internal/config"
	"ecs/observable"
)

const day = 24 * time.Hour

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// MISP's own arithmetic: score = base × (1 - (t/τ)^(1/δ)), NIDS model.
func TestNIDS(t *testing.T) {
	m := score.NIDS()
	err := m.Check()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		hours float64
		want  float64
	}{
		{0, 80},
		{1.2 * 24, 72},
		{7.5 * 24, 60},
		{30 * 24, 40},
		{46.875 * 24, 30},
		{67.5 * 24, 20},
		{120 * 24, 0},
		{400 * 24, 0},
	} {
		e := score.Evidence{Kind: observable.Addr, Created: now.Add(-time.Duration(v.hours * float64(time.Hour)))}
		got := m.Score(&e, now)
		if !near(got.Value, v.want) {
			t.Errorf("after %g hours: %g, want %g", v.hours, got.Value, v.want)
		}
	}
	fresh := m.Score(&score.Evidence{Created: now}, now)
	want := now.Add(time.Duration(46.875 * float64(day)))
	if d := fresh.Until.Sub(want); d < 0 || d > 2*time.Second || fresh.Suggestion != score.Keep {
		t.Errorf("a fresh one is to %s until %s, want keep until %s", fresh.Suggestion, fresh.Until, want)
	}
	if got := m.Score(&score.Evidence{Created: now}, fresh.Until).Suggestion; got != score.Retire {
		t.Errorf("below MISP's threshold the suggestion is %s, want retire", got)
	}
}

// The curves follow from the program's lifetimes.
func TestCurvesFollowLifetimes(t *testing.T) {
	m := score.DefaultModel()
	for k, l := range policy.DefaultLifetimes {
		c := m.Curve(k)
		if time.Duration(c.Days)*day != l.Age {
			t.Errorf("%s is worth nothing after %d days; the checks call it stale after %s", k, c.Days, l.Age)
		}
		left := 1 - math.Pow(float64(l.Default)/float64(l.Age), 1/c.Delta)
		if math.Abs(left-0.5) > 0.01 {
			t.Errorf("%s: at its usual validity %.3f is left, want half", k, left)
		}
	}
}

// at is evidence that one good source saw a name some days ago.
func at(days float64, more ...func(*score.Evidence)) *score.Evidence {
	e := &score.Evidence{Kind: observable.Domain, Created: now.Add(-200 * day), Statements: []score.Statement{
		{Source: "cedar", Reliability: "A", Credibility: 1, Confidence: 80, At: now.Add(-time.Duration(days * float64(day)))},
	}}
	for _, f := range more {
		f(e)
	}
	return e
}

func says(s score.Statement) func(*score.Evidence) {
	return func(e *score.Evidence) { e.Statements = append(e.Statements, s) }
}

func sees(observer string, days float64, events int64) func(*score.Evidence) {
	return func(e *score.Evidence) {
		e.Reports = append(e.Reports, score.Report{Observer: observer, At: now.Add(-time.Duration(days * float64(day))), Events: events})
	}
}

func wrong(n int64, confirmed bool) func(*score.Evidence) {
	return func(e *score.Evidence) {
		e.FalsePositives = append(e.FalsePositives, score.FalsePositive{Count: n, Confirmed: confirmed})
	}
}

func TestScore(t *testing.T) {
	old := now.Add(-90 * day)
	for _, c := range []struct {
		name string
		e    *score.Evidence
		want float64
		do   score.Suggestion
		part string // a part and its points, "" for none
	}{
		{"fresh, the best source", at(0), 80, score.Keep, "base 80"},
		{"half of its life", at(90), 40, score.Keep, "age -40"},
		{"old", at(140), 80 * (1 - 140.0/180), score.Review, ""},
		{"old when the hub got it", at(90, func(e *score.Evidence) { e.Created = now }), 40, score.Keep, "age -40"},
		{"stale", at(181), 0, score.Retire, "age -80"},
		{"a second source", at(0, says(score.Statement{Source: "dogwood", Reliability: "A", Credibility: 1, Confidence: 70, At: old})), 87, score.Keep, "corroboration 7"},
		{"the same origin is one source", at(0, says(score.Statement{Source: "mirror", Origin: "x", Reliability: "A", Credibility: 1, Confidence: 70}),
			says(score.Statement{Source: "mirror2", Origin: "x", Reliability: "A", Credibility: 1, Confidence: 70})), 87, score.Keep, "corroboration 7"},
		{"an unreliable source adds little", at(0, says(score.Statement{Source: "dogwood", Reliability: "E", Credibility: 1, Confidence: 80})), 81.6, score.Keep, "corroboration 1.6"},
		{"a source that doubts", at(0, says(score.Statement{Source: "dogwood", Reliability: "B", Credibility: 3, Confidence: 40})), 70, score.Keep, "disagreement -10"},
		{"a source that vouches for it", at(0, says(score.Statement{Source: "dogwood", Reliability: "A", Credibility: 1, Confidence: 75, Benign: true, At: now})), 5, score.Retire, "disagreement -75"},
		{"grades count", at(0, func(e *score.Evidence) { e.Statements[0].Reliability, e.Statements[0].Credibility = "C", 0 }), 48, score.Keep, "base 48"},
		{"named again", at(90, says(score.Statement{Source: "cedar", Reliability: "A", Credibility: 1, Confidence: 80, At: now})), 80, score.Keep, "age 0"},
		{"seen by a provider", at(90, sees("alder", 0, 99)), 86, score.Keep, "sightings 6"},
		{"seen very often", at(0, sees("alder", 0, 1_000_000)), 80 + 3*math.Log10(1001), score.Keep, ""},
		{"looked for twice", at(0, sees("alder", -0.1, 0), sees("birch", -0.1, 0)), 80, score.Keep, "not seen 0"},
		{"looked for since, twice", at(18, sees("alder", 2, 0), sees("alder", 2, 0), sees("birch", 1, 0)), 36, score.Keep, "not seen -36"},
		{"looked for before", at(18, sees("alder", 20, 0)), 72, score.Keep, "not seen 0"},
		{"looked for four times", at(18, sees("a", 1, 0), sees("b", 1, 0), sees("c", 1, 0), sees("d", 1, 0)), 0, score.Retire, "not seen -72"},
		{"one confirmed false positive", at(0, wrong(1, true)), 80.0 / 11, score.Retire, ""},
		{"one reported", at(0, wrong(1, false)), 80.0 / 3, score.Review, ""},
		{"few among many matches", at(0, sees("alder", 0, 999), wrong(1, true)), 89 * 1000.0 / 1010, score.Keep, ""},
		{"certain and seen by many", at(0, func(e *score.Evidence) { e.Statements[0].Confidence = 100 }, says(score.Statement{Source: "dogwood", Reliability: "A", Credibility: 1, Confidence: 100}), sees("alder", 0, 999)), 100, score.Keep, "sightings 0"},
		{"nobody vouches", &score.Evidence{Created: now}, 0, score.Retire, "base 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := score.DefaultModel().Score(c.e, now)
			if !near(got.Value, c.want) || got.Suggestion != c.do {
				t.Errorf("got %g, %s; want %g, %s", got.Value, got.Suggestion, c.want, c.do)
			}
			if len(got.Parts) != 7 {
				t.Errorf("%d parts, want all seven", len(got.Parts))
			}
			found := c.part == ""
			for _, p := range got.Parts {
				if p.Why == "" {
					t.Errorf("part %s gives no reason", p.Name)
				}
				found = found || fmt.Sprintf("%s %g", p.Name, math.Round(p.Value*1e6)/1e6+0) == c.part
			}
			if !found {
				t.Errorf("no part «%s» in %+v", c.part, got.Parts)
			}
		})
	}
}

// Generators of evidence: any mixture, wrong clocks included.
var (
	moment = rapid.Custom(func(t *rapid.T) time.Time {
		return now.Add(time.Duration(rapid.Int64Range(-800*24, 48).Draw(t, "hours")) * time.Hour)
	})
	sighting = rapid.Custom(func(t *rapid.T) score.Report {
		return score.Report{
			Observer: rapid.SampledFrom([]string{"alder", "birch", "cherry"}).Draw(t, "observer"),
			At:       moment.Draw(t, "at"), Events: rapid.SampledFrom([]int64{0, 0, 5, 10, 50, 1000, 1_000_000}).Draw(t, "events"),
		}
	})
	falsePositive = rapid.Custom(func(t *rapid.T) score.FalsePositive {
		return score.FalsePositive{Count: rapid.Int64Range(1, 1000).Draw(t, "count"), Confirmed: rapid.Bool().Draw(t, "confirmed")}
	})
	statement = rapid.Custom(func(t *rapid.T) score.Statement {
		return score.Statement{
			Source: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "source"), Origin: rapid.SampledFrom([]string{"", "x"}).Draw(t, "origin"),
			Reliability: rapid.SampledFrom([]string{"A", "B", "C", "D", "E", "F", "", "?", "AB"}).Draw(t, "reliability"),
			Credibility: rapid.IntRange(0, 7).Draw(t, "credibility"), Confidence: rapid.IntRange(0, 100).Draw(t, "confidence"),
			Benign: rapid.IntRange(0, 7).Draw(t, "benign") == 0, At: moment.Draw(t, "at"),
		}
	})
	evidence = rapid.Custom(func(t *rapid.T) score.Evidence {
		return score.Evidence{
			Kind:    rapid.SampledFrom([]observable.Kind{observable.None, observable.Domain, observable.Addr, observable.Mail, observable.SHA256}).Draw(t, "kind"),
			Created: moment.Draw(t, "created"), Statements: rapid.SliceOfN(statement, 0, 5).Draw(t, "statements"),
			Reports: rapid.SliceOfN(sighting, 0, 6).Draw(t, "sightings"), FalsePositives: rapid.SliceOfN(falsePositive, 0, 3).Draw(t, "wrong"),
		}
	})
)

func TestProperties(t *testing.T) {
	models := []*score.Model{score.DefaultModel(), score.NIDS()}
	const slack = 1e-9 // of floating point
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(models).Draw(t, "model")
		e := evidence.Draw(t, "evidence")
		got := m.Score(&e, now)
		var sum float64
		for _, p := range got.Parts {
			sum += p.Value
		}
		if !near(sum, got.Value) || got.Value < 0 || got.Value > 100 {
			t.Fatalf("the score is %g, its parts add up to %g: %+v", got.Value, sum, got.Parts)
		}
		later := m.Score(&e, now.Add(time.Duration(rapid.Int64Range(0, 1000*24*3600).Draw(t, "wait"))*time.Second))
		if later.Value > got.Value+slack {
			t.Fatalf("it rose from %g to %g by waiting", got.Value, later.Value)
		}
		mixed := e
		mixed.Statements = rapid.Permutation(e.Statements).Draw(t, "statements in another order")
		mixed.Reports = rapid.Permutation(e.Reports).Draw(t, "sightings in another order")
		other := m.Score(&mixed, now)
		if diff := cmp.Diff(got, other); diff != "" {
			t.Fatalf("the order of the evidence counts: %s", diff)
		}
		seen := e
		s := sighting.Filter(func(s score.Report) bool { return s.Events > 0 }).Draw(t, "one more sighting")
		seen.Reports = append(slices.Clone(e.Reports), s)
		if v := m.Score(&seen, now).Value; v < got.Value-slack {
			t.Fatalf("a sighting lowered it from %g to %g", got.Value, v)
		}
		bad := e
		bad.FalsePositives = append(slices.Clone(e.FalsePositives), falsePositive.Draw(t, "one more false positive"))
		if v := m.Score(&bad, now).Value; v > got.Value+slack {
			t.Fatalf("a false positive raised it from %g to %g", got.Value, v)
		}
		missed := e
		s = sighting.Draw(t, "one more look in vain")
		s.Events = 0
		missed.Reports = append(slices.Clone(e.Reports), s)
		if v := m.Score(&missed, now).Value; v > got.Value+slack {
			t.Fatalf("not being seen raised it from %g to %g", got.Value, v)
		}
	})
}

// The moment at which the suggestion changes is the moment at which it changes.
func TestUntil(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := score.DefaultModel()
		e := evidence.Draw(t, "evidence")
		for i := range e.Reports {
			if e.Reports[i].Events == 0 && e.Reports[i].At.After(now) {
				e.Reports[i].At = now // one that is counted later is new evidence
			}
		}
		got := m.Score(&e, now)
		if got.Until.IsZero() {
			if got.Suggestion != score.Retire {
				t.Fatalf("%s for ever", got.Suggestion)
			}
			return
		}
		if got.Until.Before(now) {
			t.Fatalf("it was due at %s", got.Until)
		}
		if then := m.Score(&e, got.Until).Suggestion; then == got.Suggestion {
			t.Fatalf("at %s it is still to %s", got.Until, then)
		}
		before := got.Until.Add(-2 * time.Second)
		if before.After(now) && m.Score(&e, before).Suggestion != got.Suggestion {
			t.Fatalf("before %s it is no longer to %s", got.Until, got.Suggestion)
		}
	})
}

func TestModelForms(t *testing.T) {
	m := score.DefaultModel()
	err := config.Parse([]byte("kinds:\n  domain: {days: 60, delta: 2, review: 50}\nreview: 40\nfalse_positives: {reported: 1, confirmed: 5}\n"), m)
	if err != nil {
		t.Fatal(err)
	}
	want := score.DefaultModel()
	want.Kinds = map[string]score.Curve{"domain": {Days: 60, Delta: 2, Review: 50}}
	want.Review, want.FalsePositives = 40, score.Weights{Reported: 1, Confirmed: 5}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("YAML over the default: %s", diff)
	}
	if c := m.Curve(observable.Domain); c.Review != 50 || c.Retire != 10 || m.Curve(observable.Mail).Days != 60 {
		t.Errorf("the domain's curve is %+v, that of mail %+v", c, m.Curve(observable.Mail))
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var again score.Model
	err = json.Unmarshal(b, &again)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, &again); diff != "" {
		t.Errorf("JSON does not give it back: %s", diff)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*score.Model)
		want   string
	}{
		{"default", func(*score.Model) {}, ""},
		{"kind", func(m *score.Model) { m.Kinds = map[string]score.Curve{"domian": {Days: 1, Delta: 1}} }, "domian"},
		{"days", func(m *score.Model) { m.Kinds = map[string]score.Curve{"domain": {Delta: 1}} }, "domain: days is 0"},
		{"delta", func(m *score.Model) { m.Default.Days = 5 }, "default: delta is 0"},
		{"delta is no number", func(m *score.Model) { m.Default = score.Curve{Days: 5, Delta: math.NaN()} }, "delta is NaN"},
		{"thresholds", func(m *score.Model) { m.Retire = 50 }, "retire"},
		{"thresholds of a kind", func(m *score.Model) {
			m.Kinds = map[string]score.Curve{"url": {Days: 1, Delta: 1, Review: 5, Retire: 6}}
		}, "url: retire"},
		{"grades", func(m *score.Model) { m.Reliability = m.Reliability[:5] }, "reliability has 5"},
		{"order of grades", func(m *score.Model) { m.Credibility[2] = 99 }, "credibility: a worse grade"},
		{"percent", func(m *score.Model) { m.Credibility[0] = 101 }, "credibility: 101"},
		{"points", func(m *score.Model) { m.Corroboration.Most = -1 }, "corroboration: most"},
		{"spread", func(m *score.Model) { m.Spread = 0 }, "spread"},
		{"absence", func(m *score.Model) { m.Absence = 0 }, "absence"},
		{"false positives", func(m *score.Model) { m.FalsePositives.Confirmed = 1 }, "false_positives"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := score.DefaultModel()
			c.change(m)
			err := m.Check()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func BenchmarkScore(b *testing.B) {
	m := score.DefaultModel()
	e := at(20, says(score.Statement{Source: "dogwood", Reliability: "B", Confidence: 70, At: now}), sees("alder", 2, 50), sees("birch", 1, 0), wrong(1, false))
	b.ReportAllocs()
	for b.Loop() {
		_ = m.Score(e, now)
	}
}
