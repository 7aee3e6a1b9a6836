package release

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Kinds of clocks that run for somebody.
const (
	ClockTearLine     = "tear-line"
	ClockPurgeLive    = "purge-live"    // attestation for live systems
	ClockPurgeBackups = "purge-backups" // and for backups
)

// Clock is a term that somebody has to keep. Past its end it is raised, once, and
// stays so until what it waits for is done; it never does anything itself.
type Clock struct {
	Subject string // identifier of an item, or a provider's short name
	Kind    string
	Owner   string // role that has to act, with its scope: gfi_officer/nsa
	Started time.Time
	Due     time.Time
	Raised  time.Time // zero: not yet
}

func start(ctx context.Context, tx *sql.Tx, c Clock) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO clock (subject, kind, owner, started, due) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (subject, kind, owner) DO UPDATE SET started = excluded.started, due = excluded.due, raised = 0, closed = 0`,
		c.Subject, c.Kind, c.Owner, sqldb.Time(c.Started), sqldb.Time(c.Due))
	if err != nil {
		return fmt.Errorf("release: clock: %w", err)
	}
	return nil
}

// stopClocks closes the clocks of a subject; of one owner, or of all when empty.
func stopClocks(ctx context.Context, tx *sql.Tx, subject, kind, owner string, now time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE clock SET closed = $4 WHERE subject = $1 AND kind = $2 AND (owner = $3 OR $3 = '') AND closed = 0`,
		subject, kind, owner, sqldb.Time(now))
	if err != nil {
		return fmt.Errorf("release: clock: %w", err)
	}
	return nil
}

// raise closes the clocks of tear lines that wait no more and raises those that are
// past their end, each with an audit entry.
func (d *Desk) raise(ctx context.Context) error {
	now := d.clock.now()
	late, err := clocks(ctx, d.db, `closed = 0 AND raised = 0 AND due <= $1`, sqldb.Time(now))
	if err != nil || len(late) == 0 {
		return err
	}
	return d.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE clock SET closed = $1 WHERE closed = 0 AND kind = $2 AND EXISTS
			(SELECT 1 FROM item i WHERE i.id = clock.subject AND (i.ended > 0 OR i.released > 0))`, sqldb.Time(now), ClockTearLine)
		if err != nil {
			return err
		}
		late, err := clocks(ctx, tx, `closed = 0 AND raised = 0 AND due <= $1`, sqldb.Time(now))
		if err != nil {
			return err
		}
		for _, c := range late {
			_, err = tx.ExecContext(ctx, `UPDATE clock SET raised = $4 WHERE subject = $1 AND kind = $2 AND owner = $3`, c.Subject, c.Kind, c.Owner, sqldb.Time(now))
			if err == nil {
				err = audit.Append(ctx, tx, "system", "clock.raised", c.Subject, map[string]any{"kind": c.Kind, "owner": c.Owner, "due": c.Due})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Clocks lists the clocks that run, the most urgent first: those with an owner of one
// of these roles, with its scope (gfi_officer/nsa); all when none is named.
func Clocks(ctx context.Context, q sqldb.Querier, owners ...string) ([]Clock, error) {
	all, err := clocks(ctx, q, `closed = 0`)
	if err != nil || len(owners) == 0 {
		return all, err
	}
	var out []Clock
	for _, c := range all {
		for _, o := range owners {
			if c.Owner == o {
				out = append(out, c)
				break
			}
		}
	}
	return out, nil
}

func clocks(ctx context.Context, q sqldb.Querier, where string, args ...any) ([]Clock, error) {
	rows, err := q.QueryContext(ctx, `SELECT subject, kind, owner, started, due, raised FROM clock WHERE `+where+` ORDER BY due, subject, owner LIMIT 1000`, args...)
	if err != nil {
		return nil, fmt.Errorf("release: clocks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Clock
	for rows.Next() {
		var c Clock
		var started, due, raised int64
		err = rows.Scan(&c.Subject, &c.Kind, &c.Owner, &started, &due, &raised)
		if err != nil {
			return nil, err
		}
		c.Started, c.Due, c.Raised = sqldb.FromTime(started), sqldb.FromTime(due), sqldb.FromTime(raised)
		out = append(out, c)
	}
	return out, rows.Err()
}

// tearLineDue gives the end of a tear line's clock.
func tearLineDue(now time.Time, urgent bool) time.Time {
	if urgent {
		return now.Add(indicator.TearLineUrgent)
	}
	return indicator.BusinessDays(now, indicator.TearLineDays)
}
