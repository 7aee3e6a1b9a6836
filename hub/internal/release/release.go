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
	"ecs/hub/internal/decision"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Second gives the second approval, fixes the targets and releases, all at
// once. Targets that may not receive the item are refused with a reason and the
// rest goes on; when none is left, nothing changes and the error wraps
// [ErrNoTarget].
func (d *Desk) Second(ctx context.Context, acct signin.Account, ref Ref, reason string, targets []Target) (Outcome, error) {
	o, err := indicator.OriginOf(ctx, d.db, ref.ID)
	if err != nil {
		return Outcome{}, err
	}
	if o.Kind == indicator.Supersedes { // what it replaces goes in the same transaction
		return d.Supersede(ctx, acct, ref, reason, targets)
	}
	return d.releasing(ctx, acct, reason, targets, func(r *session) (Outcome, error) { return r.second(ctx, ref) })
}

// releasing runs one act that releases, in one transaction: roles and reason are
// checked, the act decides and writes, and only when all of it is on the disk do
// the providers that got something hear of it.
func (d *Desk) releasing(ctx context.Context, acct signin.Account, reason string, targets []Target, act func(*session) (Outcome, error)) (Outcome, error) {
	var out Outcome
	err := d.act(ctx, acct, reason, []string{roleAuthority}, func(tx *sql.Tx, reason string) error {
		r, err := d.session(ctx, tx, acct, reason, targets)
		if err != nil {
			return err
		}
		out, err = act(r)
		if err != nil {
			return err
		}
		return r.shelf.flush(ctx, tx)
	})
	if err != nil {
		out.Released = nil
		return out, err
	}
	for _, t := range out.Released {
		d.bell.ring(t.Provider)
	}
	return out, nil
}

// session is what all items of one releasing transaction share.
type session struct {
	d         *Desk
	tx        *sql.Tx
	acct      signin.Account
	reason    string
	now       time.Time
	targets   []Target
	providers map[string]decision.Provider
	handlings map[int64]marking.Handling
	marked    map[int64]marks // by number of the handling
	shelf     *shelf
}

func (d *Desk) session(ctx context.Context, tx *sql.Tx, acct signin.Account, reason string, targets []Target) (*session, error) {
	err := mayStart(ctx, tx, acct)
	if err != nil {
		return nil, err
	}
	providers, err := decision.Providers(ctx, tx)
	if err != nil {
		return nil, err
	}
	now := d.clock.now()
	return &session{
		d: d, tx: tx, acct: acct, reason: reason, now: now,
		targets: merge(targets), providers: providers, shelf: newShelf(now), marked: map[int64]marks{},
	}, nil
}

// second releases one item within the session. After an error the transaction
// may hold part of it: the caller rolls back, to a savepoint or altogether.
func (r *session) second(ctx context.Context, ref Ref) (Outcome, error) {
	out := Outcome{ID: ref.ID, At: r.now}
	it, err := open(ctx, r.tx, ref, indicator.PendingSecond)
	if err != nil {
		return out, err
	}
	err = r.mayRelease(ctx, &it, indicator.KindSecond)
	if err != nil {
		return out, err
	}
	return r.publish(ctx, &it, indicator.KindSecond, out)
}

// publish sends an item that may be released to those targets that may have it,
// by a decision of this kind.
func (r *session) publish(ctx context.Context, it *indicator.Item, kind string, out Outcome) (Outcome, error) {
	var err error
	out.Released, err = r.judge(ctx, it, &out)
	if err != nil {
		return out, err
	}
	if len(out.Released) == 0 {
		return out, fmt.Errorf("%w: %s", ErrNoTarget, reasons(out.Refused))
	}
	h, err := r.handling(ctx, it)
	if err != nil {
		return out, err
	}
	m, err := r.marks(it.Handling, h)
	if err != nil {
		return out, fmt.Errorf("%w: %w", errObject, err)
	}
	x, body, err := r.d.object(it, h, m.refs, r.now)
	if err != nil {
		return out, fmt.Errorf("%w: %w", errObject, err)
	}
	err = r.d.decide(ctx, r.tx, r.acct, it.ID, kind, indicator.Approve, r.reason)
	if err != nil {
		return out, err
	}
	err = r.fix(ctx, it.ID, out.Released)
	if err != nil {
		return out, err
	}
	for _, to := range []indicator.State{indicator.PendingSecond, indicator.Approved, indicator.Released} {
		if it.State == to {
			continue
		}
		err = indicator.Move(ctx, r.tx, it, to, r.acct.Login, r.reason)
		if err != nil {
			return out, err
		}
	}
	r.shelf.add(x, body, out.Released)
	return out, r.beside(ctx, it, h, x, out.Released)
}

