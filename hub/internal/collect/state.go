package collect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ecs/internal/sqldb"
)

// State says how a feed is doing, for people.
type State struct {
	Source     string        `json:"source"`
	Name       string        `json:"name"`
	Kind       string        `json:"kind"`
	Host       string        `json:"host"` // of its URL; the rest may be confidential
	Interval   time.Duration `json:"interval"`
	Running    bool          `json:"running"`    // being polled by this hub
	LastTry    time.Time     `json:"last_try"`   // zero: never
	LastOK     time.Time     `json:"last_ok"`    // zero: never
	LastError  string        `json:"last_error"` // of the last try, empty when it went well
	NextTry    time.Time     `json:"next_try"`   // zero: at once
	Failures   int64         `json:"failures"`   // in a row
	Deliveries int64         `json:"deliveries"` // pages, events and files, so far
	Items      int64         `json:"items"`      // in them
	ReadUpTo   string        `json:"read_up_to"` // taxii: date_added of the newest object that is here
}

// row is a row of table feed.
type row struct {
	target, position, etag, changed string
	lastTry, lastOK, nextTry        time.Time
	lastError                       string
	failures, deliveries, items     int64
}

// errMoved says that another hub of this database reads the same feed.
var errMoved = errors.New("another hub is reading this feed")

// load reads how far a feed is. What was read from another target does not count.
func load(ctx context.Context, q sqldb.Querier, f *Feed) (row, error) {
	var r row
	var try, ok, next int64
	err := q.QueryRowContext(ctx, `SELECT target, position, etag, changed, last_try, last_ok, last_error, next_try, failures, deliveries, items
		FROM feed WHERE source = $1 AND name = $2`, f.Source, f.Name).
		Scan(&r.target, &r.position, &r.etag, &r.changed, &try, &ok, &r.lastError, &next, &r.failures, &r.deliveries, &r.items)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, nil
	}
	if err != nil {
		return r, fmt.Errorf("collect: feed %s of %s: %w", f.Name, f.Source, err)
	}
	r.lastTry, r.lastOK, r.nextTry = sqldb.FromTime(try), sqldb.FromTime(ok), sqldb.FromTime(next)
	return r, nil
}

// claim takes a feed for a poll that is due (or wanted now) and gives its state;
// ok is false when it is not due, or another hub has just taken it. A hub that dies
// leaves it until the lease ends.
func claim(ctx context.Context, db *sqldb.DB, f *Feed, now time.Time, force bool) (r row, ok bool, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		ok = false
		_, err := tx.ExecContext(ctx, `INSERT INTO feed (source, name, target) VALUES ($1, $2, $3) ON CONFLICT (source, name) DO NOTHING`,
			f.Source, f.Name, f.target())
		if err != nil {
			return err
		}
		r, err = load(ctx, tx, f)
		if err != nil {
			return err
		}
		if r.target != f.target() {
			r = row{target: f.target(), deliveries: r.deliveries, items: r.items}
			err = forget(ctx, tx, f)
			if err != nil {
				return err
			}
		}
		if !force && r.nextTry.After(now) {
			return nil
		}
		ok = true
		_, err = tx.ExecContext(ctx, `UPDATE feed SET last_try = $3, next_try = $4 WHERE source = $1 AND name = $2`,
			f.Source, f.Name, sqldb.Time(now), sqldb.Time(now.Add(lease)))
		return err
	})
	if err != nil {
		err = fmt.Errorf("collect: claim feed %s of %s: %w", f.Name, f.Source, err)
	}
	return r, ok, err
}

// forget makes a feed new, because it is read from somewhere else now.
func forget(ctx context.Context, tx *sql.Tx, f *Feed) error {
	_, err := tx.ExecContext(ctx, `UPDATE feed SET target = $3, position = '', etag = '', changed = '', last_ok = 0, last_error = '', next_try = 0, failures = 0
		WHERE source = $1 AND name = $2`, f.Source, f.Name, f.target())
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM feed_event WHERE source = $1 AND name = $2`, f.Source, f.Name)
	return err
}

// progress is what one committed delivery changes.
type progress struct {
	deliveries int64 // 1, or 0 when only the position moves
	items      int64
	position   string // taxii; "" leaves it
	event      string // misp; "" for none
	version    int64  // of the event
	valid      bool   // http: etag and changed are the file's
	etag       string
	changed    string
}

// advance stores progress, and keeps the feed for another lease. It fails with
// errMoved when somebody else has advanced it meanwhile.
func advance(ctx context.Context, db *sqldb.DB, f *Feed, r *row, p progress, now time.Time) error {
	next := *r
	if p.position != "" {
		next.position = p.position
	}
	if p.valid {
		next.etag, next.changed = p.etag, p.changed
	}
	next.deliveries += p.deliveries
	next.items += p.items
	err := db.Write(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE feed SET position = $3, etag = $4, changed = $5, next_try = $6, deliveries = $7, items = $8
			WHERE source = $1 AND name = $2 AND target = $9 AND position = $10 AND deliveries = $11`,
			f.Source, f.Name, next.position, next.etag, next.changed, sqldb.Time(now.Add(lease)), next.deliveries, next.items,
			r.target, r.position, r.deliveries)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil {
			return err
		}
		if n != 1 {
			return errMoved
		}
		if p.event == "" {
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO feed_event (source, name, event, version) VALUES ($1, $2, $3, $4)
			ON CONFLICT (source, name, event) DO UPDATE SET version = $4`, f.Source, f.Name, p.event, p.version)
		return err
	})
	if err != nil {
		return fmt.Errorf("collect: feed %s of %s: %w", f.Name, f.Source, err)
	}
	*r = next
	return nil
}

// finish stores how a poll ended, and when the next is due.
func finish(ctx context.Context, db *sqldb.DB, f *Feed, r *row) error {
	err := db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE feed SET etag = $3, changed = $4, last_ok = $5, last_error = $6, next_try = $7, failures = $8
			WHERE source = $1 AND name = $2 AND target = $9`,
			f.Source, f.Name, r.etag, r.changed, sqldb.Time(r.lastOK), r.lastError, sqldb.Time(r.nextTry), r.failures, r.target)
		return err
	})
	if err != nil {
		return fmt.Errorf("collect: feed %s of %s: %w", f.Name, f.Source, err)
	}
	return nil
}

// events reads which events of a MISP feed are here, by UUID.
func events(ctx context.Context, q sqldb.Querier, f *Feed) (map[string]int64, error) {
	rows, err := q.QueryContext(ctx, `SELECT event, version FROM feed_event WHERE source = $1 AND name = $2`, f.Source, f.Name)
	if err != nil {
		return nil, fmt.Errorf("collect: events of feed %s of %s: %w", f.Name, f.Source, err)
	}
	defer func() { _ = rows.Close() }()
	have := map[string]int64{}
	for rows.Next() {
		var id string
		var version int64
		err = rows.Scan(&id, &version)
		if err != nil {
			return nil, err
		}
		have[id] = version
	}
	return have, rows.Err()
}

// dropEvents forgets events that the feed no longer names.
func dropEvents(ctx context.Context, db *sqldb.DB, f *Feed, gone []string) error {
	if len(gone) == 0 {
		return nil
	}
	err := db.Write(ctx, func(tx *sql.Tx) error {
		for _, id := range gone {
			_, err := tx.ExecContext(ctx, `DELETE FROM feed_event WHERE source = $1 AND name = $2 AND event = $3`, f.Source, f.Name, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("collect: events of feed %s of %s: %w", f.Name, f.Source, err)
	}
	return nil
}
