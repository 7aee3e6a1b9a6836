package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Undo takes the last decision on an item back: by the person who gave it, within
// Config.UndoWithin, while nobody has decided since and nothing has moved the item
// on. First approvals, overrides, returns, rejections, privacy determinations,
// consents and readings can be taken back; a release is recalled instead. The
// decision stays on record, and the undo is one of its own. What a redaction took
// out stays out.
func (d *Desk) Undo(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return d.act(ctx, acct, reason, anybody, func(tx *sql.Tx, reason string) error {
		return d.undo(ctx, tx, acct, ref, "", reason)
	})
}

// UndoAll takes back what a bulk act decided (see [Bulk].ID), as far as each of its
// items permits, otherwise like [Desk.FirstAll] and [Desk.Undo].
func (d *Desk) UndoAll(ctx context.Context, acct signin.Account, bulk, reason string, progress func(done, total int)) (Bulk, error) {
	ids, err := indicator.Bulk(ctx, d.db, bulk)
	if err != nil {
		return Bulk{}, err
	}
	if len(ids) == 0 {
		return Bulk{}, fmt.Errorf("%w: no decision of the bulk act %q stands", ErrUndo, bulk)
	}
	return d.bulk(ctx, acct, ids, reason, anybody, progress, func(ctx context.Context, tx *sql.Tx, reason string) (lot, error) {
		return lot{each: func(id contract.ID) error { return d.undo(ctx, tx, acct, Ref{ID: id}, bulk, reason) }}, nil
	})
}

// anybody who decides may have decided in error.
var anybody = []string{roleAnalyst, roleAuthority, rolePrivacy, roleOfficer}

func (d *Desk) undo(ctx context.Context, tx *sql.Tx, acct signin.Account, ref Ref, bulk, reason string) error {
	it, err := indicator.Get(ctx, tx, ref.ID)
	if err != nil {
		return err
	}
	if ref.Version != 0 && ref.Version != it.Version {
		return fmt.Errorf("%w (%s)", ErrVersion, ref.ID)
	}
	ds, err := indicator.Decisions(ctx, tx, it.ID)
	if err != nil {
		return err
	}
	now := d.clock.now()
	last, err := indicator.MayTakeBack(&it, ds, acct.Person, d.cfg.UndoWithin, now)
	if err == nil && bulk != "" && last.Bulk != bulk {
		err = errors.New("somebody decided about it again since")
	}
	if err != nil {
		var g *indicator.GuardError
		if errors.As(err, &g) {
			return fmt.Errorf("%w: %s", ErrUndo, g.Why)
		}
		return fmt.Errorf("%w: %w", ErrUndo, err)
	}
	return indicator.TakeBack(ctx, tx, &it, last, indicator.Decision{
		Login: acct.Login, Person: acct.Person, Reason: reason, At: now, Bulk: deedOf(ctx).bulk,
	})
}

// Recent is a decision as its person looks back on it.
type Recent struct {
	indicator.Decision
	State indicator.State // of its item now
	Until time.Time       // when it can no longer be taken back; zero when it cannot now
}

// Mine lists the newest decisions of a person, newest first, at most limit, before a
// moment (zero: now), with what can be taken back. Whether an item may be seen is for
// the caller to ask.
func (d *Desk) Mine(ctx context.Context, q sqldb.Querier, person string, before time.Time, limit int) ([]Recent, error) {
	now := d.clock.now()
	if before.IsZero() {
		before = now.Add(time.Second)
	}
	rows, err := q.QueryContext(ctx, `SELECT id, item FROM decision WHERE person = $1 AND at < $2 AND kind <> $3 ORDER BY at DESC, id DESC LIMIT $4`,
		person, sqldb.Time(before), indicator.KindUndo, int64(min(max(limit, 1), 1000)))
	if err != nil {
		return nil, fmt.Errorf("release: decisions of a person: %w", err)
	}
	defer func() { _ = rows.Close() }()
	type pair struct{ id, item string }
	var found []pair
	for rows.Next() {
		var p pair
		err = rows.Scan(&p.id, &p.item)
		if err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	err = errors.Join(rows.Err(), rows.Close())
	if err != nil {
		return nil, err
	}
	var out []Recent
	for _, p := range found {
		r, err := d.recent(ctx, q, p.id, p.item, person, now)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (d *Desk) recent(ctx context.Context, q sqldb.Querier, decision, item, person string, now time.Time) (Recent, error) {
	var r Recent
	id, err := contract.ParseID(item)
	if err != nil {
		return r, err
	}
	it, err := indicator.Get(ctx, q, id)
	if err != nil {
		return r, err
	}
	ds, err := indicator.Decisions(ctx, q, id)
	if err != nil {
		return r, err
	}
	r.State = it.State
	for _, x := range ds {
		if x.ID == decision {
			r.Decision = x
		}
	}
	last, err := indicator.MayTakeBack(&it, ds, person, d.cfg.UndoWithin, now)
	if err == nil && last.ID == decision {
		r.Until = last.At.Add(d.cfg.UndoWithin)
	}
	return r, nil
}
