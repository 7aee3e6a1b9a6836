package score

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"ecs/observable"
)

const day = 24 * time.Hour

// Model says how evidence becomes a score. It has the same names in YAML, where
// an operator writes it, and in JSON. The zero Model is not valid: begin with
// [DefaultModel] or [NIDS].
type Model struct {
	// Kinds has own curves of kinds by their names. All others take Default, or the
	// program's own curve of their kind when Default has no days. See [Model.Curve].
	Kinds   map[string]Curve `yaml:"kinds" json:"kinds,omitempty"`
	Default Curve            `yaml:"default" json:"default,omitzero"`
	// Review and Retire are the scores below which a person should look, and should
	// take it out of force. A curve may have its own.
	Review float64 `yaml:"review" json:"review"`
	Retire float64 `yaml:"retire" json:"retire"`
	// DefaultBase is the base of what no source vouches for, 0 to 100.
	DefaultBase float64 `yaml:"default_base" json:"default_base"`
	// Reliability are the percentages for sources of the Admiralty scale, A to F.
	Reliability []float64 `yaml:"reliability" json:"reliability"`
	// Credibility are the percentages for information of the Admiralty scale, 1 to 6.
	Credibility []float64 `yaml:"credibility" json:"credibility"`
	// Corroboration is for further independent sources: points for one of full
	// strength, and at most.
	Corroboration Points `yaml:"corroboration" json:"corroboration"`
	// Disagreement is taken for each independent source whose confidence is lower by
	// Spread or more than that of the strongest.
	Disagreement Points `yaml:"disagreement" json:"disagreement"`
	Spread       int    `yaml:"spread" json:"spread"`
	// Sightings are points for each power of ten of matches. What fires often is not
	// bad for that: a wrong one fires most of all.
	Sightings Matches `yaml:"sightings" json:"sightings"`
	// Absence is how many reports of having looked in vain retire it.
	Absence int `yaml:"absence" json:"absence"`
	// FalsePositives say how many matches one report of a false positive outweighs.
	FalsePositives Weights `yaml:"false_positives" json:"false_positives"`
}

// Curve says how the score of one kind falls with its age, as MISP's polynomial
// model: score = base × (1 - (age/days)^(1/delta)).
type Curve struct {
	Days   int     `yaml:"days" json:"days"`                         // worth nothing after (MISP: tau)
	Delta  float64 `yaml:"delta" json:"delta"`                       // above 1 it falls fast at first, below 1 late (MISP: delta, decay_speed)
	Review float64 `yaml:"review,omitempty" json:"review,omitempty"` // 0: as the model has it
	Retire float64 `yaml:"retire,omitempty" json:"retire,omitempty"` // 0: as the model has it
}

// Points are what one piece of evidence is worth, and all of them at most.
type Points struct {
	Each float64 `yaml:"each" json:"each"`
	Most float64 `yaml:"most" json:"most"`
}

// Matches are the points for what providers saw.
type Matches struct {
	Each  float64 `yaml:"each" json:"each"`   // for each power of ten
	Most  float64 `yaml:"most" json:"most"`   // points
	Count int64   `yaml:"count" json:"count"` // matches that count at all; what is above is as many
}

// Weights are how many matches one report outweighs.
type Weights struct {
	Reported  float64 `yaml:"reported" json:"reported"`
	Confirmed float64 `yaml:"confirmed" json:"confirmed"`
}

var (
	ofAddress = Curve{Days: 90, Delta: 1.585}
	ofMail    = Curve{Days: 60, Delta: 2.1}
	ofHash    = Curve{Days: 730, Delta: 1}
)

// curves are the program's own. They follow from its lifetimes
// (docs/formats/intake.md): nothing is left at the age at which a check calls the
// kind stale, and half at its usual validity.
var curves = map[observable.Kind]Curve{
	observable.None: ofAddress, observable.Addr: ofAddress, observable.Prefix: ofAddress, observable.Port: ofAddress, observable.URL: ofAddress,
	observable.Domain: {Days: 180, Delta: 1},
	observable.Mail:   ofMail, observable.Subject: ofMail, observable.FileName: ofMail,
	observable.MD5: ofHash, observable.SHA1: ofHash, observable.SHA256: ofHash, observable.SHA512: ofHash,
}

// DefaultModel gives the model that holds when nothing else is configured.
func DefaultModel() *Model {
	return &Model{
		Review:         30,
		Retire:         10,
		Reliability:    []float64{100, 95, 80, 50, 20, 70},
		Credibility:    []float64{100, 95, 80, 50, 20, 75},
		Corroboration:  Points{Each: 10, Most: 20},
		Disagreement:   Points{Each: 10, Most: 20},
		Spread:         40,
		Sightings:      Matches{Each: 3, Most: 10, Count: 1000},
		Absence:        4,
		FalsePositives: Weights{Reported: 2, Confirmed: 10},
	}
}

// NIDS gives the parameters of MISP's «NIDS Simple Decaying Model»: 120 days,
// delta 2, threshold 30, and base 80 for what nobody rates. MISP knows one
// threshold: nothing is reviewed before it is retired.
func NIDS() *Model {
	m := DefaultModel()
	m.Kinds, m.Default, m.DefaultBase, m.Review, m.Retire = nil, Curve{Days: 120, Delta: 2}, 80, 30, 30
	return m
}

