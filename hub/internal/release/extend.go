package release

import (
	"context"
	"database/sql"
	"fmt"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
	"ecs/internal/signin"
)

// Extend sends an item that is released already to more providers, or to more
// services of the same: that is how a provider that joins gets what is in force.
// It is a second approval like any other, by a release authority who had no
// other part in the item. The targets get a version of their own with the same
// words, so that a TAXII client that asks for what was added since its last
// visit finds it. What a target has already is left as it is; what was withheld
// or withdrawn from it while it was suspended can be sent again.
func (d *Desk) Extend(ctx context.Context, acct signin.Account, ref Ref, reason string, targets []Target) (Outcome, error) {
	return d.releasing(ctx, acct, reason, targets, func(r *session) (Outcome, error) { return r.extend(ctx, ref) })
}

// ExtendAll is to [Desk.Extend] as [Desk.SecondAll] is to [Desk.Second].
func (d *Desk) ExtendAll(ctx context.Context, acct signin.Account, ids []contract.ID, reason string, targets []Target, progress func(done, total int)) (Bulk, error) {
	return d.bulk(ctx, acct, ids, reason, []string{roleAuthority}, progress, func(ctx context.Context, tx *sql.Tx, reason string) (lot, error) {
		r, err := d.session(ctx, tx, acct, reason, targets)
		if err != nil {
			return lot{}, err
		}
		return r.lot(func(id contract.ID) (Outcome, error) { return r.extend(ctx, Ref{ID: id}) }), nil
	})
}

func (r *session) extend(ctx context.Context, ref Ref) (Outcome, error) {
	out := Outcome{ID: ref.ID, At: r.now}
	it, err := open(ctx, r.tx, ref, indicator.Released, indicator.InForce)
	if err != nil {
		return out, err
	}
	err = r.mayRelease(ctx, &it, indicator.KindSecond)
	if err == nil {
		err = ratified(ctx, r.tx, it.ID)
	}
	if err != nil {
		return out, err
	}
	ok, err := r.judge(ctx, &it, &out)
	if err != nil {
		return out, err
	}
	var lines []Target // what the log is to say: old and new services together
	for _, t := range ok {
		had, err := reach(ctx, r.tx, it.ID, t.Provider)
		if err != nil {
			return out, err
		}
		fresh := t.Services &^ had
		switch {
		case fresh == 0:
			out.Refused = append(out.Refused, Refused{Target: t, Reason: "the provider has it for these services already"})
		default:
			out.Released = append(out.Released, Target{Provider: t.Provider, Services: fresh})
			lines = append(lines, Target{Provider: t.Provider, Services: had | fresh})
		}
	}
	if len(out.Released) == 0 {
		return out, fmt.Errorf("%w: %s", ErrNoTarget, reasons(out.Refused))
	}
	x, body, err := nextVersion(ctx, r.tx, it.ID, r.now, sameWords)
	if err != nil {
		return out, err
	}
	err = r.d.decide(ctx, r.tx, r.acct, it.ID, indicator.KindSecond, indicator.Approve, r.reason)
	if err == nil {
		err = r.fix(ctx, it.ID, out.Released)
	}
	if err == nil {
		err = audit.Append(ctx, r.tx, r.acct.Login, "item.extend", it.ID.String(),
			map[string]any{"to": out.Released, "reason": r.reason})
	}
	if err != nil {
		return out, err
	}
	r.shelf.version(x, body)
	for i, t := range out.Released {
		r.shelf.enter(x, body, lines[i], t.Services)
	}
	h, err := r.handling(ctx, &it)
	if err != nil {
		return out, err
	}
	return out, r.beside(ctx, &it, h, x, out.Released)
}

// reach tells for which services a provider's log has an item in force.
func reach(ctx context.Context, tx *sql.Tx, id contract.ID, provider string) (had contract.Services, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT service FROM delivery WHERE item = $1 AND provider = $2 AND remove_seq = 0`, id.String(), provider)
	if err != nil {
		return 0, fmt.Errorf("release: extend: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var svc contract.Services
		err = rows.Scan(&svc)
		if err != nil {
			return 0, err
		}
		had |= svc
	}
	return had, rows.Err()
}
