package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
	"ecs/internal/signin"
)

// Privacy records the privacy officer's determination on an item in
// PRIVACY_GATE and lets it go on as far as the automatic steps reach. For
// [indicator.Necessary] the reason has to say which element stays and why. With
// [indicator.Removed] the item's texts are emptied, see [Desk.Redact].
func (d *Desk) Privacy(ctx context.Context, acct signin.Account, ref Ref, what indicator.Determination, reason string) error {
	return d.privacy(ctx, acct, ref, what, Redaction{}, reason)
}

// Redact is the determination [indicator.Removed]: the item's texts become those
// that the privacy officer gives, or empty, and what the sources had delivered is
// no longer kept. Texts that still look like personal data are refused, and so is
// the whole when the indicator itself is personal data.
func (d *Desk) Redact(ctx context.Context, acct signin.Account, ref Ref, text Redaction, reason string) error {
	return d.privacy(ctx, acct, ref, indicator.Removed, text, reason)
}

func (d *Desk) privacy(ctx context.Context, acct signin.Account, ref Ref, what indicator.Determination, text Redaction, reason string) error {
	return d.act(ctx, acct, reason, []string{rolePrivacy}, func(tx *sql.Tx, reason string) error {
		it, err := open(ctx, tx, ref, indicator.PrivacyGate)
		if err != nil {
			return err
		}
		err = indicator.CheckDetermination(what, reason)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrReason, err)
		}
		_, err = duties(ctx, tx, &it, acct, indicator.KindPrivacy)
		if err != nil {
			return err
		}
		return d.step(ctx, tx, acct, &it, indicator.KindPrivacy, string(what), reason, func() error {
			it.Privacy, it.PrivacyNote = what, reason
			if what == indicator.Removed {
				err := d.clean(ctx, tx, acct, &it, text)
				if err != nil {
					return err
				}
			}
			return indicator.Advance(ctx, tx, &it, acct.Login, reason)
		})
	})
}

// Hold takes an item that is not released yet back to the privacy gate, which
// makes its approvals void.
func (d *Desk) Hold(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return d.act(ctx, acct, reason, []string{rolePrivacy}, func(tx *sql.Tx, reason string) error {
		it, err := open(ctx, tx, ref, indicator.TechValidation, indicator.PendingFirst, indicator.PendingSecond)
		if err != nil {
			return err
		}
		return indicator.Move(ctx, tx, &it, indicator.PrivacyGate, acct.Login, reason)
	})
}

// Override is given twice: the first person asks that the item may go on in
// spite of all technical stops found so far, the second, a release authority,
// approves (SOD-4). Neither may have submitted or edited the item. The second
// lets the item go on as far as the automatic steps reach.
func (d *Desk) Override(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return d.act(ctx, acct, reason, []string{roleAnalyst, roleAuthority}, func(tx *sql.Tx, reason string) error {
		it, err := open(ctx, tx, ref, indicator.TechValidation, indicator.PendingFirst, indicator.PendingSecond)
		if err != nil {
			return err
		}
		err = mayStart(ctx, tx, acct)
		if err != nil {
			return err
		}
		ev, err := duties(ctx, tx, &it, acct, indicator.KindOverride)
		if err != nil {
			return err
		}
		err = stopped(ctx, tx, it.ID, ev.Decisions)
		if err == nil {
			return fmt.Errorf("%w: nothing is left to override on %s", ErrState, it.ID)
		}
		if !errors.Is(err, ErrFindings) {
			return err
		}
		asked, err := askers(ctx, tx, it.ID, ev.Decisions)
		if err != nil {
			return err
		}
		if asked[acct.Person] {
			return fmt.Errorf("%w: nobody approves an override they asked for", ErrSamePerson)
		}
		if len(asked) > 0 {
			err = needRole(acct, roleAuthority)
			if err != nil {
				return err
			}
		}
		return d.step(ctx, tx, acct, &it, indicator.KindOverride, indicator.Approve, reason, func() error {
			err := audit.Append(ctx, tx, acct.Login, "item.override", it.ID.String(), map[string]any{"persons": len(asked) + 1, "reason": reason})
			if err != nil || len(asked) == 0 {
				return err
			}
			return indicator.Advance(ctx, tx, &it, acct.Login, reason)
		})
	})
}

