package release

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/internal/audit"
	"ecs/internal/signin"
)

// Judged is what a privacy officer says of one element of personal data: of these
// bytes of a field, as [policy.Element] names them.
type Judged struct {
	Field      string
	Start, End int    // in bytes, End exclusive
	Keep       bool   // it stays; otherwise words in brackets take its place
	Why        string // of what stays: one sentence at least
}

func (j *Judged) covers(e *policy.Element) bool {
	return j.Field == e.Field && j.Start <= e.Start && j.End >= e.End
}

// Determine is the privacy officer's determination element by element: each that the
// gate found has to be judged, further ones may be. What stays needs a sentence each,
// what goes is replaced in its text, so that the rest stays useful, and what the
// sources had delivered is no longer kept. The determination follows: NECESSARY when
// anything stays, REMOVED when something went and nothing stays, else
// PII-NOT-PRESENT. What is found in the texts afterwards and was not said to stay
// refuses the whole.
func (d *Desk) Determine(ctx context.Context, acct signin.Account, ref Ref, js []Judged, reason string) (indicator.Determination, error) {
	var what indicator.Determination
	err := d.act(ctx, acct, reason, []string{rolePrivacy}, func(tx *sql.Tx, reason string) error {
		it, err := open(ctx, tx, ref, indicator.PrivacyGate)
		if err != nil {
			return err
		}
		_, err = duties(ctx, tx, &it, acct, indicator.KindPrivacy)
		if err != nil {
			return err
		}
		fs, err := indicator.Findings(ctx, tx, it.ID)
		if err != nil {
			return err
		}
		r := redactor{it: &it, judged: js}
		err = r.run(fs)
		if err != nil {
			return err
		}
		for _, f := range policy.PrivateText(r.note()+"\n"+reason, "", d.clock.now()) {
			return fmt.Errorf("%w: %s in your own words; name the kind of an element, not what it says", ErrPersonal, f.Code)
		}
		what = r.determination()
		return d.step(ctx, tx, acct, &it, indicator.KindPrivacy, string(what), reason, func() error {
			it.Privacy, it.PrivacyNote = what, strings.TrimSpace(r.note()+"\n"+reason)
			err := r.forget(ctx, tx)
			if err == nil {
				err = audit.Append(ctx, tx, acct.Login, "item.redact", it.ID.String(), map[string]any{"kept": len(r.kept), "removed": r.gone, "note": r.note()})
			}
			if err != nil {
				return err
			}
			return indicator.Advance(ctx, tx, &it, acct.Login, reason)
		})
	})
	return what, err
}

// redactor applies judgements to the texts of an item.
type redactor struct {
	it     *indicator.Item
	judged []Judged
	kept   []string // the texts that stay
	gone   []string // fields out of which something was taken
}

func (r *redactor) run(fs []indicator.Finding) error {
	for _, f := range fs {
		e, ok := policy.ElementOf(f)
		if !ok {
			continue
		}
		if !slices.ContainsFunc(r.judged, func(j Judged) bool { return j.covers(&e) }) {
			return fmt.Errorf("%w: nothing is said of %s, bytes %d to %d (%s)", ErrPersonal, e.Field, e.Start, e.End, f.Code)
		}
	}
	away := map[string][]policy.Element{}
	for _, j := range r.judged {
		text, ok := r.field(j.Field)
		if !ok || j.Start < 0 || j.Start >= j.End || ok && text != nil && j.End > len(*text) {
			return fmt.Errorf("%w: %s has no bytes %d to %d; look at the item again", ErrText, j.Field, j.Start, j.End)
		}
		switch {
		case j.Keep && !indicator.Sentence(j.Why):
			return fmt.Errorf("%w: what stays in %s needs a sentence that says why", ErrReason, j.Field)
		case j.Keep && text != nil:
			r.kept = append(r.kept, (*text)[j.Start:j.End])
		case j.Keep:
			r.kept = append(r.kept, "")
		case strings.HasPrefix(j.Field, "value"):
			return fmt.Errorf("%w: %s is the indicator itself and cannot be left without it", ErrPersonal, j.Field)
		default:
			away[j.Field] = append(away[j.Field], kindOf(fs, j))
		}
	}
	for field, es := range away {
		r.gone = append(r.gone, field)
		text, _ := r.field(field)
		if text != nil {
			r.put(field, policy.Redact(*text, es))
		}
	}
	slices.Sort(r.gone)
	return r.left()
}

