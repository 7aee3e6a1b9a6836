package indicator

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/internal/sqldb"
)

// Findings reads what the privacy gate and the technical checks found, stops
// first.
func Findings(ctx context.Context, q sqldb.Querier, id contract.ID) ([]Finding, error) {
	rows, err := q.QueryContext(ctx, `SELECT code, severity, detail, at FROM finding WHERE number = (SELECT number FROM item WHERE id = $1)
		ORDER BY CASE severity WHEN 'stop' THEN 0 ELSE 1 END, code, detail`, id.String())
	if err != nil {
		return nil, fmt.Errorf("indicator: findings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Finding
	for rows.Next() {
		f := Finding{Item: id}
		var at int64
		err = rows.Scan(&f.Code, &f.Severity, &f.Detail, &at)
		if err != nil {
			return nil, err
		}
		f.At = sqldb.FromTime(at)
		out = append(out, f)
	}
	return out, rows.Err()
}

// AddFinding records a finding; the same one twice counts once.
func AddFinding(ctx context.Context, tx *sql.Tx, f Finding) error {
	if f.At.IsZero() {
		f.At = time.Now()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO finding (number, code, severity, detail, at)
		SELECT number, $2, $3, $4, $5 FROM item WHERE id = $1 ON CONFLICT (number, code, detail) DO NOTHING`,
		f.Item.String(), f.Code, string(f.Severity), f.Detail, sqldb.Time(f.At))
	if err != nil {
		return fmt.Errorf("indicator: finding: %w", err)
	}
	return nil
}

// Decisions reads what people decided about an item, oldest first.
func Decisions(ctx context.Context, q sqldb.Querier, id contract.ID) ([]Decision, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, kind, verdict, login, person, reason, at, was, became, bulk, undone
		FROM decision WHERE item = $1
		ORDER BY at, id`, id.String())
	if err != nil {
		return nil, fmt.Errorf("indicator: decisions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Decision
	for rows.Next() {
		d := Decision{Item: id}
		var at, undone int64
		err = rows.Scan(&d.ID, &d.Kind, &d.Verdict, &d.Login, &d.Person, &d.Reason, &at, &d.Was, &d.Became, &d.Bulk, &undone)
		if err != nil {
			return nil, err
		}
		d.At, d.Undone = sqldb.FromTime(at), sqldb.FromTime(undone)
		out = append(out, d)
	}
	return out, rows.Err()
}

// AddDecision records what a person decided. It does not move the item and does
// not write to the audit log: the [Move] that follows does both. A decision
// needs a kind, a verdict, a login and a person.
func AddDecision(ctx context.Context, tx *sql.Tx, d Decision) error {
	if d.Item.IsZero() || d.Kind == "" || d.Verdict == "" || d.Login == "" || d.Person == "" {
		return errors.New("indicator: a decision needs its item, kind, verdict, login and person")
	}
	if d.ID == "" {
		id, err := uuid.NewV7() // rises with time, so that decisions of one microsecond keep their order
		if err != nil {
			return err
		}
		d.ID = id.String()
	}
	if d.At.IsZero() {
		d.At = time.Now()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO decision (id, item, kind, verdict, login, person, reason, at, was, became, bulk)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		d.ID, d.Item.String(), d.Kind, d.Verdict, d.Login, d.Person, d.Reason, sqldb.Time(d.At), string(d.Was), string(d.Became), d.Bulk)
	if err != nil {
		return fmt.Errorf("indicator: decision: %w", err)
	}
	return nil
}

// Sources reads each time that a source named the item, oldest first.
func Sources(ctx context.Context, q sqldb.Querier, id contract.ID) ([]Source, error) {
	rows, err := q.QueryContext(ctx, `SELECT s.mention, s.source, b.id, s.place, s.reference, s.credibility, s.confidence,
		s.handling, h.text, s.observed, s.original, s.at FROM item_source s
		JOIN batch b ON b.number = s.batch JOIN handling h ON h.number = s.handling
		WHERE s.number = (SELECT number FROM item WHERE id = $1) ORDER BY s.mention`, id.String())
	if err != nil {
		return nil, fmt.Errorf("indicator: sources: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Source
	for rows.Next() {
		var s Source
		var observed, at int64
		err = rows.Scan(&s.Mention, &s.Source, &s.Batch, &s.Place, &s.Reference, &s.Credibility, &s.Confidence,
			&s.Handling, &s.Marking, &observed, &s.Original, &at)
		if err != nil {
			return nil, err
		}
		s.Observed = sqldb.FromTime(observed)
		s.At = sqldb.FromTime(at)
		out = append(out, s)
	}
	return out, rows.Err()
}