// mayRelease checks validity, people and findings.
func (r *session) mayRelease(ctx context.Context, it *indicator.Item, kind string) error {
	if !milli(it.ValidUntil).After(r.now) {
		return fmt.Errorf("%w: %s was valid until %s", ErrState, it.ID, it.ValidUntil.Format(time.RFC3339))
	}
	ev, err := duties(ctx, r.tx, it, r.acct, kind)
	if err != nil {
		return err
	}
	return stopped(ctx, r.tx, it.ID, ev.Decisions)
}

// judge gives the targets that may receive the item and notes in out why the
// others may not. An item that waits is judged as what this act makes of it: an
// approved one.
func (r *session) judge(ctx context.Context, it *indicator.Item, out *Outcome) (ok []Target, err error) {
	h, err := r.handling(ctx, it)
	if err != nil {
		return nil, err
	}
	o := decision.Of(it, h, true)
	if it.Released.IsZero() {
		o.State = indicator.Approved
	}
	ok, out.Refused = judge(o, r.targets, r.providers, r.now)
	if len(ok) == 0 {
		return nil, nil
	}
	o.Authority, err = decision.Authorized(ctx, r.tx, it.Number, r.now)
	if err != nil || o.Authority {
		return ok, err
	}
	ok, out.Refused = judge(o, r.targets, r.providers, r.now)
	return ok, nil
}

// handling gives what an item's markings combine to. All are read at once, and
// again when one is new.
func (r *session) handling(ctx context.Context, it *indicator.Item) (marking.Handling, error) {
	h, ok := r.handlings[it.Handling]
	if ok {
		return h, nil
	}
	all, err := decision.Handlings(ctx, r.tx)
	if err != nil {
		return h, err
	}
	r.handlings = all
	return all[it.Handling], nil
}

// fix writes down where the approval sends the item.
func (r *session) fix(ctx context.Context, id contract.ID, to []Target) error {
	for _, t := range to {
		_, err := r.tx.ExecContext(ctx, `INSERT INTO target (item, provider, services) VALUES ($1, $2, $3)
			ON CONFLICT (item, provider) DO UPDATE SET services = target.services | excluded.services`,
			id.String(), t.Provider, int64(t.Services))
		if err != nil {
			return fmt.Errorf("release: targets: %w", err)
		}
	}
	return nil
}

func reasons(refused []Refused) string {
	if len(refused) == 0 {
		return "no target was named"
	}
	var out []string
	for _, r := range refused {
		out = append(out, r.Provider+" ("+r.Services.String()+"): "+r.Reason)
	}
	return strings.Join(out, "; ")
}

// Recall takes a released item out of force at every provider that has it in
// its log. It outranks every queue: waiting nodes are woken at once, and bulk
// releases let it through between their portions. A release authority, a
// privacy officer or an analyst may recall, and an officer of a source that
// named the item.
func (d *Desk) Recall(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	var where []string
	err := d.act(ctx, acct, reason, recallers, func(tx *sql.Tx, reason string) error {
		s := newShelf(d.clock.now())
		var err error
		where, err = d.recall(ctx, tx, s, acct, ref, reason)
		if err != nil {
			return err
		}
		return s.flush(ctx, tx)
	})
	if err != nil {
		return err
	}
	for _, p := range where {
		d.bell.ring(p)
	}
	return nil
}