// askers gives the persons whose overrides are younger than every stop.
func askers(ctx context.Context, tx *sql.Tx, id contract.ID, ds []indicator.Decision) (map[string]bool, error) {
	fs, err := indicator.Findings(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	var newest time.Time
	for _, f := range indicator.Stops(fs) {
		if f.At.After(newest) {
			newest = f.At
		}
	}
	out := map[string]bool{}
	for _, d := range ds {
		if d.Kind == indicator.KindOverride && d.Verdict == indicator.Approve && d.Undone.IsZero() && !d.At.Before(newest) {
			out[d.Person] = true
		}
	}
	return out, nil
}

// First gives the first (technical) approval, by an analyst who neither
// submitted nor edited the item.
func (d *Desk) First(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return d.act(ctx, acct, reason, []string{roleAnalyst}, func(tx *sql.Tx, reason string) error {
		err := mayStart(ctx, tx, acct)
		if err != nil {
			return err
		}
		return d.first(ctx, tx, acct, ref, reason)
	})
}

func (d *Desk) first(ctx context.Context, tx *sql.Tx, acct signin.Account, ref Ref, reason string) error {
	it, err := open(ctx, tx, ref, indicator.PendingFirst)
	if err != nil {
		return err
	}
	ev, err := duties(ctx, tx, &it, acct, indicator.KindFirst)
	if err != nil {
		return err
	}
	err = stopped(ctx, tx, it.ID, ev.Decisions)
	if err != nil {
		return err
	}
	return d.step(ctx, tx, acct, &it, indicator.KindFirst, indicator.Approve, reason, func() error {
		return indicator.Move(ctx, tx, &it, indicator.PendingSecond, acct.Login, reason)
	})
}

// Return sends an item that is not released yet back to its source.
func (d *Desk) Return(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return d.stop(ctx, acct, ref, indicator.Returned, indicator.KindReturn, reason)
}

// Reject ends an item that is not released yet.
func (d *Desk) Reject(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return d.stop(ctx, acct, ref, indicator.Rejected, indicator.KindReject, reason)
}

// stop needs no second person: whoever may decide about an item may say no.
func (d *Desk) stop(ctx context.Context, acct signin.Account, ref Ref, to indicator.State, kind, reason string) error {
	return d.act(ctx, acct, reason, stoppers, func(tx *sql.Tx, reason string) error {
		return d.stopOne(ctx, tx, acct, ref, to, kind, reason)
	})
}

var stoppers = []string{roleAnalyst, roleAuthority, rolePrivacy}

func (d *Desk) stopOne(ctx context.Context, tx *sql.Tx, acct signin.Account, ref Ref, to indicator.State, kind, reason string) error {
	it, err := open(ctx, tx, ref, indicator.Received, indicator.PrivacyGate, indicator.Marked,
		indicator.TechValidation, indicator.PendingFirst, indicator.PendingSecond)
	if err != nil {
		return err
	}
	return d.step(ctx, tx, acct, &it, kind, kind, reason, func() error {
		return indicator.Move(ctx, tx, &it, to, acct.Login, reason)
	})
}

// act checks what every act needs and runs it in one transaction.
func (d *Desk) act(ctx context.Context, acct signin.Account, reason string, roles []string, f func(tx *sql.Tx, reason string) error) error {
	err := needRole(acct, roles...)
	if err != nil {
		return err
	}
	reason, err = checkReason(reason)
	if err != nil {
		return err
	}
	return d.db.Write(ctx, func(tx *sql.Tx) error { return f(tx, reason) })
}

// decide records a decision. The reason code that the act carries is its verdict.
func (d *Desk) decide(ctx context.Context, tx *sql.Tx, acct signin.Account, id contract.ID, kind, verdict, reason string) error {
	return indicator.AddDecision(ctx, tx, d.decision(ctx, acct, id, kind, verdict, reason))
}

func (d *Desk) decision(ctx context.Context, acct signin.Account, id contract.ID, kind, verdict, reason string) indicator.Decision {
	of := deedOf(ctx)
	if of.kind == kind && of.code != "" {
		verdict = string(of.code)
	}
	return indicator.Decision{
		Item: id, Kind: kind, Verdict: verdict, Login: acct.Login, Person: acct.Person, Reason: reason, At: d.clock.now(), Bulk: of.bulk,
	}
}

// step records a decision together with what it does to the item's state, so that
// it can be taken back, see [Desk.Undo].
func (d *Desk) step(ctx context.Context, tx *sql.Tx, acct signin.Account, it *indicator.Item, kind, verdict, reason string, act func() error) error {
	x := d.decision(ctx, acct, it.ID, kind, verdict, reason)
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	x.ID, x.Was = id.String(), it.State
	err = indicator.AddDecision(ctx, tx, x)
	if err != nil {
		return err
	}
	err = act()
	if err != nil {
		return err
	}
	return indicator.Reached(ctx, tx, x.ID, it.State)
}
