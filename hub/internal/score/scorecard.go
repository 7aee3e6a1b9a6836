package score

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// Answer is yes, no, or not known.
type Answer int8

// The answers.
const (
	Unknown Answer = iota
	Yes
	No
)

// Known gives Yes or No.
func Known(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}

// Wanted is a set of the fields that make an indicator useful, one bit each.
type Wanted uint16

// The wanted fields.
const (
	HasObserved    Wanted = 1 << iota // when the source last saw it
	HasConfidence                     // how sure the source is
	HasCredibility                    // how credible the information is
	HasCategory                       // what kind of activity
	HasSummary                        // a text that customers may read
	HasContext                        // a text for analysts
	HasLabels                         // family, campaign, tags
	HasReference                      // the source's own identifier
)

// wantedNames are the fields' names, in the order of their bits.
var wantedNames = []string{"last seen", "confidence", "credibility", "category", "summary", "context", "labels", "reference"}

// Mention is one time that a source named an indicator, and what became of the
// indicator. A store fills it, see [Load].
type Mention struct {
	At            time.Time // received
	Observed      time.Time // last seen as the source said; zero: it did not
	Kind          observable.Kind
	Again         bool   // the same source had named the indicator before
	First         bool   // no source had named it before
	Public        Answer // whether it stood on a public list at receipt
	State         indicator.State
	Returned      bool      // it ended by being returned to the source
	FalsePositive Answer    // whether it was recalled or rejected as a false positive; Unknown: recalled, and nobody said why
	Released      time.Time // zero: it was not
	Fired         Answer    // whether a provider reported a match
	Has           Wanted
}

// wrong reports whether people found the indicator wrong, and whether they have
// judged it at all.
func (m *Mention) wrong() (wrong, judged bool) {
	switch {
	case m.FalsePositive == Yes, m.State == indicator.Rejected, m.State == indicator.Returned, m.Returned:
		return true, true
	case !m.Released.IsZero():
		return false, m.FalsePositive == No
	default:
		return false, false
	}
}

// Few is the denominator below which a share is not put as a percentage.
const Few = 20

// Metric is one figure of a scorecard: a share, or a median of durations.
type Metric struct {
	Name        string        `json:"name"`
	Definition  string        `json:"definition"`
	Base        string        `json:"base"` // what is counted, and over which time
	Numerator   int64         `json:"numerator"`
	Denominator int64         `json:"denominator"`
	Unknown     int64         `json:"unknown"`             // of the same base, that could not be judged or is withheld; in neither of the two
	Median      time.Duration `json:"median_ns,omitempty"` // of Denominator durations; such a metric has no numerator
}

// Percent gives the share in percent; false when the denominator is too small for
// one to say anything.
func (m *Metric) Percent() (float64, bool) {
	if m.Denominator < Few {
		return 0, false
	}
	return 100 * float64(m.Numerator) / float64(m.Denominator), true
}

// String gives the metric in words, without its name.
func (m *Metric) String() string {
	var text string
	percent, ok := m.Percent()
	switch {
	case m.Denominator == 0:
		text = "none"
	case m.Name == MetricRelease:
		text = fmt.Sprintf("median %s of %d", m.Median.Round(time.Second), m.Denominator)
		if !ok {
			text += ", which are few"
		}
	case ok:
		text = fmt.Sprintf("%.1f %%: %d of %d", percent, m.Numerator, m.Denominator)
	default:
		text = fmt.Sprintf("%d of %d, too few for a percentage", m.Numerator, m.Denominator)
	}
	if m.Unknown > 0 {
		text += fmt.Sprintf("; %d unknown", m.Unknown)
	}
	return text
}

// Names of metrics.
const (
	MetricStale          = "stale on receipt"
	MetricNew            = "new to the hub"
	MetricNovel          = "novel"
	MetricDuplicate      = "duplicates"
	MetricRefused        = "refused"
	MetricWrong          = "wrong"
	MetricFalsePositives = "false positives"
	MetricRejected       = "rejected"
	MetricReturned       = "returned"
	MetricComplete       = "context"
	MetricRelease        = "receipt to release"
	MetricFired          = "fired"
	MetricConcentration  = "concentration"
)

