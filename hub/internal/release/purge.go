package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Terms of a purge (docs/program.md, C15).
const (
	PurgeLive    = 72 * time.Hour      // for the live systems of a provider
	PurgeBackups = 30 * 24 * time.Hour // for its backups
	// RetentionEvery is how often what has reached its disposition date is looked for.
	RetentionEvery = time.Hour
)

// Causes of a purge.
const (
	ByDisposition = "disposition"
	ByOrder       = "order"
)

// Purge orders that nothing of an item is left but its tombstone: by a privacy
// officer. What is in force is recalled at once; what waits is rejected; the content
// goes here as soon as no provider can have it in force any more, and each provider
// that was handed it has to attest that it is gone there ([Desk.Attest]).
func (d *Desk) Purge(ctx context.Context, acct signin.Account, ref Ref, why Why) error {
	ctx, text, err := because(ctx, indicator.KindRecall, why)
	if err != nil {
		return err
	}
	var where []string
	err = d.act(ctx, acct, text, []string{rolePrivacy}, func(tx *sql.Tx, reason string) error {
		it, err := indicator.Get(ctx, tx, ref.ID)
		if err != nil {
			return err
		}
		if ref.Version != 0 && ref.Version != it.Version {
			return fmt.Errorf("%w (%s)", ErrVersion, ref.ID)
		}
		if it.State == indicator.Purged {
			return indicator.ErrPurged
		}
		where, err = d.order(ctx, tx, acct, &it, ByOrder, reason)
		return err
	})
	for _, p := range where {
		d.bell.ring(p)
	}
	return err
}

// order writes a purge down, takes the item out of force and purges it if that can be
// done now. It gives the providers to be woken.
func (d *Desk) order(ctx context.Context, tx *sql.Tx, acct signin.Account, it *indicator.Item, cause, reason string) ([]string, error) {
	now := d.clock.now()
	res, err := tx.ExecContext(ctx, `INSERT INTO purge (item, cause, login, reason, ordered) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (item) DO NOTHING`,
		it.ID.String(), cause, acct.Login, reason, sqldb.Time(now))
	if err != nil {
		return nil, fmt.Errorf("release: order a purge: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: the purge of %s is ordered already", ErrState, it.ID)
	}
	err = audit.Append(ctx, tx, acct.Login, "item.purge-ordered", it.ID.String(), map[string]any{"cause": cause, "reason": reason})
	if err != nil {
		return nil, err
	}
	where, err := d.takeOut(ctx, tx, acct, it, reason)
	if err != nil {
		return nil, err
	}
	err = d.purgeTasks(ctx, tx, it, now)
	if err != nil {
		return nil, err
	}
	_, err = d.bury(ctx, tx, it, acct.Login, reason)
	return where, err
}

// takeOut ends an item, whatever state it is in.
func (d *Desk) takeOut(ctx context.Context, tx *sql.Tx, acct signin.Account, it *indicator.Item, reason string) ([]string, error) {
	switch {
	case it.State.Ended(), it.State == indicator.PrivacyGate:
		return nil, nil
	case it.State == indicator.Released || it.State == indicator.InForce:
		s := newShelf(d.clock.now())
		where, err := d.revoke(ctx, tx, s, acct, it, reason)
		if err != nil {
			return nil, err
		}
		return where, s.flush(ctx, tx)
	default:
		return nil, indicator.Move(ctx, tx, it, indicator.Rejected, acct.Login, reason)
	}
}

