package release

import (
	"context"
	"database/sql"
	"fmt"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
)

// Replace makes a new version of a released item: an item of its own, which goes
// through the gate, the checks and both approvals like any other, and takes the
// place of the old one when it is released by [Desk.Supersede]. Until then the old
// one stays in force. The analyst who edits is its editor and approves neither.
func (d *Desk) Replace(ctx context.Context, acct signin.Account, ref Ref, e Edit, reason string) (contract.ID, error) {
	var id contract.ID
	err := d.act(ctx, acct, reason, []string{roleAnalyst}, func(tx *sql.Tx, reason string) error {
		err := mayStart(ctx, tx, acct)
		if err != nil {
			return err
		}
		old, err := open(ctx, tx, ref, indicator.Released, indicator.InForce)
		if err != nil {
			return err
		}
		err = alone(ctx, tx, &old, indicator.Supersedes)
		if err != nil {
			return err
		}
		h, err := handlingOf(ctx, tx, &old)
		if err != nil {
			return err
		}
		it := old
		e.apply(&it)
		err = d.draft(ctx, tx, acct, &old, &it, h, indicator.Origin{Kind: indicator.Supersedes}, reason)
		id = it.ID
		return err
	})
	return id, err
}

// alone refuses to make a further item of the same kind while one is on its way, and
// to make one of an item that was itself made for a shadow run.
func alone(ctx context.Context, tx *sql.Tx, it *indicator.Item, kind string) error {
	o, err := indicator.OriginOf(ctx, tx, it.ID)
	if err != nil {
		return err
	}
	if o.Kind == indicator.Shadow {
		return fmt.Errorf("%w: %s is there for a shadow run only", ErrState, it.ID)
	}
	if kind == indicator.Supersedes && o.Kind == indicator.TearLine {
		return fmt.Errorf("%w: %s is below a tear line; recall it and draw the line anew", ErrState, it.ID)
	}
	made, err := indicator.MadeOf(ctx, tx, it.ID)
	if err != nil {
		return err
	}
	for _, m := range made {
		other, err := indicator.Get(ctx, tx, m.Item)
		if err != nil {
			return err
		}
		if m.Kind == kind && !other.State.Ended() && other.Released.IsZero() {
			return fmt.Errorf("%w: %s is on its way already", ErrState, other.ID)
		}
	}
	return nil
}

// Supersede gives the second approval to an item that [Desk.Replace] made, releases
// it, and takes the old one out of force in the same transaction: in each provider's
// log the new one comes directly before the removal of the old one, and one
// checkpoint covers both, so that no node ever has neither. Without targets it goes
// where the old one is. A provider that may not have the new one loses the old one
// too; the [Outcome] says so.
func (d *Desk) Supersede(ctx context.Context, acct signin.Account, ref Ref, reason string, targets []Target) (Outcome, error) {
	var left []string
	out, err := d.releasing(ctx, acct, reason, targets, func(r *session) (Outcome, error) {
		var out Outcome
		var err error
		out, left, err = r.supersede(ctx, ref)
		return out, err
	})
	if err != nil {
		return out, err
	}
	for _, p := range left {
		d.bell.ring(p)
	}
	return out, nil
}

func (r *session) supersede(ctx context.Context, ref Ref) (Outcome, []string, error) {
	out := Outcome{ID: ref.ID, At: r.now}
	it, err := open(ctx, r.tx, ref, indicator.PendingSecond)
	if err != nil {
		return out, nil, err
	}
	o, err := indicator.OriginOf(ctx, r.tx, it.ID)
	if err != nil {
		return out, nil, err
	}
	if o.Kind != indicator.Supersedes {
		return out, nil, fmt.Errorf("%w: %s replaces nothing; approve it as any other", ErrState, it.ID)
	}
	old, err := open(ctx, r.tx, Ref{ID: o.Of}, indicator.Released, indicator.InForce)
	if err != nil {
		return out, nil, fmt.Errorf("what it replaces has left meanwhile; reject it: %w", err)
	}
	err = r.mayRelease(ctx, &it, indicator.KindSecond)
	if err != nil {
		return out, nil, err
	}
	where, err := placesOf(ctx, r.tx, old.ID)
	if err != nil {
		return out, nil, err
	}
	if len(r.targets) == 0 {
		r.targets = merge(where)
	}
	x, body, err := nextVersion(ctx, r.tx, old.ID, r.now, func(x *contract.Indicator) { x.Revoked = true })
	if err != nil {
		return out, nil, err
	}
	err = indicator.Move(ctx, r.tx, &old, indicator.Superseded, r.acct.Login, r.reason)
	if err == nil {
		err = indicator.Own(ctx, r.tx, &it)
	}
	if err != nil {
		return out, nil, err
	}
	out, err = r.publish(ctx, &it, indicator.KindSecond, out)
	if err != nil {
		return out, nil, err
	}
	var left []string
	for _, t := range merge(where) {
		left = append(left, t.Provider)
	}
	r.shelf.remove(x, body, left)
	return out, left, nil
}

// placesOf gives the providers whose logs have an item in force, and for which
// services.
func placesOf(ctx context.Context, tx *sql.Tx, id contract.ID) ([]Target, error) {
	rows, err := tx.QueryContext(ctx, `SELECT provider, service FROM delivery WHERE item = $1 AND remove_seq = 0 ORDER BY provider, service`, id.String())
	if err != nil {
		return nil, fmt.Errorf("release: where %s is: %w", id, err)
	}
	defer func() { _ = rows.Close() }()
	var out []Target
	for rows.Next() {
		var t Target
		err = rows.Scan(&t.Provider, &t.Services)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}
