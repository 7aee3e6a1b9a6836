package policy

import (
	"fmt"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// Check is one check that was made of an item, also when it found nothing.
type Check struct {
	Code    string // V1 to V9, PII
	Title   string
	Did     string // what was looked at, in words
	Found   int    // findings of this check
	Lists   int    // lists that were asked; 0: none are part of it
	Entries int    // in these lists
	Oldest  time.Time
	Newest  time.Time // dates of the lists; zero: they have none
}

// Checked says what the checks do for an item of this kind, in their order, and
// how many of the findings are theirs. Lists that do not speak of its kind of
// value are not counted.
func (c *Checker) Checked(s *Subject, findings []indicator.Finding) []Check {
	own := len(c.protected.names) + len(c.protected.prefixes)
	limit := c.of(s.Atoms)
	listed := Check{Code: "V2", Title: "warning lists"}
	c.asked(&listed, s)
	fixed := Check{Code: "V3", Title: "protected and special-use names and addresses"}
	for _, l := range builtins.lists {
		fixed.count(len(l.List), dateOf(string(l.Version)))
	}
	fixed.Did = fmt.Sprintf("looked in %d built-in lists of %d entries, the public suffix list, and %d names and ranges of this program's own parties", fixed.Lists, fixed.Entries, own)
	observed := "the source did not say when it was seen last, so that its age is not known"
	if !s.Observed.IsZero() {
		observed = fmt.Sprintf("compared %s, when it was seen last, with the limit of %d days", s.Observed.UTC().Format(time.DateOnly), int(limit.Age/day))
	}
	reliability := "the reliability of the source is not judged"
	if s.Reliability != "" {
		reliability = "the source has reliability " + s.Reliability
	}
	out := []Check{
		{Code: "PII", Title: "personal data", Did: fmt.Sprintf("searched %d values, the summary (%d bytes), the context (%d bytes), %d labels and %d references",
			len(s.Atoms), len(s.Summary), len(s.Context), len(s.Labels), len(s.References))},
		{Code: "V1", Title: "fit of action and services", Did: fmt.Sprintf("compared action %s with the services that can see it: %s", s.Action, s.Services)},
		listed, fixed,
		{Code: "V4", Title: "breadth and sharing", Did: fmt.Sprintf("prefixes shorter than /%d or /%d, ports alone, and %d apexes of dynamic DNS and tunnels", MinBits4, MinBits6, len(builtins.shared))},
		{Code: "V5", Title: "freshness and validity", Did: observed + fmt.Sprintf("; validity of at most %d days", int(limit.Ceiling/day))},
		{Code: "V6", Title: "corroboration", Did: reliability},
		{Code: "V8", Title: "subsumption", Did: fmt.Sprintf("looked %d values up that would cover it, and what it covers", len(Lookups(s.Atoms))-len(s.Atoms))},
		{Code: "V9", Title: "contradiction", Did: "looked for statements that it is benign, recalls and rejections"},
	}
	for i := range out {
		for _, f := range findings {
			if len(f.Code) > len(out[i].Code) && f.Code[:len(out[i].Code)+1] == out[i].Code+"-" {
				out[i].Found++
			}
		}
	}
	return out
}

// asked counts the lists that speak of the item's kinds of value.
func (c *Checker) asked(k *Check, s *Subject) {
	if c.lists == nil {
		k.Did = "no warning lists are loaded: nothing was looked up"
		return
	}
	var kinds uint32
	for _, a := range s.Atoms {
		kinds |= 1 << a.Kind
		if a.Kind == observable.URL {
			kinds |= 1<<observable.Domain | 1<<observable.Addr // the host
		}
	}
	for i := range c.lists.meta {
		m := &c.lists.meta[i]
		if m.kinds&kinds != 0 {
			k.count(m.entries, m.date)
		}
	}
	k.Did = fmt.Sprintf("looked in %d lists of %d entries", k.Lists, k.Entries)
	if !k.Newest.IsZero() {
		k.Did += fmt.Sprintf(", of %s to %s", k.Oldest.Format(time.DateOnly), k.Newest.Format(time.DateOnly))
	}
}

func (k *Check) count(entries int, date time.Time) {
	k.Lists++
	k.Entries += entries
	if date.IsZero() {
		return
	}
	if k.Oldest.IsZero() || date.Before(k.Oldest) {
		k.Oldest = date
	}
	if date.After(k.Newest) {
		k.Newest = date
	}
}
