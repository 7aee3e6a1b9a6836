package indicator

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

// Move takes an item to another state: it checks the table of transitions, the
// guard of the new state and it.Version, writes the row and one audit entry.
// Besides the state it writes what the caller has changed in it of privacy,
// marking, validity and text ([Update] does the same without a move).
//
// On success it is the row as written. Errors: *[TransitionError],
// *[GuardError], *[SamePersonError], [ErrVersion].
func Move(ctx context.Context, tx *sql.Tx, it *Item, to State, actor, reason string) error {
	if !CanMove(it.State, to) {
		return &TransitionError{From: it.State, To: to}
	}
	ev, err := evidence(ctx, tx, it, to)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	err = Guard(it, to, ev, reason, now)
	if err != nil {
		return err
	}
	next := *it
	next.State = to
	if to == PrivacyGate {
		next.Privacy, next.PrivacyNote = Undetermined, "" // whoever pulls it back wants a new answer
	}
	if to == Released && next.Released.IsZero() {
		next.Released = now
	}
	if to.Ended() && next.Ended.IsZero() {
		next.Ended = now
	}
	detail := map[string]any{"from": it.State, "to": to, "reason": reason}
	if to == Purged {
		detail["pattern_sha256"] = PatternKey(it.Pattern)
		err = mayPurge(ctx, tx, it, now)
		if err == nil {
			err = purge(ctx, tx, &next)
		}
		if err != nil {
			return err
		}
	}
	err = write(ctx, tx, &next, now)
	if err != nil {
		return err
	}
	err = audit.Append(ctx, tx, actor, "item.move", it.ID.String(), detail)
	if err != nil {
		return err
	}
	*it = next
	return nil
}

// Update writes what a caller has changed in an item without moving it, checks
// it.Version and writes one audit entry. What names the change in a few words:
// it goes into the audit log.
func Update(ctx context.Context, tx *sql.Tx, it *Item, actor, what string) error {
	if it.State == Purged {
		return ErrPurged
	}
	next := *it
	err := write(ctx, tx, &next, time.Now().UTC().Truncate(time.Microsecond))
	if err != nil {
		return err
	}
	err = audit.Append(ctx, tx, actor, "item.update", it.ID.String(), map[string]any{"what": what, "state": it.State})
	if err != nil {
		return err
	}
	*it = next
	return nil
}

// Advance takes an item as far as the automatic steps go, once people have
// answered what stopped it: PRIVACY_GATE → MARKED when a determination is set,
// MARKED → TECH_VALIDATION, and on to PENDING_FIRST when no technical stop is
// left without two overrides. An item that has to wait stays where it is,
// without an error.
func Advance(ctx context.Context, tx *sql.Tx, it *Item, actor, reason string) error {
	for {
		var to State
		switch it.State {
		case Received:
			to = PrivacyGate
		case PrivacyGate:
			if it.Privacy == Undetermined {
				return nil
			}
			to = Marked
		case Marked:
			to = TechValidation
		case TechValidation:
			fs, err := Findings(ctx, tx, it.ID)
			if err != nil {
				return err
			}
			ds, err := Decisions(ctx, tx, it.ID)
			if err != nil {
				return err
			}
			if len(Stops(fs)) > 0 && !Overridden(ds) {
				return nil
			}
			to = PendingFirst
		default:
			return nil
		}
		err := Move(ctx, tx, it, to, actor, reason)
		if err != nil {
			return err
		}
	}
}

func write(ctx context.Context, tx *sql.Tx, it *Item, now time.Time) error {
	was := it.Version
	it.Version++
	if !now.After(it.Modified) { // the clock stood still or went back: modified always rises
		now = it.Modified.Add(time.Microsecond)
	}
	it.Modified = now
	var before State
	var handling int64
	err := tx.QueryRowContext(ctx, `SELECT state, handling FROM item WHERE number = $1 AND version = $2`, it.Number, was).Scan(&before, &handling)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("indicator: %s: %w", it.ID, ErrVersion)
	}
	if err != nil {
		return fmt.Errorf("indicator: write %s: %w", it.ID, err)
	}
	args := []any{
		it.Number, was, string(it.State), it.Version, int64(it.Services), int64(it.Category), int64(it.Action), int64(it.Confidence),
		it.Handling, int64(it.TLP), it.Enforce, it.Display, it.Notify, int64(it.Disclosure), it.Labels, it.Summary, it.Context,
		string(it.Privacy), it.PrivacyNote, it.Editor, sqldb.Time(it.ValidFrom), sqldb.Time(it.ValidUntil),
		sqldb.Time(it.Observed), sqldb.Time(it.Modified), sqldb.Time(it.Released), sqldb.Time(it.Ended),
	}
	also := ""
	if it.State.Ended() { // gives up its pattern; only here do the indexes on these columns have to be written
		also, args = `, pattern = $27, pattern_key = $28, value = $29, pivot = $30`, append(args, it.Pattern, it.ID.String(), it.Value, it.Pivot)
	}
	res, err := tx.ExecContext(ctx, `UPDATE item SET state = $3, version = $4, services = $5, category = $6, action = $7, confidence = $8,
		handling = $9, tlp = $10, enforce = $11, display = $12, notify = $13, disclosure = $14, labels = $15, summary = $16, context = $17,
		privacy = $18, privacy_note = $19, editor = $20, valid_from = $21, valid_until = $22, observed = $23, modified = $24,
		released = $25, ended = $26`+also+` WHERE number = $1 AND version = $2`, args...)
	if err != nil {
		return fmt.Errorf("indicator: write %s: %w", it.ID, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("indicator: %s: %w", it.ID, ErrVersion)
	}
	if before == it.State && handling == it.Handling {
		return nil
	}
	err = Tally(ctx, tx, before, handling, -1)
	if err != nil {
		return err
	}
	return Tally(ctx, tx, it.State, it.Handling, 1)
}