// Check says what is wrong with the model.
func (m *Model) Check() error {
	for _, name := range slices.Sorted(maps.Keys(m.Kinds)) {
		_, err := observable.ParseKind(name)
		if err != nil {
			return fmt.Errorf("score: kinds: %w", err)
		}
		err = m.own(m.Kinds[name]).check("kinds: " + name)
		if err != nil {
			return err
		}
	}
	if m.Default != (Curve{}) {
		err := m.own(m.Default).check("default")
		if err != nil {
			return err
		}
	}
	err := scale("reliability", m.Reliability, "A to F")
	if err != nil {
		return err
	}
	err = scale("credibility", m.Credibility, "1 to 6")
	if err != nil {
		return err
	}
	for _, x := range []struct {
		name  string
		value float64
		top   float64
	}{
		{"review", m.Review, 100},
		{"retire", m.Retire, m.Review},
		{"default_base", m.DefaultBase, 100},
		{"corroboration: each", m.Corroboration.Each, 100},
		{"corroboration: most", m.Corroboration.Most, 100},
		{"disagreement: each", m.Disagreement.Each, 100},
		{"disagreement: most", m.Disagreement.Most, 100},
		{"sightings: each", m.Sightings.Each, 100},
		{"sightings: most", m.Sightings.Most, 100},
		{"sightings: count", float64(m.Sightings.Count), 1e9},
		{"false_positives: reported", m.FalsePositives.Reported, 1e6},
		{"false_positives: confirmed", m.FalsePositives.Confirmed, 1e6},
	} {
		if !(x.value >= 0 && x.value <= x.top) {
			return fmt.Errorf("score: %s is %g: want 0 to %g", x.name, x.value, x.top)
		}
	}
	switch {
	case m.Spread < 1 || m.Spread > 100:
		return fmt.Errorf("score: spread is %d: want 1 to 100 points of confidence", m.Spread)
	case m.Absence < 1 || m.Absence > 1000:
		return fmt.Errorf("score: absence is %d: want 1 to 1000 reports", m.Absence)
	case m.FalsePositives.Confirmed < m.FalsePositives.Reported:
		return fmt.Errorf("score: false_positives: a confirmed one must not weigh less than a reported one")
	}
	return nil
}

func (c Curve) check(name string) error {
	switch {
	case c.Days < 1 || c.Days > 3660:
		return fmt.Errorf("score: %s: days is %d: want 1 to 3660", name, c.Days)
	case !(c.Delta >= 0.1 && c.Delta <= 20):
		return fmt.Errorf("score: %s: delta is %g: want 0.1 to 20", name, c.Delta)
	case !(c.Retire >= 0 && c.Retire <= c.Review && c.Review <= 100):
		return fmt.Errorf("score: %s: retire is %g, review is %g: want 0 ≤ retire ≤ review ≤ 100", name, c.Retire, c.Review)
	}
	return nil
}

// scale checks the percentages of an Admiralty scale: five grades that do not
// rise, and one for what cannot be judged.
func scale(name string, p []float64, want string) error {
	if len(p) != 6 {
		return fmt.Errorf("score: %s has %d percentages: want six, for %s", name, len(p), want)
	}
	for i, x := range p {
		if !(x >= 0 && x <= 100) {
			return fmt.Errorf("score: %s: %g is not 0 to 100 percent", name, x)
		}
		if i > 0 && i < 5 && x > p[i-1] {
			return fmt.Errorf("score: %s: a worse grade has a higher percentage (%g after %g)", name, x, p[i-1])
		}
	}
	return nil
}

// own gives a curve with the model's thresholds where it has none.
func (m *Model) own(c Curve) Curve {
	if c.Review == 0 {
		c.Review = m.Review
	}
	if c.Retire == 0 {
		c.Retire = min(m.Retire, c.Review)
	}
	return c
}

// Curve gives the curve by which a kind falls, with its thresholds.
func (m *Model) Curve(k observable.Kind) Curve {
	c, ok := m.Kinds[k.String()]
	if !ok && m.Default.Days > 0 {
		c, ok = m.Default, true
	}
	if !ok {
		c, ok = curves[k]
	}
	if !ok {
		c = ofAddress // a kind that came later: the most perishable but mail
	}
	return m.own(c)
}

func (m *Model) reliability(grade string) float64 {
	i := 5
	if len(grade) == 1 {
		i = strings.IndexByte("ABCDEF", grade[0])
	}
	if i < 0 {
		i = 5
	}
	return m.Reliability[i]
}

func (m *Model) credibility(n int) float64 {
	if n < 1 || n > 6 {
		n = 6
	}
	return m.Credibility[n-1]
}

// left gives the share that is left at an age, 1 to 0.
func (c Curve) left(age time.Duration) float64 {
	if age <= 0 {
		return 1
	}
	t := float64(age) / (float64(c.Days) * float64(day))
	return max(0, 1-math.Pow(t, 1/c.Delta))
}

func (c Curve) suggest(value float64) Suggestion {
	switch {
	case value < c.Retire:
		return Retire
	case value < c.Review:
		return Review
	default:
		return Keep
	}
}

// until gives the first moment, to the second, at which full × left falls below
// the next threshold.
func (c Curve) until(s Suggestion, full float64, last, now time.Time) time.Time {
	threshold := c.Review
	switch s {
	case Retire:
		return time.Time{}
	case Review:
		threshold = c.Retire
	}
	if threshold <= 0 {
		return time.Time{} // nothing is below nothing
	}
	age := math.Pow(1-threshold/full, c.Delta) * float64(c.Days) * float64(day)
	at := last.Add(time.Duration(age)).Truncate(time.Second)
	if at.Before(now) {
		at = now
	}
	// Where the curve is flat, rounding can keep it at the threshold for a while.
	for step := time.Second; step < 365*day && c.suggest(full*c.left(at.Sub(last))) == s; step *= 2 {
		at = at.Add(step)
	}
	return at
}
