package marking

import (
	"slices"
	"strings"
	"time"
)

// applied is a row that a handling makes count, with the name to print.
type applied struct {
	row
	rule *rule // nil for an axis
}

// rows gives the rows that count, in the order in which they are printed.
func (h Handling) rows() []applied {
	h = h.known()
	out := make([]applied, 0, 4+len(h.rules))
	out = append(out, applied{row: tlpRows[h.tlp]}, applied{row: papRows[h.pap]}, applied{row: levelRows[h.level]})
	if len(h.controls) > 0 {
		out = append(out, applied{row: row{strings.Join(h.controls, "/"), of(Share), tellOccurrence, "is for people who are read into it"}})
	}
	for i, a := range h.who {
		if a.limited {
			out = append(out, applied{row: row{a.phrase(i), of(Share), tellOccurrence, "is for those alone"}})
		}
	}
	for i := range h.rules {
		r := &h.rules[i]
		x := applied{row: ruleRows[r.code].row, rule: r}
		if r.arg != "" {
			x.mark += " " + r.arg
		}
		out = append(out, x)
	}
	return out
}

// May answers for everybody who may have the item: a rule that is limited to some
// of them denies.
func (h Handling) May(u Use, at time.Time) Answer {
	return h.answer(u, at, func(*rule) bool { return true })
}

// static answers without regard to dates.
func (h Handling) static(u Use) Answer {
	h = h.known()
	h.from, h.until, h.dispose = time.Time{}, time.Time{}, time.Time{}
	return h.May(u, time.Time{})
}

// MayFor answers for one person or provider: also whether they may have the item
// at all, and rules that are limited to a scope count as far as they are in it.
func (h Handling) MayFor(u Use, c Clearance, at time.Time) Answer {
	a := h.answer(u, at, func(r *rule) bool { return r.meets(c) })
	holds, why := h.Holds(c)
	if !holds {
		a.Yes = false
		a.Reasons = append(a.Reasons, Reason{Mark: c.String(), Text: why})
	}
	return a
}

func (h Handling) answer(u Use, at time.Time, counts func(*rule) bool) Answer {
	a := Answer{Use: u}
	for _, x := range h.rows() {
		if x.denies.has(u) && (x.rule == nil || counts(x.rule)) {
			a.Reasons = append(a.Reasons, Reason{Mark: x.mark, Text: x.reason})
		}
	}
	if !h.dispose.IsZero() && !at.Before(h.dispose) {
		a.Reasons = append(a.Reasons, Reason{Mark: "disposition " + stamp(h.dispose), Text: h.disposal()})
	}
	if u != Hold && (at.Before(h.from) || !h.until.IsZero() && !at.Before(h.until)) {
		a.Reasons = append(a.Reasons, Reason{Mark: "policy " + h.window(), Text: "is not in effect (FIRST IEP 2.0)"})
	}
	a.Yes = len(a.Reasons) == 0
	return a
}

func (h Handling) disposal() string {
	if len(h.how) == 0 {
		return "is when it has to be disposed of"
	}
	return "is when it has to be disposed of: " + strings.Join(h.how, ", ")
}

func (h Handling) window() string {
	var parts []string
	if !h.from.IsZero() {
		parts = append(parts, "from "+stamp(h.from))
	}
	if !h.until.IsZero() {
		parts = append(parts, "until "+stamp(h.until))
	}
	return strings.Join(parts, " ")
}

// Disclosure gives the most that a customer may be told, as in
// contract.Indicator: 0 that it happened, 1 and the category, 2 and the summary, 3
// and the pattern; and what limits it. Whether a customer may be told at all is
// [Notify].
func (h Handling) Disclosure() (limit uint8, reasons []Reason) {
	limit = tellPattern
	for _, x := range h.rows() {
		if x.tell > limit || x.tell == tellPattern {
			continue
		}
		if x.tell < limit {
			reasons = nil
		}
		limit = x.tell
		reasons = append(reasons, Reason{Mark: x.mark, Text: x.reason})
	}
	return limit, reasons
}

// Reasons gives a line for each use that is denied, then for the limit of what
// customers may be told, for duties, and for dates. Dates do not make a denial
// here; see May.
func (h Handling) Reasons() []string {
	var out []string
	for _, u := range Uses() {
		a := h.static(u)
		if !a.Yes {
			out = append(out, a.String())
		}
	}
	limit, why := h.Disclosure()
	if limit < tellPattern {
		parts := make([]string, len(why))
		for i, r := range why {
			parts[i] = r.String()
		}
		out = append(out, "a customer may be told "+disclosureWords[limit]+": "+strings.Join(parts, "; "))
	}
	for _, x := range h.rows() {
		if x.rule != nil && x.denies == 0 && x.tell == tellPattern {
			out = append(out, "note: "+x.mark+" "+x.reason)
		}
	}
	if !h.dispose.IsZero() {
		out = append(out, "may be held only for some time: "+stamp(h.dispose)+" "+h.disposal())
	}
	if w := h.window(); w != "" {
		out = append(out, "may be used only for some time: its policy is in effect "+w+" (FIRST IEP 2.0)")
	}
	return out
}

var disclosureWords = [...]string{
	tellOccurrence: "only that it happened", tellCategory: "no more than the category",
	tellSummary: "no more than the releasable summary", tellPattern: "all",
}

// Duties gives what its markings ask for beside denials.
func (h Handling) Duties() (attribute, encrypt bool, statements []string) {
	for _, r := range h.rules {
		switch r.code {
		case "iep-attribute":
			attribute = true
		case "iep-encrypt":
			encrypt = true
		case "statement":
			statements = append(statements, r.arg)
		}
	}
	return attribute, encrypt, slices.Clip(statements)
}
