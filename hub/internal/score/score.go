// Package score says what an indicator is worth today, and what a source is worth
// by its results. [Model.Score] gives 0 to 100 from who vouches for the indicator,
// how long ago it was seen, what providers saw of it and who called it a
// false positive, and shows the part of each; [Tally] makes the scorecard of a source.
// docs/formats/score.md has the formulas and tables.
//
// It is NOT for acting: nothing here changes an item or a source's grade, and a
// suggestion is shown to a person. It is not for the checks of an item on its way
// (hub/internal/policy) either.
//
// Invariants, held by property tests:
//   - The same evidence and the same moment give the same score; no clock is read.
//   - The parts add up to the score.
//   - Without new evidence a score never rises. A sighting never lowers it, a
//     false positive never raises it.
//   - A share is never shown without its numerator, its denominator and how many
//     could not be judged.
package score

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"ecs/observable"
)

// Statement is what one source says of an indicator.
type Statement struct {
	Source      string
	Origin      string    // what sources that copy from each other share, such as the agency; empty: the source stands for itself
	Reliability string    // of the source, Admiralty scale A to F; another value counts as F
	Credibility int       // of the information, Admiralty scale 1 to 6; another value counts as 6
	Confidence  int       // 0 to 100
	Benign      bool      // the source vouches for the value: it contradicts the others
	At          time.Time // when the source last saw it, or named it
}

// Report is what one observer, such as a provider over one day, says of matches:
// a count in steps, never whose.
type Report struct {
	Observer string
	At       time.Time
	Events   int64 // lower bound of a bucket; 0: looked for and not seen (STIX 2.1 section 5.2, count)
}

// FalsePositive is a report that matches were false positives.
type FalsePositive struct {
	Count     int64 // lower bound of a bucket; at least 1
	Confirmed bool  // by a person who looked; reports that were denied are no evidence
}

// Evidence is all that a score is made of. Moments after now count as now: a
// wrong clock does not keep anything young, and waiting adds nothing.
type Evidence struct {
	Kind           observable.Kind
	Created        time.Time // when the hub got it, for the age when no source says when it was seen
	Statements     []Statement
	Reports        []Report
	FalsePositives []FalsePositive
}

// Suggestion is what the score suggests to a person.
type Suggestion string

// The suggestions.
const (
	Keep   Suggestion = "keep"
	Review Suggestion = "review"
	Retire Suggestion = "retire"
)

// Names of parts.
const (
	PartBase          = "base"
	PartCorroboration = "corroboration"
	PartDisagreement  = "disagreement"
	PartSightings     = "sightings"
	PartAge           = "age"
	PartAbsence       = "not seen"
	PartFalse         = "false positives"
)

// Part is what one cause adds to the score, or takes from it.
type Part struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"` // in points of the score
	Why   string  `json:"why"`   // for people
}

// Score is what an indicator is worth at one moment.
type Score struct {
	Value      float64    `json:"value"` // 0 to 100
	Parts      []Part     `json:"parts"` // add up to Value
	Suggestion Suggestion `json:"suggestion"`
	Seen       time.Time  `json:"seen"`           // from when on its age counts
	Until      time.Time  `json:"until,omitzero"` // when the suggestion becomes a harder one if nothing new is learned; zero when there is none
}