var recallers = []string{roleAuthority, rolePrivacy, roleAnalyst, roleOfficer}

func (d *Desk) recall(ctx context.Context, tx *sql.Tx, s *shelf, acct signin.Account, ref Ref, reason string) (where []string, err error) {
	it, err := open(ctx, tx, ref, indicator.Released, indicator.InForce)
	if err != nil {
		return nil, err
	}
	if !acct.Any(roleAuthority, rolePrivacy, roleAnalyst) {
		own, err := owns(ctx, tx, acct, it.ID)
		if err != nil {
			return nil, err
		}
		if !own {
			return nil, fmt.Errorf("%w: an officer recalls what the own source named", ErrRole)
		}
	}
	return d.revoke(ctx, tx, s, acct, &it, reason)
}

// revoke takes an item out of force wherever it is.
func (d *Desk) revoke(ctx context.Context, tx *sql.Tx, s *shelf, acct signin.Account, it *indicator.Item, reason string) (where []string, err error) {
	x, body, err := nextVersion(ctx, tx, it.ID, s.now, revoked)
	if err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT DISTINCT provider FROM delivery WHERE item = $1 AND remove_seq = 0 ORDER BY provider`, it.ID.String())
	if err != nil {
		return nil, fmt.Errorf("release: recall: %w", err)
	}
	where, err = texts(rows)
	if err != nil {
		return nil, err
	}
	err = d.decide(ctx, tx, acct, it.ID, indicator.KindRecall, indicator.KindRecall, reason)
	if err != nil {
		return nil, err
	}
	err = indicator.Move(ctx, tx, it, indicator.Revoked, acct.Login, reason)
	if err != nil {
		return nil, err
	}
	s.remove(x, body, where)
	return where, nil
}

func texts(rows *sql.Rows) ([]string, error) {
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		err := rows.Scan(&s)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// living are the states out of which validity can run.
var living = func() (out []indicator.State) {
	for _, s := range indicator.States {
		if indicator.CanMove(s, indicator.Expired) {
			out = append(out, s)
		}
	}
	return out
}()

// Expire moves what is past valid_until to EXPIRED, in portions, and counts it.
// No log entry is needed: both houses drop an indicator by their own clock.
func (d *Desk) Expire(ctx context.Context) (int, error) {
	total := 0
	for {
		n, err := d.expireSome(ctx)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

func (d *Desk) expireSome(ctx context.Context) (int, error) {
	now := d.clock.now()
	marks := make([]string, len(living))
	args := []any{sqldb.Time(now), int64(portion)}
	for i, s := range living {
		args = append(args, string(s))
		marks[i] = fmt.Sprintf("$%d", len(args))
	}
	// Of the state a value is made, so that planners take the index of what is due
	// and do not read millions of living items by their states, every second.
	rows, err := d.db.QueryContext(ctx, `SELECT id FROM item WHERE (state || '') IN (`+strings.Join(marks, ",")+
		`) AND ended = 0 AND valid_until <= $1 ORDER BY valid_until LIMIT $2`, args...)
	if err != nil {
		return 0, fmt.Errorf("release: expire: %w", err)
	}
	ids, err := texts(rows)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	done := 0
	err = d.db.Write(ctx, func(tx *sql.Tx) error {
		done = 0
		for _, text := range ids {
			id, err := contract.ParseID(text)
			if err != nil {
				return err
			}
			it, err := indicator.Get(ctx, tx, id)
			if err != nil {
				return err
			}
			if it.ValidUntil.After(now) || !slices.Contains(living, it.State) {
				continue // changed meanwhile
			}
			err = indicator.Move(ctx, tx, &it, indicator.Expired, "system", "past valid_until")
			if errors.As(err, new(*indicator.GuardError)) {
				continue // that clock is behind this one: the next tick finds it
			}
			if err != nil {
				return err
			}
			done++
		}
		return nil
	})
	return done, err
}