// kindOf gives the element that a judgement is about, with the kind that the gate
// found there.
func kindOf(fs []indicator.Finding, j Judged) policy.Element {
	out := policy.Element{Field: j.Field, Start: j.Start, End: j.End}
	for _, f := range fs {
		e, ok := policy.ElementOf(f)
		if ok && j.covers(&e) {
			out.Kind = e.Kind
			break
		}
	}
	return out
}

// field gives a text of the item; nil for one that is not in the item's own row.
func (r *redactor) field(name string) (*string, bool) {
	switch name {
	case "summary":
		return &r.it.Summary, true
	case "context":
		return &r.it.Context, true
	case "value":
		return &r.it.Value, true
	}
	kind, number, _ := strings.Cut(name, " ")
	n, err := strconv.Atoi(number)
	labels := strings.Split(r.it.Labels, "\n")
	switch {
	case err != nil || n < 1:
		return nil, false
	case kind == "label" && n <= len(labels):
		return &labels[n-1], true
	case kind == "value", kind == "reference":
		return nil, true
	}
	return nil, false
}

func (r *redactor) put(name, text string) {
	switch name {
	case "summary":
		r.it.Summary = text
	case "context":
		r.it.Context = text
	default:
		_, number, _ := strings.Cut(name, " ")
		n, _ := strconv.Atoi(number) // field has read it
		labels := strings.Split(r.it.Labels, "\n")
		labels[n-1] = text
		r.it.Labels = strings.Join(labels, "\n")
	}
}

// left refuses texts in which there is more than was said to stay.
func (r *redactor) left() error {
	s := policy.Subject{Summary: r.it.Summary, Context: r.it.Context, Labels: strings.Split(r.it.Labels, "\n")}
	for _, e := range policy.Screen(&s) {
		text, ok := r.field(e.Field)
		if !ok || text == nil {
			continue
		}
		found := (*text)[min(e.Start, len(*text)):min(e.End, len(*text))]
		if !slices.ContainsFunc(r.kept, func(k string) bool { return k != "" && strings.Contains(k, found) }) {
			return fmt.Errorf("%w: in %s, bytes %d to %d: %s", ErrPersonal, e.Field, e.Start, e.End, e.Why)
		}
	}
	return nil
}

func (r *redactor) determination() indicator.Determination {
	switch {
	case len(r.kept) > 0:
		return indicator.Necessary
	case len(r.gone) > 0:
		return indicator.Removed
	}
	return indicator.NotPresent
}

// note says what was done with each element, and nothing of what it says.
func (r *redactor) note() string {
	var lines []string
	for _, j := range r.judged {
		if j.Keep {
			lines = append(lines, fmt.Sprintf("%s, bytes %d to %d, stays: %s", j.Field, j.Start, j.End, strings.TrimSpace(j.Why)))
		}
	}
	if len(r.gone) > 0 {
		lines = append(lines, "Taken out of: "+strings.Join(r.gone, ", ")+".")
	}
	return strings.Join(lines, "\n")
}

// forget drops what the sources had delivered, in which stands what was taken out.
func (r *redactor) forget(ctx context.Context, tx *sql.Tx) error {
	if len(r.gone) == 0 {
		return nil
	}
	also := ``
	if slices.ContainsFunc(r.gone, func(f string) bool { return strings.HasPrefix(f, "reference") }) {
		also = `, reference = '', reference_key = 0`
	}
	_, err := tx.ExecContext(ctx, `UPDATE item_source SET original = ''`+also+` WHERE number = $1`, r.it.Number)
	if err != nil {
		return fmt.Errorf("release: redact %s: %w", r.it.ID, err)
	}
	return nil
}