// mayPurge refuses to purge what a provider may still have in force: it was handed
// out, and neither has its validity ended nor has the removal been confirmed.
func mayPurge(ctx context.Context, tx *sql.Tx, it *Item, now time.Time) error {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(DISTINCT provider) FROM delivery WHERE item = $1 AND removed = 0 AND until > $2
		AND (delivered > 0 OR loaded > 0)`, it.ID.String(), sqldb.Time(now)).Scan(&n)
	if err != nil {
		return fmt.Errorf("indicator: purge %s: %w", it.ID, err)
	}
	if n > 0 {
		return &GuardError{To: Purged, Why: fmt.Sprintf("%d providers have not confirmed its removal; wait for their receipts, or for its end", n)}
	}
	return nil
}

// tombstone is the pattern of a purged object: RFC 2606 sees to it that nothing
// ever matches.
const tombstone = "[domain-name:value = 'purged.invalid']"

// bury replaces the versions that were released by ones that tell nothing but
// that they are revoked: a provider's log names them for ever.
func bury(ctx context.Context, tx *sql.Tx, id contract.ID) error {
	rows, err := tx.QueryContext(ctx, `SELECT modified, body FROM object WHERE item = $1`, id.String())
	if err != nil {
		return err
	}
	bodies := map[int64]string{}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var modified int64
		var body string
		err = rows.Scan(&modified, &body)
		if err != nil {
			return err
		}
		x, err := contract.ParseIndicator([]byte(body))
		if err != nil {
			return err
		}
		x.Pattern, x.Summary, x.Revoked = tombstone, "", true
		empty, err := x.Canonical()
		if err != nil {
			return err
		}
		bodies[modified] = string(empty)
	}
	err = errors.Join(rows.Err(), rows.Close())
	if err != nil {
		return err
	}
	for modified, body := range bodies {
		_, err = tx.ExecContext(ctx, `UPDATE object SET body = $3 WHERE item = $1 AND modified = $2`, id.String(), modified, body)
		if err != nil {
			return err
		}
	}
	return nil
}

// purge empties everything that tells the content; the identifier, the states
// and the decisions stay as a tombstone.
func purge(ctx context.Context, tx *sql.Tx, it *Item) error {
	it.Pattern, it.Value, it.Pivot, it.Labels = "", "", "", ""
	it.Summary, it.Context, it.PrivacyNote = "", "", ""
	_, err := tx.ExecContext(ctx, `UPDATE item_source SET original = '', reference = '' WHERE number = $1`, it.Number)
	if err != nil {
		return fmt.Errorf("indicator: purge %s: %w", it.ID, err)
	}
	err = bury(ctx, tx, it.ID)
	if err != nil {
		return fmt.Errorf("indicator: purge the objects of %s: %w", it.ID, err)
	}
	subject := "item:" + it.ID.String() // what people have said of it, see hub/internal/casework
	for _, query := range []string{
		`DELETE FROM comment WHERE subject = $1`,
		`DELETE FROM task_step WHERE task IN (SELECT id FROM task WHERE subject = $1)`,
		`DELETE FROM task WHERE subject = $1`,
	} {
		_, err = tx.ExecContext(ctx, query, subject)
		if err != nil {
			return fmt.Errorf("indicator: purge %s: %w", it.ID, err)
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM finding WHERE number = $1`, it.Number)
	if err != nil {
		return fmt.Errorf("indicator: purge %s: %w", it.ID, err)
	}
	return nil
}

// evidence reads what the guard of the new state looks at, and no more: most
// moves need nothing.
func evidence(ctx context.Context, tx *sql.Tx, it *Item, to State) (Evidence, error) {
	var ev Evidence
	var err error
	switch to {
	case PendingFirst:
		ev.Findings, err = Findings(ctx, tx, it.ID)
		if err != nil {
			return ev, err
		}
		ev.Decisions, err = Decisions(ctx, tx, it.ID)
	case PendingSecond, Approved:
		ev, err = People(ctx, tx, it)
		if err == nil {
			err = besideOf(ctx, tx, it, &ev)
		}
	case Released:
		err = tx.QueryRowContext(ctx, `SELECT count(*) FROM target WHERE item = $1`, it.ID.String()).Scan(&ev.Targets)
		if err == nil {
			err = besideOf(ctx, tx, it, &ev)
		}
	}
	return ev, err
}

// People reads who has acted on an item: its decisions, and the persons behind
// its submitter and editor. [Duties] judges the answer.
func People(ctx context.Context, q sqldb.Querier, it *Item) (Evidence, error) {
	var ev Evidence
	var err error
	ev.Decisions, err = Decisions(ctx, q, it.ID)
	if err != nil {
		return ev, err
	}
	ev.Submitter, ev.Editor = it.Submitter, it.Editor
	rows, err := q.QueryContext(ctx, `SELECT login, person FROM account WHERE login IN ($1, $2)`, it.Submitter, it.Editor)
	if err != nil {
		return ev, fmt.Errorf("indicator: people: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var login, person string
		err = rows.Scan(&login, &person)
		if err != nil {
			return ev, err
		}
		if login == it.Submitter {
			ev.Submitter = person
		}
		if login == it.Editor {
			ev.Editor = person
		}
	}
	return ev, rows.Err()
}
