package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/observable"
	"ecs/stix"
)

// TearLine is what an analyst writes below a tear line. Nothing is taken over from
// the original but what stands here.
type TearLine struct {
	Markings   []string // of the lower part, such as "TLP:GREEN"
	Pattern    string   // empty: that of the original
	Category   contract.Category
	Action     contract.Action
	Confidence int // 0 to 100
	Disclosure uint8
	Summary    string
	Labels     string // one a line
	ValidUntil time.Time
	Urgent     bool // emergency: the clock is 4 hours, not 5 business days
}

// Tear drafts the lower part of an item as an item of its own: its own marking, gate,
// checks and approvals. Before the first approval an officer of each source whose
// marking is higher has to consent ([Desk.Consent]) and a second reader has to find
// nothing above the line in it ([Desk.Read]). The original does not change.
func (d *Desk) Tear(ctx context.Context, acct signin.Account, ref Ref, t TearLine, reason string) (contract.ID, error) {
	var id contract.ID
	err := d.act(ctx, acct, reason, []string{roleAnalyst}, func(tx *sql.Tx, reason string) error {
		err := mayStart(ctx, tx, acct)
		if err != nil {
			return err
		}
		origin, err := indicator.Get(ctx, tx, ref.ID)
		if err != nil {
			return err
		}
		if origin.State.Ended() {
			return fmt.Errorf("%w: %s is %s", ErrState, ref.ID, origin.State)
		}
		origin, err = open(ctx, tx, ref, origin.State)
		if err == nil {
			err = alone(ctx, tx, &origin, indicator.TearLine)
		}
		if err != nil {
			return err
		}
		it, lower, err := d.below(ctx, tx, &origin, &t)
		if err != nil {
			return err
		}
		above, err := partsAbove(ctx, tx, &origin)
		if err != nil {
			return err
		}
		said := Leaks(above, []Part{{"reason", reason}}, []string{"pattern", "value"})
		if len(said) > 0 {
			return fmt.Errorf("%w: your reason says %q, which stands above the line", ErrTear, said[0].Text)
		}
		now := d.clock.now()
		err = d.draft(ctx, tx, acct, &origin, it, lower, indicator.Origin{Kind: indicator.TearLine}, reason)
		if err != nil {
			return err
		}
		id = it.ID
		owners, err := consenters(ctx, tx, origin.ID, lower)
		if err != nil {
			return err
		}
		for _, s := range owners {
			err = start(ctx, tx, Clock{Subject: id.String(), Kind: ClockTearLine, Owner: roleOfficer + "/" + s, Started: now, Due: tearLineDue(now, t.Urgent)})
			if err != nil {
				return err
			}
		}
		return start(ctx, tx, Clock{Subject: id.String(), Kind: ClockTearLine, Owner: roleAuthority, Started: now, Due: tearLineDue(now, t.Urgent)})
	})
	return id, err
}

// tearable are the fields of an original that its source may mark lower; of the
// others nothing may be below.
var tearable = []string{"pattern", "summary", "context", "labels"}

// below makes the item that a tear line asks for.
func (d *Desk) below(ctx context.Context, tx *sql.Tx, origin *indicator.Item, t *TearLine) (*indicator.Item, marking.Handling, error) {
	now := d.clock.now()
	upper, err := handlingOf(ctx, tx, origin)
	if err != nil {
		return nil, upper, err
	}
	may := upper.May(marking.TearLine, now)
	if !may.Yes {
		return nil, upper, fmt.Errorf("%w: it %s", ErrTear, may)
	}
	var marks []marking.Mark
	for _, m := range t.Markings {
		marks = append(marks, marking.Parse(m))
	}
	lower := marking.Combine(marks...)
	switch {
	case lower.Unknown():
		return nil, upper, fmt.Errorf("%w: the lower marking %q is none that is known", ErrTear, strings.Join(t.Markings, ", "))
	case !upper.Dominates(lower) || upper.Equal(lower):
		return nil, upper, fmt.Errorf("%w: %s is not lower than %s", ErrTear, lower, upper)
	}
	n, err := indicator.Intern(ctx, tx, lower.String())
	if err != nil {
		return nil, upper, err
	}
	it := *origin
	it.Handling, it.TLP = n, lower.TLP()
	it.Enforce, it.Display, it.Notify = lower.May(marking.Enforce, now).Yes, lower.May(marking.Show, now).Yes, lower.May(marking.Notify, now).Yes
	it.Category, it.Action, it.Confidence, it.Disclosure = t.Category, t.Action, t.Confidence, t.Disclosure
	it.Summary, it.Context, it.Labels = t.Summary, "", t.Labels
	it.ValidFrom, it.Observed = now.Add(-time.Second), time.Time{}
	it.ValidUntil = origin.ValidUntil
	if !t.ValidUntil.IsZero() {
		it.ValidUntil = t.ValidUntil.UTC().Truncate(time.Microsecond)
	}
	if t.Pattern != "" {
		c, err := observable.Compile(t.Pattern)
		if err != nil {
			return nil, upper, fmt.Errorf("%w: the pattern: %w", ErrText, err)
		}
		it.Pattern = c.Pattern
	}
	return &it, lower, nil
}

