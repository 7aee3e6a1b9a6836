package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/policy"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/observable"
)

// Edit is how an item that is made of another one differs from it. What is nil,
// empty or zero stays as it is.
type Edit struct {
	Pattern    string // a STIX pattern that services can observe
	Category   *contract.Category
	Action     *contract.Action
	Confidence *int      // 0 to 100
	ValidUntil time.Time // at most the ceiling of its kind
	Summary    *string   // releasable, at most [contract.MaxSummary] bytes
	Context    *string   // for analysts, at most 16 KiB
	Labels     *string   // one a line
	Disclosure *uint8    // at most what the markings permit
}

func (e *Edit) apply(it *indicator.Item) {
	if e.Category != nil {
		it.Category = *e.Category
	}
	if e.Action != nil {
		it.Action = *e.Action
	}
	if e.Confidence != nil {
		it.Confidence = *e.Confidence
	}
	if !e.ValidUntil.IsZero() {
		it.ValidUntil = e.ValidUntil.UTC().Truncate(time.Microsecond)
	}
	if e.Summary != nil {
		it.Summary = *e.Summary
	}
	if e.Context != nil {
		it.Context = *e.Context
	}
	if e.Labels != nil {
		it.Labels = *e.Labels
	}
	if e.Disclosure != nil {
		it.Disclosure = *e.Disclosure
	}
	if e.Pattern != "" {
		it.Pattern = e.Pattern
	}
}

// draft makes an item of another one and lets it go as far as the automatic steps
// reach: through the privacy gate, where every text is searched anew, and the
// technical checks. What was found about the origin's pattern counts for the same
// pattern.
func (d *Desk) draft(ctx context.Context, tx *sql.Tx, acct signin.Account, origin, it *indicator.Item, h marking.Handling, o indicator.Origin, reason string) error {
	now := d.clock.now()
	it.ID, it.Number, it.Version, it.State = contract.NewID(), 0, 1, indicator.PrivacyGate
	it.Created, it.Modified, it.Released, it.Ended = now, now, time.Time{}, time.Time{}
	it.Editor, it.Privacy, it.PrivacyNote = acct.Login, indicator.Undetermined, ""
	o.Item, o.Of = it.ID, origin.ID
	err := fit(it, h, now)
	if err != nil {
		return err
	}
	found, err := d.examine(ctx, tx, origin, it, o.Kind, now)
	if err != nil {
		return err
	}
	private := false
	for i := range found {
		found[i].Item = it.ID
		private = private || indicator.IsPrivacy(found[i].Code)
	}
	if !private {
		it.Privacy = indicator.NotPresent
	}
	lower := int64(0)
	if it.Handling != origin.Handling {
		lower = it.Handling
	}
	err = indicator.Derive(ctx, tx, it, o, lower)
	if err != nil {
		return err
	}
	for _, f := range found {
		err = indicator.AddFinding(ctx, tx, f)
		if err != nil {
			return err
		}
	}
	err = d.decide(ctx, tx, acct, it.ID, indicator.KindDraft, o.Kind, reason)
	if err != nil {
		return err
	}
	err = audit.Append(ctx, tx, acct.Login, "item.draft", it.ID.String(), map[string]any{"kind": o.Kind, "of": origin.ID, "reason": reason})
	if err != nil {
		return err
	}
	return indicator.Advance(ctx, tx, it, acct.Login, reason)
}

// fit refuses what cannot be stored, shown or released.
func fit(it *indicator.Item, h marking.Handling, now time.Time) error {
	text := Redaction{Summary: it.Summary, Context: it.Context}
	err := text.check()
	if err == nil {
		labels := Redaction{Context: it.Labels}
		err = labels.check()
	}
	if err != nil {
		return err
	}
	limit, _ := h.Disclosure()
	switch {
	case it.Disclosure > limit:
		return fmt.Errorf("%w: the markings permit to tell customers level %d at most, not %d", ErrText, limit, it.Disclosure)
	case it.Confidence < 0 || it.Confidence > 100:
		return fmt.Errorf("%w: the confidence goes from 0 to 100", ErrText)
	case !it.ValidUntil.After(now) || !it.ValidUntil.After(it.ValidFrom):
		return fmt.Errorf("%w: it would end before it begins, or is over", ErrText)
	}
	return nil
}

// examine compiles and checks an item that is to be made of another one.
func (d *Desk) examine(ctx context.Context, tx *sql.Tx, origin, it *indicator.Item, kind string, now time.Time) ([]indicator.Finding, error) {
	c, err := observable.Compile(it.Pattern)
	var unseen *observable.Unobservable
	if err != nil && (it.Pattern != origin.Pattern || !errors.As(err, &unseen)) {
		return nil, fmt.Errorf("%w: the pattern: %w", ErrText, err)
	}
	var checker *policy.Checker
	if d.cfg.Checker != nil {
		checker = d.cfg.Checker()
	}
	if err == nil && c.Pattern != origin.Pattern {
		if checker == nil {
			return nil, fmt.Errorf("%w: this desk has no checker for a new pattern; let its source deliver it", ErrState)
		}
		it.Pattern, it.Services = c.Pattern, c.Services
		it.Kind, it.Value = c.Atoms[0].Kind, c.Atoms[0].String()
		it.Atoms, it.Pivot = len(c.Atoms), indicator.Pivot(c.Atoms[0].Kind, c.Atoms[0].Value)
	}
	if checker == nil {
		checker, err = policy.New(policy.Config{SamplePercent: -1})
		if err != nil {
			return nil, err
		}
	}
	s := policy.Subject{
		Pattern: it.Pattern, Atoms: c.Atoms, Services: it.Services, Action: it.Action, Summary: it.Summary, Context: it.Context,
		Labels: strings.Split(it.Labels, "\n"), Observed: it.Observed,
	}
	until, cut := checker.Validity(c.Atoms, it.ValidFrom, it.ValidUntil, now)
	it.ValidUntil = until.UTC().Truncate(time.Microsecond)
	found := checker.Privacy(&s, now)
	if it.Pattern != origin.Pattern {
		found = append(found, checker.Technical(&s, now)...)
	} else {
		old, err := indicator.Findings(ctx, tx, origin.ID)
		if err != nil {
			return nil, err
		}
		for _, f := range old {
			// What was found about sources stays above a tear line.
			if !indicator.IsPrivacy(f.Code) && (kind != indicator.TearLine || strings.HasPrefix(f.Code, "V")) {
				f.At = now // whoever overrode it for the origin did not for this one
				found = append(found, f)
			}
		}
	}
	if cut != "" {
		found = append(found, indicator.Finding{Code: policy.CodeCut, Severity: indicator.Warn, Detail: cut, At: now})
	}
	return found, nil
}

// handlingOf reads what the markings of an item combine to.
func handlingOf(ctx context.Context, tx *sql.Tx, it *indicator.Item) (marking.Handling, error) {
	var text string
	err := tx.QueryRowContext(ctx, `SELECT text FROM handling WHERE number = $1`, it.Handling).Scan(&text)
	if err != nil {
		return marking.Handling{}, fmt.Errorf("release: handling of %s: %w", it.ID, err)
	}
	return marking.ParseHandling(text)
}
