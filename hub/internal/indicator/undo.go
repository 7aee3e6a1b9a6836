package indicator

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// ErrTaken means that another living item has the pattern meanwhile: what gave it up
// cannot have it again.
var ErrTaken = errors.New("another indicator has this pattern now")

// ways is the table of the ways back: for each kind of decision that may be taken
// back, from which state to which.
var ways = map[string]map[State][]State{
	KindPrivacy: {
		Marked: {PrivacyGate}, TechValidation: {PrivacyGate}, PendingFirst: {PrivacyGate},
	},
	KindOverride: {
		TechValidation: {TechValidation}, PendingFirst: {TechValidation, PendingFirst}, PendingSecond: {PendingSecond},
	},
	KindFirst:   {PendingSecond: {PendingFirst}},
	KindReturn:  {Returned: {Received, PrivacyGate, Marked, TechValidation, PendingFirst, PendingSecond}},
	KindReject:  {Rejected: {Received, PrivacyGate, Marked, TechValidation, PendingFirst, PendingSecond}},
	KindConsent: {PendingFirst: {PendingFirst}, PendingSecond: {PendingSecond}},
	KindRead:    {PendingFirst: {PendingFirst}, PendingSecond: {PendingSecond}},
}

// CanTakeBack reports whether the table has a way back for a decision of this kind
// that led from one state to another.
func CanTakeBack(kind string, was, became State) bool {
	return slices.Contains(ways[kind][became], was)
}

// Last gives the newest decision that stands, or false.
func Last(ds []Decision) (Decision, bool) {
	for _, d := range slices.Backward(ds) {
		if d.Undone.IsZero() && d.Kind != KindUndo {
			return d, true
		}
	}
	return Decision{}, false
}

// MayTakeBack says whether a person may take the newest decision on the item back
// now. It is pure. The person has to have given it, no longer than within ago;
// nobody may have decided since; and the item has to stand where it led.
func MayTakeBack(it *Item, ds []Decision, person string, within time.Duration, now time.Time) (Decision, error) {
	d, ok := Last(ds)
	refuse := func(format string, args ...any) (Decision, error) {
		return d, &GuardError{To: d.Was, Why: fmt.Sprintf(format, args...)}
	}
	switch {
	case !ok:
		return refuse("nothing was decided that could be taken back")
	case d.Person != person:
		return refuse("the last decision is by %s, who alone can take it back", d.Person)
	case ways[d.Kind] == nil:
		return refuse("a decision of kind %s cannot be taken back; what was released is recalled", d.Kind)
	case now.Sub(d.At) > within:
		return refuse("it was decided longer than %s ago", within)
	case it.State != d.Became:
		return refuse("the indicator went on to %s meanwhile", it.State)
	case !CanTakeBack(d.Kind, d.Was, d.Became):
		return refuse("no way leads back from %s to %s", d.Became, d.Was)
	}
	return d, nil
}

// TakeBack takes a decision back that [MayTakeBack] gave: the item is again where it
// was before, and with it its pattern. The decision is marked and stays; by is the
// decision that takes it back.
func TakeBack(ctx context.Context, tx *sql.Tx, it *Item, d Decision, by Decision) error {
	if it.State != d.Became || !CanTakeBack(d.Kind, d.Was, d.Became) {
		return &TransitionError{From: it.State, To: d.Was}
	}
	now := by.At
	if now.IsZero() {
		now = time.Now()
	}
	by.Item, by.Kind, by.Verdict, by.At, by.Was, by.Became = it.ID, KindUndo, d.ID, now, it.State, d.Was
	err := AddDecision(ctx, tx, by)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE decision SET undone = $2 WHERE id = $1`, d.ID, sqldb.Time(now))
	if err != nil {
		return fmt.Errorf("indicator: take %s back: %w", d.Kind, err)
	}
	next := *it
	next.State = d.Was
	if d.Kind == KindPrivacy {
		next.Privacy, next.PrivacyNote = Undetermined, ""
	}
	if it.State.Ended() && !d.Was.Ended() {
		next.Ended = time.Time{}
	}
	err = write(ctx, tx, &next, now.UTC().Truncate(time.Microsecond))
	if err != nil {
		return err
	}
	if it.State.Ended() && !next.State.Ended() {
		err = ownAgain(ctx, tx, &next)
		if err != nil {
			return err
		}
	}
	err = audit.Append(ctx, tx, by.Login, "item.undo", it.ID.String(),
		map[string]any{"decision": d.ID, "kind": d.Kind, "from": it.State, "to": next.State, "reason": by.Reason})
	if err != nil {
		return err
	}
	*it = next
	return nil
}

// ownAgain gives an item that lives again its pattern, unless it is one that stands
// beside its origin.
func ownAgain(ctx context.Context, tx *sql.Tx, it *Item) error {
	o, err := OriginOf(ctx, tx, it.ID)
	if err != nil || o.Kind != "" {
		return err
	}
	return Own(ctx, tx, it)
}

// Own gives a living item its pattern. The error wraps [ErrTaken] when another
// living item has it.
func Own(ctx context.Context, tx *sql.Tx, it *Item) error {
	key := PatternKey(it.Pattern)
	var other string
	err := tx.QueryRowContext(ctx, `SELECT id FROM item WHERE pattern_key = $1 AND number <> $2`, key, it.Number).Scan(&other)
	if err == nil {
		return fmt.Errorf("indicator: %s: %w: %s", it.ID, ErrTaken, other)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("indicator: own the pattern of %s: %w", it.ID, err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE item SET pattern_key = $2 WHERE number = $1`, it.Number, key)
	if sqldb.IsUnique(err) {
		return fmt.Errorf("indicator: %s: %w", it.ID, ErrTaken)
	}
	if err != nil {
		return fmt.Errorf("indicator: own the pattern of %s: %w", it.ID, err)
	}
	return nil
}

// Reached records to which state a decision led, when that was not known before.
func Reached(ctx context.Context, tx *sql.Tx, decision string, s State) error {
	_, err := tx.ExecContext(ctx, `UPDATE decision SET became = $2 WHERE id = $1`, decision, string(s))
	if err != nil {
		return fmt.Errorf("indicator: decision: %w", err)
	}
	return nil
}

// Bulk reads which items a bulk act decided about and that still stand so.
func Bulk(ctx context.Context, q sqldb.Querier, bulk string) ([]contract.ID, error) {
	rows, err := q.QueryContext(ctx, `SELECT DISTINCT item FROM decision WHERE bulk = $1 AND bulk <> '' AND undone = 0 AND kind <> $2 ORDER BY item`,
		bulk, KindUndo)
	if err != nil {
		return nil, fmt.Errorf("indicator: bulk: %w", err)
	}
	return scanIDs(rows)
}

func scanIDs(rows *sql.Rows) ([]contract.ID, error) {
	defer func() { _ = rows.Close() }()
	var out []contract.ID
	for rows.Next() {
		var text string
		err := rows.Scan(&text)
		if err != nil {
			return nil, err
		}
		id, err := contract.ParseID(text)
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}
