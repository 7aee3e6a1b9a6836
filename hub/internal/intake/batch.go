package intake

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Batch is one delivery, a row of table batch.
type Batch struct {
	Number    int64     `json:"-"` // of its row
	ID        string    `json:"batch"`
	Source    string    `json:"source"`
	Name      string    `json:"name"`
	Format    string    `json:"format"`
	Mapping   string    `json:"mapping,omitempty"` // how the columns of a sheet were read, JSON
	Digest    string    `json:"digest"`            // SHA-256 of what was read, lower-case hexadecimal
	Bytes     int64     `json:"bytes"`
	Submitter string    `json:"submitter"`
	Received  time.Time `json:"received"`
	Finished  time.Time `json:"finished"` // zero while it is being read
	Position  int64     `json:"items"`    // items committed
	Accepted  int64     `json:"accepted"`
	Duplicate int64     `json:"duplicate"`
	Refused   int64     `json:"refused"`
	Skipped   int64     `json:"skipped"`
	Objects   int64     `json:"objects"`         // STIX objects kept beside the indicators
	Canonical int64     `json:"canonical"`       // indicators whose value was brought into its canonical spelling
	Error     string    `json:"error,omitempty"` // why it was cut short or refused as a whole
}

// done reports that reading the same bytes again would change nothing. One that
// ended with an error is tried again from its position: its cause, such as a
// lapsed authority, may be gone.
func (b *Batch) done() bool { return !b.Finished.IsZero() && b.Error == "" }

func (b *Batch) progress() Progress {
	return Progress{
		Bytes: b.Bytes, Items: b.Position, Accepted: b.Accepted, Duplicate: b.Duplicate,
		Refused: b.Refused, Skipped: b.Skipped, Objects: b.Objects, Canonical: b.Canonical,
	}
}

// ErrNoBatch says that there is no such batch.
var ErrNoBatch = errors.New("no such delivery")

const batchColumns = `number, id, source, name, format, mapping, digest, bytes, submitter, received, finished, position, accepted, duplicate,
	refused, skipped, objects, canonical, error`

func scanBatch(scan func(...any) error) (Batch, error) {
	var b Batch
	var received, finished int64
	err := scan(&b.Number, &b.ID, &b.Source, &b.Name, &b.Format, &b.Mapping, &b.Digest, &b.Bytes, &b.Submitter, &received, &finished,
		&b.Position, &b.Accepted, &b.Duplicate, &b.Refused, &b.Skipped, &b.Objects, &b.Canonical, &b.Error)
	b.Received, b.Finished = sqldb.FromTime(received), sqldb.FromTime(finished)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoBatch
	}
	return b, err
}

// GetBatch reads one delivery. The error wraps [ErrNoBatch] when there is none.
func GetBatch(ctx context.Context, q sqldb.Querier, id string) (Batch, error) {
	b, err := scanBatch(q.QueryRowContext(ctx, `SELECT `+batchColumns+` FROM batch WHERE id = $1`, id).Scan)
	if err != nil {
		return b, fmt.Errorf("intake: delivery %s: %w", id, err)
	}
	return b, nil
}

// Batches reads deliveries, newest first, at most limit (1 to 1000), received
// before a moment when that is not zero. An empty source means all.
func Batches(ctx context.Context, q sqldb.Querier, source string, before time.Time, limit int) ([]Batch, error) {
	return BatchesOf(ctx, q, BatchFilter{Source: source, Before: before, Limit: limit})
}

// BatchFilter selects deliveries. The zero value but for Limit selects all.
type BatchFilter struct {
	ID     string    // this one
	Source string    // of this source
	Before time.Time // received before
	Limit  int       // 1 to 1000
	// Handlings are those that whoever asks is cleared for; nil: all. A delivery is
	// known to them when it brought an indicator or an object under one of these, or
	// when they handed it in themselves. See hub/internal/access.
	Handlings []int64
	Reader    string // login of whoever asks
}

