package sighting

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Sighting is one row: an indicator seen at a customer, merged over an hour.
type Sighting struct {
	ID        int64
	Service   contract.Services
	Indicator contract.ID
	Category  contract.Category
	Customer  int32
	Action    contract.Action
	Client    string
	Peer      string
	What      string
	Count     int64
	First     time.Time
	Last      time.Time
	Verdict   string // "", "true", "false"
	Notice    string // state of the notice that tells of it, or nothing
}

// Filter picks sightings, newest first. Zero fields pick all.
type Filter struct {
	Customer  int32
	Service   contract.Services
	Indicator contract.ID
	Unjudged  bool  // only those without a verdict
	Before    int64 // only identifiers below
	Limit     int   // 100 when zero
}

// List gives sightings.
func List(ctx context.Context, q sqldb.Querier, f Filter) ([]Sighting, error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	indicator := ""
	if !f.Indicator.IsZero() {
		indicator = f.Indicator.String()
	}
	rows, err := q.QueryContext(ctx, `SELECT s.id, s.service, s.indicator, s.category, s.customer, s.action, s.client, s.peer, s.what,
			s.count, s.first, s.last, s.verdict, coalesce(n.state, '')
		FROM sighting s LEFT JOIN notice n ON n.id = s.notice
		WHERE ($1 = 0 OR s.customer = $1) AND ($2 = 0 OR s.service = $2) AND ($3 = '' OR s.indicator = $3)
			AND ($4 = 0 OR s.id < $4) AND (NOT $5 OR s.verdict = '')
		ORDER BY s.id DESC LIMIT $6`, f.Customer, f.Service, indicator, f.Before, f.Unjudged, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("sighting: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Sighting
	for rows.Next() {
		var s Sighting
		var id string
		var first, last int64
		err = rows.Scan(&s.ID, &s.Service, &id, &s.Category, &s.Customer, &s.Action, &s.Client, &s.Peer, &s.What,
			&s.Count, &first, &last, &s.Verdict, &s.Notice)
		if err != nil {
			return nil, fmt.Errorf("sighting: %w", err)
		}
		s.Indicator, err = contract.ParseID(id)
		if err != nil {
			return nil, fmt.Errorf("sighting: %w", err)
		}
		s.First, s.Last = sqldb.FromTime(first), sqldb.FromTime(last)
		out = append(out, s)
	}
	return out, rows.Err()
}

// Errors that an operator can act on.
var (
	ErrUnknown = errors.New("no such sighting")
	ErrVerdict = errors.New("a verdict is true, false or nothing")
)

// Judge records an operator's verdict: whether the match was right ("true") or
// a false positive ("false"). Confirmed false positives are counted in feedback.
func Judge(ctx context.Context, db *sqldb.DB, login string, id int64, verdict string) error {
	if verdict != "true" && verdict != "false" && verdict != "" {
		return ErrVerdict
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		var indicator string
		err := tx.QueryRowContext(ctx, `UPDATE sighting SET verdict = $1 WHERE id = $2 RETURNING indicator`, verdict, id).Scan(&indicator)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, login, "sighting.judge", indicator, map[string]any{"sighting": id, "verdict": verdict})
	})
}

// Forget deletes sightings last seen before a moment and reports how many.
// Sightings that an open notice tells of stay.
func Forget(ctx context.Context, db *sqldb.DB, before time.Time) (int64, error) {
	var n int64
	err := db.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM sighting WHERE last < $1 AND notice NOT IN
			(SELECT id FROM notice WHERE state IN ('QUEUED', 'DISPATCHED'))`, sqldb.Time(before))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}