// Score judges the evidence at the moment now.
func (m *Model) Score(e *Evidence, now time.Time) Score {
	last := e.last()
	seen := last
	if last.After(now) {
		seen = now
	}
	hits, first := m.hits(e)
	parts := m.vouched(e)
	parts = append(parts, m.seenBy(hits, len(first)))
	top := total(parts)
	if top > 100 {
		// Corroboration and sightings cannot lift it above certainty: the last that
		// was added gives way.
		last := &parts[len(parts)-1]
		if last.Value >= top-100 {
			last.Value -= top - 100
		} else {
			parts[1].Value -= top - 100 - last.Value
			last.Value = 0
		}
		top = 100
	}
	if top < 0 {
		parts[2].Value -= top
		top = 0
	}
	c := m.Curve(e.Kind)
	left := m.absence(e, seen, now)
	trust := m.trust(e, hits)
	out := Score{Seen: seen}
	fresh := c.left(now.Sub(seen))
	// full is what it would be worth if it were seen now; it is multiplied in one
	// order everywhere, so that Until is the moment at which Suggestion changes.
	full := top * left.factor * trust.factor
	out.Value = full * fresh
	aged, missed := top*fresh, top*fresh*left.factor
	out.Parts = append(parts,
		Part{PartAge, aged - top, ageWords(seen, now, c)},
		Part{PartAbsence, missed - aged, left.why},
		Part{PartFalse, out.Value - missed, trust.why},
	)
	out.Suggestion = c.suggest(out.Value)
	out.Until = c.until(out.Suggestion, full, last, now)
	return out
}

// last gives the last time that a source or an observer saw it. When it came to
// the hub counts only if no source says when: what is old on receipt is old.
func (e *Evidence) last() time.Time {
	var last time.Time
	for _, s := range e.Statements {
		if !s.Benign && s.At.After(last) {
			last = s.At
		}
	}
	if last.IsZero() {
		last = e.Created
	}
	for _, s := range e.Reports {
		if s.Events > 0 && s.At.After(last) {
			last = s.At
		}
	}
	return last
}

// total adds up points.
func total(parts []Part) float64 {
	var sum float64
	for _, p := range parts {
		sum += p.Value
	}
	return sum
}

// strength is what a statement is worth by itself, 0 to 100.
func (m *Model) strength(s *Statement) float64 {
	return float64(min(max(s.Confidence, 0), 100)) * m.reliability(s.Reliability) * m.credibility(s.Credibility) / 10000
}

// vouched gives base, corroboration and disagreement. Sources of one origin count
// once, by the strongest of them.
func (m *Model) vouched(e *Evidence) []Part {
	best := map[string]*Statement{}
	var against *Statement
	for i := range e.Statements {
		s := &e.Statements[i]
		if s.Benign {
			if against == nil || m.compare(s, against) > 0 {
				against = s
			}
			continue
		}
		b := best[s.origin()]
		if b == nil || m.compare(s, b) > 0 {
			best[s.origin()] = s
		}
	}
	all := make([]*Statement, 0, len(best))
	for _, s := range best {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Statement) int { return m.compare(b, a) })
	base := Part{PartBase, m.DefaultBase, "no source vouches for it: the model's default"}
	if len(all) > 0 {
		base.Value, base.Why = m.strength(all[0]), m.baseWords(all[0])
	}
	more := Part{Name: PartCorroboration, Why: "no second independent source"}
	less := Part{Name: PartDisagreement, Why: "no source contradicts"}
	var agree, doubt int
	for _, s := range all[min(1, len(all)):] {
		if all[0].Confidence-s.Confidence >= m.Spread {
			doubt++
			continue
		}
		agree++
		more.Value += m.Corroboration.Each * m.strength(s) / 100
	}
	if agree > 0 {
		more.Value = min(more.Value, m.Corroboration.Most)
		more.Why = fmt.Sprintf("%d more independent %s", agree, plural(agree, "source names it", "sources name it"))
	}
	less.Value -= min(float64(doubt)*m.Disagreement.Each, m.Disagreement.Most)
	if doubt > 0 {
		less.Why = fmt.Sprintf("%d independent %s much less sure of it", doubt, plural(doubt, "source is", "sources are"))
	}
	if against != nil {
		less.Value -= m.strength(against)
		less.Why = fmt.Sprintf("%s vouches that it is benign", against.Source)
		if doubt > 0 {
			less.Why += fmt.Sprintf(", %d more doubt it", doubt)
		}
	}
	return []Part{base, more, less}
}