// BatchesOf is [Batches] for a reader who may not know of all.
func BatchesOf(ctx context.Context, q sqldb.Querier, f BatchFilter) ([]Batch, error) {
	known := "1 = 1"
	args := []any{f.Source, sqldb.Time(f.Before), int64(max(1, min(f.Limit, 1000))), f.ID}
	if f.Handlings != nil {
		known = `(submitter = $5
			OR EXISTS (SELECT 1 FROM item_source s JOIN item i ON i.number = s.number WHERE s.batch = batch.number AND ` + indicator.Among("i.handling", f.Handlings) + `)
			OR EXISTS (SELECT 1 FROM source_object o WHERE o.batch = batch.number AND o.held = '' AND ` + indicator.Among("o.handling", f.Handlings) + `))`
		args = append(args, f.Reader)
	}
	rows, err := q.QueryContext(ctx, `SELECT `+batchColumns+` FROM batch
		WHERE ($1 = '' OR source = $1) AND (received < $2 OR $2 = 0) AND ($4 = '' OR id = $4) AND `+known+`
		ORDER BY received DESC, id DESC LIMIT $3`, args...)
	if err != nil {
		return nil, fmt.Errorf("intake: deliveries: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Batch
	for rows.Next() {
		b, err := scanBatch(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}

// Refusals reads the refused items of a delivery behind a number, in order, at
// most limit (1 to 1000).
func Refusals(ctx context.Context, q sqldb.Querier, batch string, after int64, limit int) ([]Refusal, error) {
	rows, err := q.QueryContext(ctx, `SELECT number, place, code, reason, excerpt FROM refusal
		WHERE batch = (SELECT number FROM batch WHERE id = $1) AND number > $2 ORDER BY number LIMIT $3`, batch, after, int64(max(1, min(limit, 1000))))
	if err != nil {
		return nil, fmt.Errorf("intake: refusals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Refusal
	for rows.Next() {
		var r Refusal
		err = rows.Scan(&r.Number, &r.Place, &r.Code, &r.Reason, &r.Excerpt)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// source is what intake needs to know of a row of table source.
type source struct {
	id          string
	until       time.Time
	ceiling     contract.TLP
	reliability string
}

// readSource reads a source and refuses one that may not deliver now (program
// event I1, behaviors S1 and S2).
func readSource(ctx context.Context, q sqldb.Querier, id string) (source, error) {
	s := source{id: id}
	var authority, purpose string
	var until int64
	err := q.QueryRowContext(ctx, `SELECT authority, purpose, authority_until, ceiling, reliability FROM source WHERE id = $1`, id).
		Scan(&authority, &purpose, &until, &s.ceiling, &s.reliability)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s, &Refused{Code: CodeSource, Reason: fmt.Sprintf("there is no source %q: register it first", id)}
	case err != nil:
		return s, fmt.Errorf("intake: source: %w", err)
	case authority == "" || purpose == "":
		return s, &Refused{Code: CodeAuthority, Reason: "source " + id + " has no authority or no purpose on record: complete it first"}
	}
	s.until = sqldb.FromTime(until)
	return s, s.check(time.Now())
}

func (s *source) check(now time.Time) error {
	if s.until.IsZero() || s.until.After(now) { // zero: open-ended, see program.Source
		return nil
	}
	return &Refused{Code: CodeLapsed, Reason: fmt.Sprintf("the authority of source %s ended on %s: renew it first", s.id, s.until.Format(time.DateOnly))}
}

// reading is a digest of how bytes are read: the same file by another mapping is
// another delivery.
func reading(d *Delivery) string {
	sum := sha256.Sum256([]byte(d.Format + "\n" + d.Mapping))
	return hex.EncodeToString(sum[:])
}

// FindBatch finds the delivery of a file that was read in the same way, or is being
// read. The error wraps [ErrNoBatch] when there is none.
func FindBatch(ctx context.Context, q sqldb.Querier, d Delivery, digest string) (Batch, error) {
	b, err := scanBatch(q.QueryRowContext(ctx, `SELECT `+batchColumns+` FROM batch
		WHERE source = $1 AND digest = $2 AND (reading = $3 OR finished = 0 OR position = 0 AND error <> '')
		ORDER BY CASE WHEN reading = $3 THEN 0 ELSE 1 END, number LIMIT 1`, d.Source, digest, reading(&d)).Scan)
	if err != nil {
		return b, fmt.Errorf("intake: delivery: %w", err)
	}
	return b, nil
}

// begin finds the batch of these bytes, or makes it under the identifier. One that
// was broken off is gone on with as it was read before.
func (in *Intake) begin(ctx context.Context, d Delivery, c *content, id string) (Batch, error) {
	var b Batch
	err := in.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		var err error
		b, err = FindBatch(ctx, tx, d, c.digest)
		if err == nil && !b.Finished.IsZero() && b.Error != "" {
			b.Finished, b.Error = time.Time{}, ""
			read := reading(&Delivery{Format: b.Format, Mapping: b.Mapping})
			if b.Position == 0 { // nothing is there yet that came under another name or was read as another format
				b.Name, b.Format, b.Mapping, b.Submitter = d.Name, d.Format, d.Mapping, d.Submitter
				read = reading(&d)
			}
			_, err = tx.ExecContext(ctx, `UPDATE batch SET finished = 0, error = '', name = $2, format = $3, submitter = $4, mapping = $5, reading = $6 WHERE id = $1`,
				b.ID, b.Name, b.Format, b.Submitter, b.Mapping, read)
			return err
		}
		if !errors.Is(err, ErrNoBatch) {
			return err
		}
		number, err := indicator.Next(ctx, tx, "batch", 1)
		if err != nil {
			return err
		}
		b = Batch{
			Number: number, ID: id, Source: d.Source, Name: d.Name, Format: d.Format, Mapping: d.Mapping, Digest: c.digest, Bytes: c.size,
			Submitter: d.Submitter, Received: time.Now().UTC().Truncate(time.Microsecond),
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO batch (number, id, source, name, format, mapping, digest, reading, bytes, submitter, received)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, b.Number, b.ID, b.Source, b.Name, b.Format, b.Mapping, b.Digest, reading(&d),
			b.Bytes, b.Submitter, sqldb.Time(b.Received))
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, d.Submitter, "intake.receive", b.ID, map[string]any{
			"source": b.Source, "name": b.Name, "format": b.Format, "sha256": b.Digest, "bytes": b.Bytes,
		})
	})
	if err != nil {
		return b, fmt.Errorf("intake: begin: %w", err)
	}
	return b, nil
}

// finish closes the batch.
func (in *Intake) finish(ctx context.Context, b Batch, why string) (Batch, error) {
	b.Finished, b.Error = time.Now().UTC().Truncate(time.Microsecond), why
	err := in.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE batch SET finished = $2, error = $3 WHERE id = $1`, b.ID, sqldb.Time(b.Finished), b.Error)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, b.Submitter, "intake.finish", b.ID, map[string]any{
			"items": b.Position, "accepted": b.Accepted, "duplicate": b.Duplicate, "refused": b.Refused, "skipped": b.Skipped, "error": why,
		})
	})
	if err != nil {
		return b, fmt.Errorf("intake: finish: %w", err)
	}
	return b, nil
}

func (in *Intake) report(ctx context.Context, b Batch, t *tally) (Report, error) {
	rep := Report{Batch: b}
	if t != nil {
		rep.States, rep.Cut, rep.Default = t.states, t.cut, t.given
	}
	var err error
	rep.Refusals, err = Refusals(ctx, in.cfg.DB, b.ID, 0, 100)
	return rep, err
}
