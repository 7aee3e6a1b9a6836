package release

import (
	"context"
	"database/sql"
	"errors"
	"maps"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
)

// portion is how many items of a bulk act share a transaction. Between two
// portions other writers, a recall above all, get their turn.
const portion = 250

// FirstAll gives the first approval to many items. Each succeeds or fails by
// itself, in portions of one transaction each; an error other than nil says why
// the rest was not tried. progress, if not nil, is called after each portion.
func (d *Desk) FirstAll(ctx context.Context, acct signin.Account, ids []contract.ID, reason string, progress func(done, total int)) (Bulk, error) {
	return d.bulk(ctx, acct, ids, reason, []string{roleAnalyst}, progress, func(ctx context.Context, tx *sql.Tx, reason string) (lot, error) {
		err := mayStart(ctx, tx, acct)
		return lot{each: func(id contract.ID) error { return d.first(ctx, tx, acct, Ref{ID: id}, reason) }}, err
	})
}

// SecondAll gives the second approval to many items and releases them to the
// same targets, otherwise like [Desk.FirstAll] and [Desk.Second].
func (d *Desk) SecondAll(ctx context.Context, acct signin.Account, ids []contract.ID, reason string, targets []Target, progress func(done, total int)) (Bulk, error) {
	return d.bulk(ctx, acct, ids, reason, []string{roleAuthority}, progress, func(ctx context.Context, tx *sql.Tx, reason string) (lot, error) {
		r, err := d.session(ctx, tx, acct, reason, targets)
		if err != nil {
			return lot{}, err
		}
		return r.lot(func(id contract.ID) (Outcome, error) { return r.second(ctx, Ref{ID: id}) }), nil
	})
}

// lot is the session as a portion of a bulk act.
func (r *session) lot(act func(contract.ID) (Outcome, error)) lot {
	l := lot{shelf: r.shelf, refused: map[string]int{}}
	l.each = func(id contract.ID) error {
		out, err := act(id)
		for _, f := range out.Refused {
			l.refused[f.Provider+" ("+f.Services.String()+"): "+f.Reason]++
		}
		return err
	}
	return l
}

// RecallAll recalls many items, otherwise like [Desk.FirstAll] and [Desk.Recall].
func (d *Desk) RecallAll(ctx context.Context, acct signin.Account, ids []contract.ID, reason string, progress func(done, total int)) (Bulk, error) {
	return d.bulk(ctx, acct, ids, reason, recallers, progress, func(ctx context.Context, tx *sql.Tx, reason string) (lot, error) {
		l := lot{shelf: newShelf(d.clock.now())}
		l.each = func(id contract.ID) error {
			_, err := d.recall(ctx, tx, l.shelf, acct, Ref{ID: id}, reason)
			return err
		}
		return l, nil
	})
}

// ReturnAll returns many items, otherwise like [Desk.FirstAll] and [Desk.ReturnFor].
func (d *Desk) ReturnAll(ctx context.Context, acct signin.Account, ids []contract.ID, why Why, progress func(done, total int)) (Bulk, error) {
	return d.stopAll(ctx, acct, ids, indicator.Returned, indicator.KindReturn, why, progress)
}

// RejectAll rejects many items, otherwise like [Desk.FirstAll] and [Desk.RejectFor].
func (d *Desk) RejectAll(ctx context.Context, acct signin.Account, ids []contract.ID, why Why, progress func(done, total int)) (Bulk, error) {
	return d.stopAll(ctx, acct, ids, indicator.Rejected, indicator.KindReject, why, progress)
}

func (d *Desk) stopAll(ctx context.Context, acct signin.Account, ids []contract.ID, to indicator.State, kind string, why Why,
	progress func(done, total int),
) (Bulk, error) {
	ctx, text, err := because(ctx, kind, why)
	if err != nil {
		return Bulk{}, err
	}
	return d.bulk(ctx, acct, ids, text, stoppers, progress, func(ctx context.Context, tx *sql.Tx, reason string) (lot, error) {
		return lot{each: func(id contract.ID) error { return d.stopOne(ctx, tx, acct, Ref{ID: id}, to, kind, reason) }}, nil
	})
}

// lot is one portion on its way.
type lot struct {
	each    func(id contract.ID) error
	shelf   *shelf         // nil when nothing is published
	refused map[string]int // targets refused, by reason
}

// bulk begins each portion with the context that its decisions share.
func (d *Desk) bulk(ctx context.Context, acct signin.Account, ids []contract.ID, reason string, roles []string,
	progress func(done, total int), begin func(ctx context.Context, tx *sql.Tx, reason string) (lot, error),
) (Bulk, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Bulk{}, err
	}
	out := Bulk{ID: id.String(), Refused: map[string]int{}}
	of := deedOf(ctx)
	of.bulk = out.ID
	ctx = of.in(ctx)
	for at := 0; at < len(ids); at += portion {
		some := ids[at:min(at+portion, len(ids))]
		var l lot
		var failed []Failure
		err := d.act(ctx, acct, reason, roles, func(tx *sql.Tx, reason string) error {
			failed = failed[:0] // the database may ask for the transaction again
			var err error
			l, err = begin(ctx, tx, reason)
			if err != nil {
				return err
			}
			for _, id := range some {
				err = one(ctx, tx, l.each, id)
				var f *failure
				switch {
				case errors.As(err, &f):
					failed = append(failed, Failure{ID: id, Err: f.err})
				case err != nil:
					return err
				}
			}
			if l.shelf == nil {
				return nil
			}
			return l.shelf.flush(ctx, tx)
		})
		if err != nil {
			return out, err
		}
		if l.shelf != nil {
			for p := range maps.Keys(l.shelf.entries) {
				d.bell.ring(p)
			}
		}
		for r, n := range l.refused {
			out.Refused[r] += n
		}
		out.Done += len(some) - len(failed)
		out.Failed += len(failed)
		out.Failures = append(out.Failures, failed[:min(len(failed), MaxReported-len(out.Failures))]...)
		if progress != nil {
			progress(at+len(some), len(ids))
		}
	}
	return out, nil
}

// failure is an item's own error, as against one of the database.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }

// one acts on an item within a savepoint, so that what fails leaves no trace in
// the portion.
func one(ctx context.Context, tx *sql.Tx, each func(contract.ID) error, id contract.ID) error {
	_, err := tx.ExecContext(ctx, `SAVEPOINT one`)
	if err != nil {
		return err
	}
	err = each(id)
	if err != nil && !own(err) {
		return err
	}
	end := `RELEASE SAVEPOINT one`
	if err != nil {
		end = `ROLLBACK TO SAVEPOINT one`
	}
	_, dbErr := tx.ExecContext(ctx, end)
	if dbErr != nil {
		return errors.Join(err, dbErr)
	}
	if err != nil {
		return &failure{err: err}
	}
	return nil
}

// own reports whether an error is about the item and not about the database.
func own(err error) bool {
	for _, e := range []error{
		ErrSamePerson, ErrRole, ErrReason, ErrUndo, ErrTear, ErrText, ErrVersion, ErrState, ErrFindings, ErrPersonal, ErrLife, ErrNoTarget, errObject,
		indicator.ErrNotFound, indicator.ErrVersion, indicator.ErrPurged, indicator.ErrTaken,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, new(*indicator.TransitionError)) || errors.As(err, new(*indicator.GuardError)) ||
		errors.As(err, new(*indicator.SamePersonError))
}
