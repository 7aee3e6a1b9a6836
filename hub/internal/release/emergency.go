package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Bounds of an emergency release (docs/program.md 4c).
const (
	EmergencyLife = 4 * time.Hour // it is in force at most so long, ratified or not
	RatifyWithin  = time.Hour     // or it is recalled by itself
)

// system is who recalls what nobody ratified.
var system = signin.Account{Login: "system", Person: "system"}

// Emergency lets one release authority release an item that waits for its first
// approval, for life (at most [EmergencyLife]). A second person has to ratify it
// within [RatifyWithin]. Privacy determination, technical stops, separation of
// duties and the limits of targets hold as for any release.
func (d *Desk) Emergency(ctx context.Context, acct signin.Account, ref Ref, reason string, targets []Target, life time.Duration) (Outcome, error) {
	if life < time.Minute || life > EmergencyLife {
		return Outcome{}, fmt.Errorf("%w: not %s", ErrLife, life)
	}
	return d.releasing(ctx, acct, reason, targets, func(r *session) (Outcome, error) { return r.emergency(ctx, ref, life) })
}

func (r *session) emergency(ctx context.Context, ref Ref, life time.Duration) (Outcome, error) {
	out := Outcome{ID: ref.ID, At: r.now}
	it, err := open(ctx, r.tx, ref, indicator.PendingFirst)
	if err != nil {
		return out, err
	}
	err = r.mayRelease(ctx, &it, indicator.KindEmergency)
	if err != nil {
		return out, err
	}
	end := r.now.Add(life).Truncate(time.Microsecond)
	if end.Before(it.ValidUntil) {
		it.ValidUntil = end
	}
	out, err = r.publish(ctx, &it, indicator.KindEmergency, out)
	if err != nil {
		return out, err
	}
	return out, audit.Append(ctx, r.tx, r.acct.Login, "item.emergency", it.ID.String(),
		map[string]any{"until": it.ValidUntil, "ratify_before": r.now.Add(RatifyWithin), "reason": r.reason})
}

// Ratify is the second person's word on an emergency release: an analyst or a
// release authority who had no other part in the item. It comes in time, or the
// item is recalled; the end of its validity stays.
func (d *Desk) Ratify(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return d.act(ctx, acct, reason, []string{roleAnalyst, roleAuthority}, func(tx *sql.Tx, reason string) error {
		it, err := open(ctx, tx, ref, indicator.Released, indicator.InForce)
		if err != nil {
			return err
		}
		err = mayStart(ctx, tx, acct)
		if err != nil {
			return err
		}
		given, done, err := emergencyOf(ctx, tx, it.ID)
		switch {
		case err != nil:
			return err
		case given.IsZero() || done:
			return fmt.Errorf("%w: nothing is left to ratify on %s", ErrState, it.ID)
		case !d.clock.now().Before(given.Add(RatifyWithin)):
			return fmt.Errorf("%w: the hour for ratifying %s is over and it is being recalled", ErrState, it.ID)
		}
		_, err = duties(ctx, tx, &it, acct, indicator.KindRatify)
		if err != nil {
			return err
		}
		err = d.decide(ctx, tx, acct, it.ID, indicator.KindRatify, indicator.Approve, reason)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, acct.Login, "item.ratify", it.ID.String(), map[string]any{"reason": reason})
	})
}

// emergencyOf tells when an item was released in an emergency, zero if it was
// not, and whether that has been ratified.
func emergencyOf(ctx context.Context, q sqldb.Querier, id contract.ID) (given time.Time, done bool, err error) {
	ds, err := indicator.Decisions(ctx, q, id)
	for _, x := range ds {
		switch x.Kind {
		case indicator.KindEmergency:
			given = x.At
		case indicator.KindRatify:
			done = true
		}
	}
	return given, done, err
}

// ratified refuses to send an emergency release further before its second person.
func ratified(ctx context.Context, q sqldb.Querier, id contract.ID) error {
	given, done, err := emergencyOf(ctx, q, id)
	if err == nil && !given.IsZero() && !done {
		err = fmt.Errorf("%w: the emergency release of %s is not ratified yet", ErrState, id)
	}
	return err
}

// recallUnratified recalls emergency releases whose hour has passed.
func (d *Desk) recallUnratified(ctx context.Context) error {
	rows, err := d.db.QueryContext(ctx, `SELECT e.item FROM decision e WHERE e.kind = 'emergency' AND e.at <= $1
		AND (SELECT i.state FROM item i WHERE i.id = e.item) IN ($2, $3)
		AND NOT EXISTS (SELECT 1 FROM decision r WHERE r.item = e.item AND r.kind = 'ratify') ORDER BY e.at LIMIT 100`,
		sqldb.Time(d.clock.now().Add(-RatifyWithin)), string(indicator.Released), string(indicator.InForce))
	if err != nil {
		return err
	}
	ids, err := texts(rows)
	if err != nil {
		return err
	}
	for _, text := range ids {
		err = d.recallOne(ctx, text)
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) recallOne(ctx context.Context, text string) error {
	id, err := contract.ParseID(text)
	if err != nil {
		return err
	}
	var where []string
	err = d.db.Write(ctx, func(tx *sql.Tx) error {
		it, err := open(ctx, tx, Ref{ID: id}, indicator.Released, indicator.InForce)
		if err != nil {
			return err
		}
		err = ratified(ctx, tx, id)
		if err == nil || !errors.Is(err, ErrState) {
			return err // ratified in the last moment
		}
		s := newShelf(d.clock.now())
		where, err = d.revoke(ctx, tx, s, system, &it, "nobody ratified the emergency release within the hour")
		if err != nil {
			return err
		}
		return s.flush(ctx, tx)
	})
	if errors.Is(err, ErrState) {
		return nil // recalled by somebody, or ended, meanwhile
	}
	for _, p := range where {
		d.bell.ring(p)
	}
	return err
}