// consenters gives the sources of an item that marked it higher than the lower part.
func consenters(ctx context.Context, q sqldb.Querier, origin contract.ID, lower marking.Handling) ([]string, error) {
	ss, err := indicator.Sources(ctx, q, origin)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range ss {
		h, err := marking.ParseHandling(s.Marking)
		if err != nil {
			return nil, err
		}
		if !lower.Dominates(h) && !slices.Contains(out, s.Source) {
			out = append(out, s.Source)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Consent is the word of a source's officer that the item below the tear line may go
// its way. Fields are those of the original that the source marks lower by it: of
// pattern, summary, context and labels. When what is below says more than that, or
// than what the source had marked lower itself, the consent is refused with the leaks.
func (d *Desk) Consent(ctx context.Context, acct signin.Account, ref Ref, fields []string, reason string) error {
	return d.act(ctx, acct, reason, []string{roleOfficer}, func(tx *sql.Tx, reason string) error {
		it, o, err := torn(ctx, tx, ref)
		if err != nil {
			return err
		}
		for _, f := range fields {
			if !slices.Contains(tearable, f) {
				return fmt.Errorf("%w: %q is none of %s", ErrText, f, strings.Join(tearable, ", "))
			}
		}
		ev, err := indicator.People(ctx, tx, &it)
		if err != nil {
			return err
		}
		if acct.Person == ev.Editor {
			return fmt.Errorf("%w: %s drew the line", ErrSamePerson, acct.Person)
		}
		lower, err := handlingOf(ctx, tx, &it)
		if err != nil {
			return err
		}
		wanted, err := consenters(ctx, tx, o.Of, lower)
		if err != nil {
			return err
		}
		if acct.Scope == "" || !slices.Contains(wanted, acct.Scope) {
			return fmt.Errorf("%w: an officer of %s has to consent", ErrRole, strings.Join(wanted, ", "))
		}
		given, err := consented(ctx, tx, ev.Decisions)
		if err != nil {
			return err
		}
		if slices.Contains(given, acct.Scope) {
			return fmt.Errorf("%w: %s has consented already", ErrState, acct.Scope)
		}
		last := !slices.ContainsFunc(wanted, func(s string) bool { return s != acct.Scope && !slices.Contains(given, s) })
		if len(given) == 0 {
			o.Lowered = nil
		}
		o.Lowered = append(o.Lowered, fields...)
		slices.Sort(o.Lowered)
		o.Lowered = slices.Compact(o.Lowered)
		if last {
			v, err := viewOf(ctx, tx, &it, &o)
			if err != nil {
				return err
			}
			if len(v.Leaks) > 0 {
				return fmt.Errorf("%w: %d places below the line say what stands above it, the first in the %s: %q of the %s; mark the field lower or have the draft rejected",
					ErrTear, len(v.Leaks), v.Leaks[0].Field, v.Leaks[0].Text, v.Leaks[0].From)
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE derivation SET lowered = $2 WHERE item = $1`, it.ID.String(), strings.Join(o.Lowered, "\n"))
		if err != nil {
			return fmt.Errorf("release: consent: %w", err)
		}
		verdict := indicator.Approve
		if !last {
			verdict = acct.Scope
		}
		err = stopClocks(ctx, tx, it.ID.String(), ClockTearLine, roleOfficer+"/"+acct.Scope, d.clock.now())
		if err != nil {
			return err
		}
		return d.step(ctx, tx, acct, &it, indicator.KindConsent, verdict, reason, func() error {
			return indicator.Update(ctx, tx, &it, acct.Login, "consent to the tear line")
		})
	})
}

// consented gives the sources whose officers' consent stands.
func consented(ctx context.Context, q sqldb.Querier, ds []indicator.Decision) ([]string, error) {
	var out []string
	for _, x := range indicator.Standing(ds) {
		if x.Kind != indicator.KindConsent {
			continue
		}
		var scope string
		err := q.QueryRowContext(ctx, `SELECT scope FROM account WHERE login = $1`, x.Login).Scan(&scope)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("release: officer %s: %w", x.Login, err)
		}
		out = append(out, scope)
	}
	return out, nil
}

// Read is the word of the second reader, after the consent: somebody other than the
// one who drew the line and the officers has read [Desk.View] and found nothing
// above the line in it. The comparison has to find nothing either.
func (d *Desk) Read(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return d.act(ctx, acct, reason, []string{roleAnalyst, roleAuthority, rolePrivacy}, func(tx *sql.Tx, reason string) error {
		it, o, err := torn(ctx, tx, ref)
		if err != nil {
			return err
		}
		ev, err := indicator.People(ctx, tx, &it)
		if err != nil {
			return err
		}
		if acct.Person == ev.Editor {
			return fmt.Errorf("%w: %s drew the line", ErrSamePerson, acct.Person)
		}
		agreed := false
		for _, x := range indicator.Standing(ev.Decisions) {
			agreed = agreed || x.Kind == indicator.KindConsent && x.Verdict == indicator.Approve
			if x.Kind == indicator.KindConsent && x.Person == acct.Person {
				return fmt.Errorf("%w: %s consented for the source", ErrSamePerson, acct.Person)
			}
			if x.Kind == indicator.KindRead {
				return fmt.Errorf("%w: %s has read it", ErrState, x.Person)
			}
		}
		if !agreed {
			return fmt.Errorf("%w: the source has not consented yet", ErrState)
		}
		v, err := viewOf(ctx, tx, &it, &o)
		if err != nil {
			return err
		}
		if len(v.Leaks) > 0 {
			return fmt.Errorf("%w: the %s says %q of the %s", ErrTear, v.Leaks[0].Field, v.Leaks[0].Text, v.Leaks[0].From)
		}
		return d.step(ctx, tx, acct, &it, indicator.KindRead, indicator.Approve, reason, func() error {
			return indicator.Update(ctx, tx, &it, acct.Login, "second reading below the tear line")
		})
	})
}

// torn reads an item below a tear line that waits for its approvals.
func torn(ctx context.Context, tx *sql.Tx, ref Ref) (indicator.Item, indicator.Origin, error) {
	it, err := open(ctx, tx, ref, indicator.PendingFirst)
	if err != nil {
		return it, indicator.Origin{}, err
	}
	o, err := indicator.OriginOf(ctx, tx, it.ID)
	if err == nil && o.Kind != indicator.TearLine {
		err = fmt.Errorf("%w: %s is below no tear line", ErrState, it.ID)
	}
	return it, o, err
}

// View is both sides of a tear line, for those who are cleared for the upper one.
type View struct {
	Origin       contract.ID
	Above, Below []Part
	Upper, Lower marking.Handling
	Lowered      []string // fields of the original that count as marked lower
	Sources      []string // whose officers have to consent
	Leaks        []Leak
}

// View gives both sides of the tear line above an item. Whoever is shown it has to be
// cleared for the original, which is for the caller to ask.
func (d *Desk) View(ctx context.Context, q sqldb.Querier, id contract.ID) (View, error) {
	it, err := indicator.Get(ctx, q, id)
	if err != nil {
		return View{}, err
	}
	o, err := indicator.OriginOf(ctx, q, id)
	if err != nil {
		return View{}, err
	}
	if o.Kind != indicator.TearLine {
		return View{}, fmt.Errorf("%w: %s is below no tear line", ErrState, id)
	}
	return viewOf(ctx, q, &it, &o)
}

func viewOf(ctx context.Context, q sqldb.Querier, it *indicator.Item, o *indicator.Origin) (View, error) {
	v := View{Origin: o.Of}
	origin, err := indicator.Get(ctx, q, o.Of)
	if err != nil {
		return v, err
	}
	all, err := indicator.Handlings(ctx, q)
	if err == nil {
		v.Upper, err = marking.ParseHandling(all[origin.Handling])
	}
	if err == nil {
		v.Lower, err = marking.ParseHandling(all[it.Handling])
	}
	if err == nil {
		v.Above, err = partsAbove(ctx, q, &origin)
	}
	if err == nil {
		v.Sources, err = consenters(ctx, q, o.Of, v.Lower)
	}
	if err != nil {
		return v, err
	}
	v.Below = []Part{{"pattern", it.Pattern}, {"summary", it.Summary}, {"context", it.Context}, {"labels", it.Labels}}
	own, err := markedLower(ctx, q, o.Of, v.Lower)
	if err != nil {
		return v, err
	}
	v.Lowered = append(slices.Clone(o.Lowered), own...)
	if slices.Contains(v.Lowered, "pattern") {
		v.Lowered = append(v.Lowered, "value") // says the same
	}
	slices.Sort(v.Lowered)
	v.Lowered = slices.Compact(v.Lowered)
	v.Leaks = Leaks(v.Above, v.Below, v.Lowered)
	return v, nil
}

// partsAbove gives all texts of an item that are above a tear line.
func partsAbove(ctx context.Context, q sqldb.Querier, origin *indicator.Item) ([]Part, error) {
	out := []Part{
		{"pattern", origin.Pattern}, {"value", origin.Value}, {"summary", origin.Summary}, {"context", origin.Context}, {"labels", origin.Labels},
	}
	ss, err := indicator.Sources(ctx, q, origin.ID)
	if err != nil {
		return nil, err
	}
	for _, s := range ss {
		out = append(out, Part{"source", s.Source}, Part{"references", s.Reference}, Part{"original", withoutPattern(s.Original, origin)})
	}
	return out, nil
}

// withoutPattern takes out of what a source delivered what is compared as a field of
// its own; the words of a field that is marked lower would else come back as those of
// the original.
func withoutPattern(original string, origin *indicator.Item) string {
	o, err := stix.ParseObject([]byte(original))
	if err != nil { // a line of a list or sheet
		for _, known := range []string{origin.Value, origin.Summary, origin.Context} {
			if known != "" {
				original = strings.ReplaceAll(original, known, " ")
			}
		}
		for l := range strings.SplitSeq(origin.Labels, "\n") {
			if l != "" {
				original = strings.ReplaceAll(original, l, " ")
			}
		}
		return original
	}
	var b strings.Builder
	for name, v := range o.Value().Members() {
		switch name {
		case "pattern", "description", "labels", "pattern_type", "spec_version", "type", "granular_markings", "object_marking_refs":
			continue
		}
		b.Write(v.Canonical())
		b.WriteByte('\n')
	}
	return b.String()
}

// markedLower gives the fields of an item that its sources marked lower than the
// whole, by granular markings of STIX, to at most the lower handling.
func markedLower(ctx context.Context, q sqldb.Querier, origin contract.ID, lower marking.Handling) ([]string, error) {
	ss, err := indicator.Sources(ctx, q, origin)
	if err != nil {
		return nil, err
	}
	var out []string
	for i, s := range ss {
		var own []string
		o, err := stix.ParseObject([]byte(s.Original))
		if err == nil {
			own = lowerSelectors(o, lower)
		}
		if i == 0 {
			out = own
			continue
		}
		out = slices.DeleteFunc(out, func(f string) bool { return !slices.Contains(own, f) })
	}
	return out, nil
}

// lowerSelectors gives the fields that one object marks so low. A marking that is not
// one of the fixed ones of TLP and PAP counts as unknown: it lowers nothing.
func lowerSelectors(o *stix.Object, lower marking.Handling) []string {
	gs, err := o.GranularMarkings()
	if err != nil {
		return nil
	}
	var out []string
	for field, selector := range map[string]string{"pattern": "pattern", "summary": "description", "labels": "labels"} {
		h, found := marking.Open(), false
		for _, g := range gs {
			if g.Ref != "" && g.Covers(selector) {
				h, found = h.Join(marking.FromSTIX(g.Ref, nil).Handling()), true
			}
		}
		if found && !h.Unknown() && lower.Dominates(h) {
			out = append(out, field)
		}
	}
	return out
}

// For gives the view without what sources other than the only one said, when the
// reader is an officer of that one; unchanged when only is empty.
func (v View) For(only string) View {
	if only == "" {
		return v
	}
	v.Above = slices.DeleteFunc(slices.Clone(v.Above), func(p Part) bool {
		return p.Field == "source" || p.Field == "references" || p.Field == "original"
	})
	v.Sources = slices.DeleteFunc(slices.Clone(v.Sources), func(s string) bool { return s != only })
	return v
}