// compare orders statements by strength, and by all that is told of them, so that
// the same ones win whatever their order.
func (m *Model) compare(a, b *Statement) int {
	return cmp.Or(cmp.Compare(m.strength(a), m.strength(b)), cmp.Compare(b.Source, a.Source), cmp.Compare(a.Confidence, b.Confidence),
		cmp.Compare(b.Reliability, a.Reliability), cmp.Compare(b.Credibility, a.Credibility), cmp.Compare(b.Origin, a.Origin))
}

func (s *Statement) origin() string {
	if s.Origin == "" {
		return "source " + s.Source
	}
	return "origin " + s.Origin
}

func (m *Model) baseWords(s *Statement) string {
	return fmt.Sprintf("%s: confidence %d × %g %% (reliability %s) × %g %% (credibility %s)",
		s.Source, min(max(s.Confidence, 0), 100), m.reliability(s.Reliability), cmp.Or(s.Reliability, "not judged"),
		m.credibility(s.Credibility), credibilityWords(s.Credibility))
}

func credibilityWords(n int) string {
	if n < 1 || n > 6 {
		return "not stated"
	}
	return fmt.Sprint(n)
}

// hits counts events, up to the model's bound, and names the observers.
func (m *Model) hits(e *Evidence) (n int64, observers map[string]bool) {
	observers = map[string]bool{}
	for _, s := range e.Reports {
		if s.Events > 0 {
			observers[s.Observer] = true
			n = min(n+min(s.Events, m.Sightings.Count), m.Sightings.Count)
		}
	}
	return n, observers
}

// seenBy gives points for events, by their order of magnitude.
func (m *Model) seenBy(hits int64, observers int) Part {
	p := Part{Name: PartSightings, Why: "no provider reports a match"}
	if hits > 0 {
		p.Value = min(m.Sightings.Each*math.Log10(1+float64(hits)), m.Sightings.Most)
		p.Why = fmt.Sprintf("at least %d matches, %d %s", hits, observers, plural(observers, "observer", "observers"))
	}
	return p
}

// effect is a factor from 0 to 1 and its reason.
type effect struct {
	factor float64
	why    string
}

// absence weighs what was looked for and not seen since it was last seen. One
// observer counts once a day.
func (m *Model) absence(e *Evidence, seen, now time.Time) effect {
	type look struct {
		observer string
		day      int64
	}
	looks := map[look]bool{}
	for _, s := range e.Reports {
		at := s.At
		if at.After(now) {
			at = now
		}
		if s.Events <= 0 && at.After(seen) {
			looks[look{s.Observer, s.At.Unix() / 86400}] = true
		}
	}
	n := len(looks)
	if n == 0 {
		return effect{1, "nobody reports to have looked in vain"}
	}
	return effect{
		max(0, 1-float64(n)/float64(m.Absence)),
		fmt.Sprintf("looked for %d %s since it was last seen, and not found; %d retire it", n, plural(n, "time", "times"), m.Absence),
	}
}

// trust weighs false positives against hits.
func (m *Model) trust(e *Evidence, hits int64) effect {
	var reported, confirmed int64
	for _, a := range e.FalsePositives {
		n := min(max(a.Count, 1), maxFalse)
		if a.Confirmed {
			confirmed = min(confirmed+n, maxFalse)
		} else {
			reported = min(reported+n, maxFalse)
		}
	}
	if reported+confirmed == 0 {
		return effect{1, "nobody reports a false positive"}
	}
	good := 1 + float64(hits)
	bad := m.FalsePositives.Reported*float64(reported) + m.FalsePositives.Confirmed*float64(confirmed)
	return effect{
		good / (good + bad),
		fmt.Sprintf("false positives: %d confirmed, %d reported, against %d matches", confirmed, reported, hits),
	}
}

// maxFalse is the most false positives that are counted.
const maxFalse = 1 << 40

func ageWords(seen, now time.Time, c Curve) string {
	if seen.IsZero() {
		return "nobody says when it was seen"
	}
	n := int(now.Sub(seen) / day)
	return fmt.Sprintf("last seen %s, %d %s ago; worth nothing after %d", seen.UTC().Format(time.DateOnly), n, plural(n, "day", "days"), c.Days)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