// purgeTasks asks each provider that was handed the item to attest that it is gone.
func (d *Desk) purgeTasks(ctx context.Context, tx *sql.Tx, it *indicator.Item, now time.Time) error {
	rows, err := tx.QueryContext(ctx, `SELECT DISTINCT provider FROM delivery WHERE item = $1 AND (delivered > 0 OR loaded > 0) ORDER BY provider`, it.ID.String())
	if err != nil {
		return fmt.Errorf("release: who had %s: %w", it.ID, err)
	}
	where, err := texts(rows)
	if err != nil {
		return err
	}
	for _, p := range where {
		_, err = tx.ExecContext(ctx, `INSERT INTO purge_task (provider, item, tlp, due) VALUES ($1, $2, $3, $4) ON CONFLICT (provider, item) DO NOTHING`,
			p, it.ID.String(), int64(it.TLP), sqldb.Time(now.Add(PurgeLive)))
		if err != nil {
			return fmt.Errorf("release: purge task of %s: %w", p, err)
		}
		for kind, term := range map[string]time.Duration{ClockPurgeLive: PurgeLive, ClockPurgeBackups: PurgeBackups} {
			// One clock a provider: that of the oldest task that is open.
			_, err = tx.ExecContext(ctx, `INSERT INTO clock (subject, kind, owner, started, due) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (subject, kind, owner) DO UPDATE SET started = excluded.started, due = excluded.due, raised = 0, closed = 0 WHERE clock.closed > 0`,
				p, kind, roleSecurity+"/"+p, sqldb.Time(now), sqldb.Time(now.Add(term)))
			if err != nil {
				return fmt.Errorf("release: clock: %w", err)
			}
		}
	}
	return nil
}

