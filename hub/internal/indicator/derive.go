package indicator

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
)

// Why an item was made of another one.
const (
	Supersedes = "supersedes" // it replaces its origin when it is released
	TearLine   = "tear-line"  // it carries what its origin says below the tear line
	Shadow     = "shadow"     // its origin is counted before it is approved
)

// Origin says of which item another one was made.
type Origin struct {
	Item    contract.ID // the newer one
	Of      contract.ID
	Kind    string   // Supersedes, TearLine or Shadow; empty: of none
	Lowered []string // of a tear line: fields of the origin that its source marked lower by consenting
	At      time.Time
}

// OriginOf reads of which item another one was made; its Kind is empty when that is
// none.
func OriginOf(ctx context.Context, q sqldb.Querier, id contract.ID) (Origin, error) {
	os, err := origins(ctx, q, `item = $1`, id)
	if err != nil || len(os) == 0 {
		return Origin{Item: id}, err
	}
	return os[0], nil
}

// MadeOf reads which items were made of one, oldest first.
func MadeOf(ctx context.Context, q sqldb.Querier, id contract.ID) ([]Origin, error) {
	return origins(ctx, q, `origin = $1`, id)
}

func origins(ctx context.Context, q sqldb.Querier, where string, id contract.ID) ([]Origin, error) {
	rows, err := q.QueryContext(ctx, `SELECT item, origin, kind, lowered, at FROM derivation WHERE `+where+` ORDER BY at, item`, id.String())
	if err != nil {
		return nil, fmt.Errorf("indicator: derivation: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Origin
	for rows.Next() {
		var o Origin
		var item, of, lowered string
		var at int64
		err = rows.Scan(&item, &of, &o.Kind, &lowered, &at)
		if err != nil {
			return nil, err
		}
		o.Item, err = contract.ParseID(item)
		if err == nil {
			o.Of, err = contract.ParseID(of)
		}
		if err != nil {
			return nil, err
		}
		if lowered != "" {
			o.Lowered = strings.Split(lowered, "\n")
		}
		o.At = sqldb.FromTime(at)
		out = append(out, o)
	}
	return out, rows.Err()
}

// Derive inserts an item that is made of another one, with one mention for each
// source of its origin: who gave it, in which delivery, and under this handling (0:
// as the source marked it). The item does not own its pattern, see [Own].
func Derive(ctx context.Context, tx *sql.Tx, it *Item, o Origin, handling int64) error {
	var err error
	it.Number, err = Next(ctx, tx, "item", 1)
	if err != nil {
		return err
	}
	values := it.Values()
	for i, name := range strings.Split(Columns, ",") {
		if strings.TrimSpace(name) == "pattern_key" {
			values[i] = it.ID.String()
		}
	}
	marks := make([]string, len(values))
	for i := range marks {
		marks[i] = fmt.Sprintf("$%d", i+1)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO item (`+Columns+`) VALUES (`+strings.Join(marks, ", ")+`)`, values...)
	if err != nil {
		return fmt.Errorf("indicator: derive %s: %w", it.ID, err)
	}
	err = Tally(ctx, tx, it.State, it.Handling, 1)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO derivation (item, origin, kind, lowered, at) VALUES ($1, $2, $3, $4, $5)`,
		it.ID.String(), o.Of.String(), o.Kind, strings.Join(o.Lowered, "\n"), sqldb.Time(it.Created))
	if err != nil {
		return fmt.Errorf("indicator: derive %s: %w", it.ID, err)
	}
	err = mention(ctx, tx, it, o.Of, handling)
	if err != nil || o.Kind != TearLine {
		return err
	}
	// Where it stood in the delivery, and how sure and how late it was, is above the line.
	_, err = tx.ExecContext(ctx, `UPDATE item_source SET place = '', credibility = 0, confidence = -1, observed = 0 WHERE number = $1`, it.Number)
	return err
}

// MaxShadow is how long a shadow run lasts at most, MinShadow at least.
const (
	MaxShadow = 24 * time.Hour
	MinShadow = time.Hour
)

// beside says why an item that was made of another one, or of which another one is
// made, may not enter a state; empty when it may. It is pure.
func beside(it *Item, to State, ev Evidence, now time.Time) string {
	approval := to == PendingSecond || to == Approved
	switch {
	case approval && ev.Counted:
		return "it is being counted in a shadow run: wait for the result, or stop the run"
	case ev.Origin.Kind == TearLine && approval && !approved(ev.Decisions, KindConsent):
		return "an officer of its source has not consented to the tear line"
	case ev.Origin.Kind == TearLine && approval && !approved(ev.Decisions, KindRead):
		return "a second reader has not read what is below the tear line"
	case ev.Origin.Kind == Supersedes && to == Released && ev.OriginState != Superseded:
		return fmt.Sprintf("it replaces %s, which has to leave in the same act and is %s", ev.Origin.Of, ev.OriginState)
	case ev.Origin.Kind == Shadow && to == Released && ev.Disagreed > 0:
		return fmt.Sprintf("%d of its targets have not agreed to shadow runs", ev.Disagreed)
	case ev.Origin.Kind == Shadow && to == Released && it.ValidUntil.Sub(now) > MaxShadow:
		return fmt.Sprintf("a shadow run lasts at most %s", MaxShadow)
	}
	return ""
}

// besideOf reads what [beside] looks at.
func besideOf(ctx context.Context, tx *sql.Tx, it *Item, ev *Evidence) error {
	var err error
	ev.Origin, err = OriginOf(ctx, tx, it.ID)
	if err != nil {
		return err
	}
	if ev.Origin.Kind != "" {
		err = tx.QueryRowContext(ctx, `SELECT state FROM item WHERE id = $1`, ev.Origin.Of.String()).Scan(&ev.OriginState)
	}
	if err == nil && ev.Origin.Kind == Shadow {
		err = tx.QueryRowContext(ctx, `SELECT count(*) FROM target t WHERE t.item = $1
			AND NOT EXISTS (SELECT 1 FROM shadow_provider s WHERE s.provider = t.provider)`, it.ID.String()).Scan(&ev.Disagreed)
	}
	if err != nil {
		return fmt.Errorf("indicator: origin of %s: %w", it.ID, err)
	}
	ev.Counted, err = Counted(ctx, tx, it.ID)
	return err
}

// Counted reports whether an item is being counted in a shadow run that has no
// result yet.
func Counted(ctx context.Context, q sqldb.Querier, id contract.ID) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM derivation d JOIN shadow_run r ON r.item = d.item
		WHERE d.origin = $1 AND d.kind = $2 AND r.closed = 0`, id.String(), Shadow).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("indicator: shadow run of %s: %w", id, err)
	}
	return n > 0, nil
}

// mention writes one mention for each source that named the origin: its newest.
// References and originals stay with the origin, which is linked.
func mention(ctx context.Context, tx *sql.Tx, it *Item, origin contract.ID, handling int64) error {
	rows, err := tx.QueryContext(ctx, `SELECT max(mention) FROM item_source WHERE number = (SELECT number FROM item WHERE id = $1)
		GROUP BY source ORDER BY 1`, origin.String())
	if err != nil {
		return fmt.Errorf("indicator: sources of %s: %w", origin, err)
	}
	defer func() { _ = rows.Close() }()
	var old []int64
	for rows.Next() {
		var n int64
		err = rows.Scan(&n)
		if err != nil {
			return err
		}
		old = append(old, n)
	}
	err = errors.Join(rows.Err(), rows.Close())
	if err != nil || len(old) == 0 {
		return err
	}
	first, err := Next(ctx, tx, "mention", int64(len(old)))
	if err != nil {
		return err
	}
	for i, from := range old {
		_, err = tx.ExecContext(ctx, `INSERT INTO item_source (mention, number, batch, source, place, reference, version, revoked, credibility,
			confidence, handling, observed, original, at)
			SELECT $1, $2, batch, source, place, '', 0, revoked, credibility, confidence, CASE WHEN $4 = 0 THEN handling ELSE $4 END, observed, '', $5
			FROM item_source WHERE mention = $3`, first+int64(i), it.Number, from, handling, sqldb.Time(it.Created))
		if err != nil {
			return fmt.Errorf("indicator: sources of %s: %w", it.ID, err)
		}
	}
	return nil
}