// Scorecard is what a source is worth by its results.
type Scorecard struct {
	Source    string    `json:"source"`
	Recorded  string    `json:"recorded"`  // reliability on record
	Suggested string    `json:"suggested"` // reliability by these results; nobody's grade changes by it
	Reasons   []string  `json:"reasons"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Partial   bool      `json:"partial"` // only the newest mentions of the time were read
	Metrics   []Metric  `json:"metrics"`
	Refusals  []Count   `json:"refusals"` // refused records by code, the most first
	Fields    []Count   `json:"fields"`   // how many mentions have each wanted field
}

// Count is a number of something.
type Count struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

// Metric gives a metric by its name; nil when there is none.
func (s *Scorecard) Metric(name string) *Metric {
	for i := range s.Metrics {
		if s.Metrics[i].Name == name {
			return &s.Metrics[i]
		}
	}
	return nil
}

// Tally makes a scorecard from mentions, in memory that does not grow with them
// but for four bytes for each released indicator. It is for one goroutine.
type Tally struct {
	card     Scorecard
	stale    func(observable.Kind) time.Duration
	mentions int64
	again    int64
	own, all int64 // records taken, of this source and of all
	old      [3]int64
	items    int64 // first named by this source
	new      int64 // of these, named by no other before
	novel    [3]int64
	fired    [3]int64
	judged   int64
	waiting  int64
	wrong    int64
	released int64
	recalled [3]int64 // released, whether as false positives
	rejected int64
	returned int64
	waits    []int32 // seconds
	has      [16]int64
	refusals map[string]int64
}

// NewTally begins a scorecard: recorded is the source's reliability on record,
// from and to bound the time of receipt (to is not part of it), and stale says how
// long ago a value of a kind may have been seen without being stale.
func NewTally(source, recorded string, from, to time.Time, stale func(observable.Kind) time.Duration) *Tally {
	return &Tally{
		card:  Scorecard{Source: source, Recorded: recorded, From: from, To: to},
		stale: stale, refusals: map[string]int64{},
	}
}

// Add counts a mention.
func (t *Tally) Add(m *Mention) {
	t.mentions++
	for i := range wantedNames {
		if m.Has&(1<<i) != 0 {
			t.has[i]++
		}
	}
	t.old[t.staleness(m)]++
	if m.Again {
		t.again++
		return // what became of it is counted where the source named it first
	}
	if m.First {
		t.new++
	}
	t.items++
	t.novel[m.novel()]++
	wrong, judged := m.wrong()
	switch {
	case wrong:
		t.judged, t.wrong = t.judged+1, t.wrong+1
	case judged:
		t.judged++
	default:
		t.waiting++
	}
	switch {
	case m.State == indicator.Rejected:
		t.rejected++
	case m.State == indicator.Returned || m.Returned:
		t.returned++
	}
	if m.Released.IsZero() {
		return
	}
	t.released++
	t.recalled[m.FalsePositive]++
	t.fired[m.Fired]++
	t.waits = append(t.waits, int32(min(max(m.Released.Sub(m.At)/time.Second, 0), math.MaxInt32)))
}

// novel says whether nobody knew it: neither another source nor a public list.
func (m *Mention) novel() Answer {
	switch {
	case !m.First || m.Public == Yes:
		return No
	case m.Public == No:
		return Yes
	default:
		return Unknown
	}
}

func (t *Tally) staleness(m *Mention) Answer {
	if m.Observed.IsZero() {
		return Unknown
	}
	return Known(m.At.Sub(m.Observed) > t.stale(m.Kind))
}

// Refused counts records that were refused on receipt.
func (t *Tally) Refused(code string, n int64) { t.refusals[code] += n }

// All says how many records of this source and of all sources together were taken
// in the time.
func (t *Tally) All(own, all int64) { t.own, t.all = own, all }

// Partial says that not all mentions of the time were read.
func (t *Tally) Partial() { t.card.Partial = true }

// Card gives the scorecard.
func (t *Tally) Card() Scorecard {
	c := t.card
	var refused int64
	for _, code := range slices.Sorted(maps.Keys(t.refusals)) {
		refused += t.refusals[code]
		c.Refusals = append(c.Refusals, Count{code, t.refusals[code]})
	}
	slices.SortStableFunc(c.Refusals, func(a, b Count) int { return cmp.Compare(b.N, a.N) })
	var filled int64
	for i, name := range wantedNames {
		filled += t.has[i]
		c.Fields = append(c.Fields, Count{name, t.has[i]})
	}
	when := c.From.UTC().Format(time.DateOnly) + " to " + c.To.UTC().Format(time.DateOnly)
	mentions, items := "mentions received "+when, "indicators first named by this source "+when
	c.Metrics = []Metric{
		{Name: MetricStale, Definition: "last seen longer ago than the kind stays fresh", Base: mentions, Numerator: t.old[Yes], Denominator: t.old[Yes] + t.old[No], Unknown: t.old[Unknown]},
		{Name: MetricNew, Definition: "named by no other source before", Base: items, Numerator: t.new, Denominator: t.items},
		{Name: MetricNovel, Definition: "named by no other source before, and on no public list at receipt", Base: items, Numerator: t.novel[Yes], Denominator: t.novel[Yes] + t.novel[No], Unknown: t.novel[Unknown]},
		{Name: MetricDuplicate, Definition: "named by this source before", Base: mentions, Numerator: t.again, Denominator: t.mentions},
		{Name: MetricRefused, Definition: "refused on receipt", Base: "records received " + when, Numerator: refused, Denominator: t.mentions + refused},
		{Name: MetricWrong, Definition: "recalled as a false positive, rejected or returned, of those that people judged", Base: items, Numerator: t.wrong, Denominator: t.judged, Unknown: t.waiting},
		{Name: MetricFalsePositives, Definition: "recalled as a false positive, of the released", Base: items, Numerator: t.recalled[Yes], Denominator: t.recalled[Yes] + t.recalled[No], Unknown: t.recalled[Unknown]},
		{Name: MetricRejected, Definition: "rejected, of those that people judged", Base: items, Numerator: t.rejected, Denominator: t.judged, Unknown: t.waiting},
		{Name: MetricReturned, Definition: "returned to the source, of those that people judged", Base: items, Numerator: t.returned, Denominator: t.judged, Unknown: t.waiting},
		{Name: MetricComplete, Definition: "wanted fields that are filled", Base: "fields of " + mentions, Numerator: filled, Denominator: t.mentions * int64(len(wantedNames))},
		{Name: MetricRelease, Definition: "median time from receipt to first release", Base: items, Denominator: t.released, Unknown: t.items - t.released, Median: median(t.waits)},
		{Name: MetricFired, Definition: "a provider reported a match, of the released", Base: items, Numerator: t.fired[Yes], Denominator: t.fired[Yes] + t.fired[No], Unknown: t.fired[Unknown]},
		{Name: MetricConcentration, Definition: "this source's share of what was taken from all sources", Base: "records taken " + when, Numerator: t.own, Denominator: t.all},
	}
	c.Suggested, c.Reasons = t.grade(&c)
	return c
}

// median gives the lower median; it sorts its argument.
func median(seconds []int32) time.Duration {
	if len(seconds) == 0 {
		return 0
	}
	slices.Sort(seconds)
	return time.Duration(seconds[(len(seconds)-1)/2]) * time.Second
}

// grades are the bounds of the wrong share for each reliability.
var grades = []struct {
	grade string
	most  float64
}{{"A", 0.01}, {"B", 0.05}, {"C", 0.15}, {"D", 0.40}, {"E", 1}}

// grade suggests a reliability: the one whose bound the wrong share keeps with
// nine chances in ten, so that a good grade needs many judged indicators.
func (t *Tally) grade(c *Scorecard) (string, []string) {
	wrong, stale := c.Metric(MetricWrong), c.Metric(MetricStale)
	if t.judged < Few {
		return "F", []string{fmt.Sprintf("%d indicators were judged by people; fewer than %d say nothing", t.judged, Few)}
	}
	bound := upper(t.wrong, t.judged)
	i := 0
	for bound > grades[i].most {
		i++
	}
	reasons := []string{fmt.Sprintf("wrong: %s; with nine chances in ten at most %.1f %%, which is %s (A to 1 %%, B to 5 %%, C to 15 %%, D to 40 %%)", wrong, 100*bound, grades[i].grade)}
	share, ok := stale.Percent()
	if ok && share >= 50 && i < 2 {
		i = 2
		reasons = append(reasons, fmt.Sprintf("stale on receipt: %s; with half or more the grade is not above C", stale))
	}
	if c.Partial {
		reasons = append(reasons, "only the newest mentions were read")
	}
	switch got := grades[i].grade; {
	case c.Recorded == "F" || c.Recorded == "":
		reasons = append(reasons, "on record it is not judged")
	case got < c.Recorded:
		reasons = append(reasons, "better than the "+c.Recorded+" on record")
	case got > c.Recorded:
		reasons = append(reasons, "worse than the "+c.Recorded+" on record")
	default:
		reasons = append(reasons, "as on record")
	}
	return grades[i].grade, reasons
}

// upper gives the upper end of the one-sided 90 % Wilson interval of k in n.
func upper(k, n int64) float64 {
	const z = 1.2815515655446004
	p, m := float64(k)/float64(n), float64(n)
	return min(1, (p+z*z/(2*m)+z*math.Sqrt(p*(1-p)/m+z*z/(4*m*m)))/(1+z*z/m))
}