// bury purges an item here, if no provider can have it in force any more.
func (d *Desk) bury(ctx context.Context, tx *sql.Tx, it *indicator.Item, login, reason string) (bool, error) {
	err := indicator.Move(ctx, tx, it, indicator.Purged, login, reason)
	if errors.As(err, new(*indicator.GuardError)) {
		return false, nil // not all have confirmed the removal: the next tick tries again
	}
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE purge SET done = $2 WHERE item = $1`, it.ID.String(), sqldb.Time(d.clock.now()))
	if err != nil {
		return false, fmt.Errorf("release: purge %s: %w", it.ID, err)
	}
	return true, nil
}

// purgeAll does what is left to do of ordered purges, runs the retention job when its
// time has come, and notes what nobody attested in time.
func (d *Desk) purgeAll(ctx context.Context) error {
	rows, err := d.db.QueryContext(ctx, `SELECT item FROM purge WHERE done = 0 ORDER BY ordered LIMIT 1000`)
	if err != nil {
		return fmt.Errorf("release: open purges: %w", err)
	}
	ids, err := texts(rows)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(ids, portion) {
		err = d.db.Write(ctx, func(tx *sql.Tx) error { return d.burySome(ctx, tx, some) })
		if err != nil {
			return err
		}
	}
	now := d.clock.now()
	d.mu.Lock()
	due := now.Sub(d.retained) >= RetentionEvery
	if due {
		d.retained = now
	}
	d.mu.Unlock()
	if !due {
		return nil
	}
	_, err = d.Retention(ctx, false)
	if err != nil {
		return err
	}
	return d.unattested(ctx)
}

func (d *Desk) burySome(ctx context.Context, tx *sql.Tx, ids []string) error {
	for _, text := range ids {
		id, err := contract.ParseID(text)
		if err != nil {
			return err
		}
		it, err := indicator.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		_, err = d.bury(ctx, tx, &it, "system", "ordered purge")
		if err != nil {
			return err
		}
	}
	return nil
}

// RetentionLine is what has reached its disposition date under one handling.
type RetentionLine struct {
	Handling    string
	Disposition time.Time
	How         []string
	State       indicator.State // of items; empty: objects of sources
	N           int64
}

// Retained is the report of the retention job.
type Retained struct {
	At      time.Time
	Dry     bool // nothing was done
	Due     []RetentionLine
	Ordered int   // items whose purge was ordered by this run
	Objects int64 // objects of sources that were emptied
}

// Retention purges what has reached the disposition date of its markings (M3). A dry
// run only reports what it would do. Nothing but date and markings decides; a person
// can order a purge earlier ([Desk.Purge]) and nobody can put one off here: a new
// marking of the source does.
func (d *Desk) Retention(ctx context.Context, dry bool) (Retained, error) {
	out := Retained{At: d.clock.now(), Dry: dry}
	all, err := indicator.Handlings(ctx, d.db)
	if err != nil {
		return out, err
	}
	for n, text := range all {
		h, err := marking.ParseHandling(text)
		if err != nil {
			continue // what cannot be read denies every use, and names no date
		}
		at, how := h.Disposition()
		if at.IsZero() || out.At.Before(at) {
			continue
		}
		err = d.retain(ctx, n, RetentionLine{Handling: text, Disposition: at, How: how}, &out)
		if err != nil {
			return out, err
		}
	}
	slices.SortFunc(out.Due, func(a, b RetentionLine) int { return a.Disposition.Compare(b.Disposition) })
	return out, nil
}

func (d *Desk) retain(ctx context.Context, handling int64, line RetentionLine, out *Retained) error {
	for _, s := range indicator.States {
		if s == indicator.Purged {
			continue
		}
		var n int64
		err := d.db.QueryRowContext(ctx, `SELECT coalesce(sum(n), 0) FROM item_count WHERE state = $1 AND handling = $2`, string(s), handling).Scan(&n)
		if err != nil {
			return fmt.Errorf("release: retention: %w", err)
		}
		if n == 0 {
			continue
		}
		line.State, line.N = s, n
		out.Due = append(out.Due, line)
		if out.Dry {
			continue
		}
		done, err := d.orderAll(ctx, handling, s)
		out.Ordered += done
		if err != nil {
			return err
		}
	}
	var n int64
	err := d.db.QueryRowContext(ctx, `SELECT count(*) FROM source_object WHERE handling = $1 AND body <> ''`, handling).Scan(&n)
	if err != nil || n == 0 {
		return err
	}
	line.State, line.N = "", n
	out.Due = append(out.Due, line)
	if out.Dry {
		return nil
	}
	out.Objects += n
	return d.db.Write(ctx, func(tx *sql.Tx) error {
		err := forget(ctx, tx, `handling = $1`, handling)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, "system", "object.purge", line.Disposition.Format(time.DateOnly), map[string]any{"objects": n, "cause": ByDisposition})
	})
}

// forget leaves of objects of sources nothing but which they were.
func forget(ctx context.Context, tx *sql.Tx, where string, arg int64) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM object_ref WHERE object IN (SELECT number FROM source_object WHERE `+where+`)`, arg)
	if err == nil {
		_, err = tx.ExecContext(ctx, `UPDATE source_object SET body = '', name = '' WHERE `+where, arg)
	}
	if err != nil {
		return fmt.Errorf("release: purge objects: %w", err)
	}
	return nil
}

func (d *Desk) orderAll(ctx context.Context, handling int64, s indicator.State) (int, error) {
	total := 0
	for {
		rows, err := d.db.QueryContext(ctx, `SELECT id FROM item WHERE state = $1 AND handling = $2
			AND NOT EXISTS (SELECT 1 FROM purge p WHERE p.item = item.id) ORDER BY number LIMIT $3`, string(s), handling, int64(portion))
		if err != nil {
			return total, fmt.Errorf("release: retention: %w", err)
		}
		ids, err := texts(rows)
		if err != nil || len(ids) == 0 {
			return total, err
		}
		wake := map[string]bool{}
		err = d.db.Write(ctx, func(tx *sql.Tx) error {
			for _, text := range ids {
				id, err := contract.ParseID(text)
				if err != nil {
					return err
				}
				it, err := indicator.Get(ctx, tx, id)
				if err != nil {
					return err
				}
				where, err := d.order(ctx, tx, system, &it, ByDisposition, "the disposition date of its markings has come")
				if err != nil {
					return err
				}
				for _, p := range where {
					wake[p] = true
				}
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		for p := range wake {
			d.bell.ring(p)
		}
		total += len(ids)
	}
}
