package intake

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// writer commits one portion. Its write may run several times, so that nothing
// of the portion is changed by it.
type writer struct {
	in     *Intake
	src    source
	batch  Batch
	now    time.Time
	states map[indicator.State]int64 // of the new items
	next   Batch
}

// write commits a portion together with the position reached, and gives the
// batch as it is then. A source whose authority has ended meanwhile gets the
// batch back unchanged but for its Error.
func (w *writer) write(ctx context.Context, portion []outcome) (Batch, error) {
	err := w.in.cfg.DB.Write(ctx, func(tx *sql.Tx) error { return w.once(ctx, tx, portion) })
	var whole *Refused
	if errors.As(err, &whole) {
		b := w.batch
		b.Error = whole.Reason
		return b, nil
	}
	if err != nil {
		return w.batch, fmt.Errorf("intake: write: %w", err)
	}
	m := &w.in.metrics
	m.items.Add(w.next.Position - w.batch.Position)
	m.accepted.Add(w.next.Accepted - w.batch.Accepted)
	m.duplicate.Add(w.next.Duplicate - w.batch.Duplicate)
	m.refused.Add(w.next.Refused - w.batch.Refused)
	m.skipped.Add(w.next.Skipped - w.batch.Skipped)
	return w.next, nil
}

func (w *writer) once(ctx context.Context, tx *sql.Tx, portion []outcome) error {
	_, err := readSource(ctx, tx, w.src.id)
	if err != nil {
		return err
	}
	w.states, w.next = map[indicator.State]int64{}, w.batch
	known, err := w.known(ctx, tx, portion)
	if err != nil {
		return err
	}
	var rows rows
	merged := map[string]*indicator.Item{} // what merging has changed, by pattern key
	for i := range portion {
		o := &portion[i]
		w.next.Position++
		switch {
		case o.skipped:
			w.next.Skipped++
		case o.refusal != nil:
			w.next.Refused++
			if w.next.Refused > w.in.cfg.MaxRefusals {
				w.in.metrics.refusalsDropped.Add(1)
				continue
			}
			r := o.refusal
			rows.refusal = append(rows.refusal, []any{w.batch.ID, r.Number, r.Place, r.Code, r.Reason, r.Excerpt})
		default:
			w.item(&rows, o.ready, known, merged)
		}
	}
	err = w.position(ctx, tx)
	if err != nil {
		return err
	}
	err = rows.write(ctx, tx, w.in.cfg.DB.Placeholders())
	if err != nil {
		return err
	}
	for _, it := range merged {
		err = w.update(ctx, tx, it)
		if err != nil {
			return err
		}
	}
	return audit.Append(ctx, tx, w.batch.Submitter, "intake.portion", w.batch.ID, map[string]any{
		"from": w.batch.Position, "to": w.next.Position, "accepted": w.next.Accepted - w.batch.Accepted,
		"duplicate": w.next.Duplicate - w.batch.Duplicate, "refused": w.next.Refused - w.batch.Refused,
	})
}

// position moves the batch on. Another process that is reading the same batch
// has moved it already.
func (w *writer) position(ctx context.Context, tx *sql.Tx) error {
	res, err := tx.ExecContext(ctx, `UPDATE batch SET position = $3, accepted = $4, duplicate = $5, refused = $6, skipped = $7
		WHERE id = $1 AND position = $2 AND finished = 0`, w.batch.ID, w.batch.Position,
		w.next.Position, w.next.Accepted, w.next.Duplicate, w.next.Refused, w.next.Skipped)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		err = ErrBusy
	}
	return err
}

// item adds a new item, or merges it into the living one with the same pattern.
func (w *writer) item(rows *rows, r *ready, known map[string]*indicator.Item, merged map[string]*indicator.Item) {
	src := r.source
	was, ok := known[r.key]
	if !ok {
		w.next.Accepted++
		w.states[r.item.State]++
		it := r.item
		known[r.key] = &it
		rows.item = append(rows.item, it.Values())
		for _, f := range r.findings {
			rows.finding = append(rows.finding, []any{it.ID.String(), f.Code, string(f.Severity), f.Detail, sqldb.Time(f.At)})
		}
		was = known[r.key]
	} else {
		w.next.Duplicate++
		if r.private { // what would have stopped at the gate is not kept beside an item that passed it
			src.Original = ""
		}
		if strong(w.src.reliability) {
			rows.backed = append(rows.backed, was.ID.String())
		}
		it, f := merge(was, r)
		if it != nil {
			known[r.key], merged[r.key] = it, it
		}
		for _, f := range f {
			rows.finding = append(rows.finding, []any{was.ID.String(), f.Code, string(f.Severity), f.Detail, sqldb.Time(w.now)})
		}
	}
	rows.source = append(rows.source, []any{
		was.ID.String(), src.Batch, src.Place, src.Source, src.Reference, int64(src.TLP), src.Original, sqldb.Time(src.At),
	})
}

// strong reports whether a source of this reliability (Admiralty scale) can back
// what weak ones named.
func strong(reliability string) bool {
	return reliability == "A" || reliability == "B" || reliability == "C"
}

// CodeStricter is the finding of an item that a further source marked stricter
// after its release was approved: people have to look at it.
const CodeStricter = "S1-STRICTER-SOURCE"

// merge gives what an item becomes when a source names it again, nil when that
// changes nothing. The strictest marking wins, the later sighting, the longer
// validity (each is within its ceiling). An approved item keeps what was approved
// and only gets a finding.
func merge(was *indicator.Item, r *ready) (*indicator.Item, []indicator.Finding) {
	next, add := *was, &r.item
	var found []indicator.Finding
	if add.Observed.After(next.Observed) {
		next.Observed = add.Observed
	}
	stricter := add.TLP > was.TLP || was.Enforce && !add.Enforce || was.Display && !add.Display || was.Notify && !add.Notify
	if !was.State.Open() {
		if stricter {
			found = append(found, indicator.Finding{Code: CodeStricter, Severity: indicator.Warn, Detail: fmt.Sprintf(
				"source %s marks it TLP:%s, enforce %t, display %t, notify %t", r.source.Source,
				strings.ToUpper(add.TLP.String()), add.Enforce, add.Display, add.Notify)})
		}
	} else {
		next.TLP = max(was.TLP, add.TLP)
		next.Enforce, next.Display, next.Notify = was.Enforce && add.Enforce, was.Display && add.Display, was.Notify && add.Notify
		next.Disclosure = min(was.Disclosure, add.Disclosure)
		next.Confidence = max(was.Confidence, add.Confidence)
		if add.ValidUntil.After(was.ValidUntil) {
			next.ValidUntil = add.ValidUntil
		}
		if was.Category == 0 {
			next.Category = add.Category
		}
		if !r.private { // texts of the new one have passed the screen
			if was.Context == "" {
				next.Context = add.Context
			}
			if was.Summary == "" {
				next.Summary = add.Summary
			}
		}
	}
	if next == *was {
		return nil, found
	}
	next.Modified = r.source.At
	return &next, found
}

// update writes what merging changed. The version rises only with what people
// look at before they approve: a later sighting alone disturbs nobody.
func (w *writer) update(ctx context.Context, tx *sql.Tx, it *indicator.Item) error {
	_, err := tx.ExecContext(ctx, `UPDATE item SET observed = $2, tlp = $3, enforce = $4, display = $5, notify = $6, disclosure = $7,
		confidence = $8, valid_until = $9, category = $10, context = $11, summary = $12,
		version = version + CASE WHEN tlp <> $3 OR enforce <> $4 OR display <> $5 OR notify <> $6 OR disclosure <> $7
			OR valid_until <> $9 OR category <> $10 OR context <> $11 OR summary <> $12 THEN 1 ELSE 0 END,
		modified = CASE WHEN modified < $13 THEN $13 ELSE modified END
		WHERE id = $1`,
		it.ID.String(), sqldb.Time(it.Observed), int64(it.TLP), it.Enforce, it.Display, it.Notify, int64(it.Disclosure),
		int64(it.Confidence), sqldb.Time(it.ValidUntil), int64(it.Category), it.Context, it.Summary, sqldb.Time(w.now))
	if err != nil {
		return fmt.Errorf("intake: merge: %w", err)
	}
	return nil
}

// known reads the living items that have the portion's patterns.
func (w *writer) known(ctx context.Context, tx *sql.Tx, portion []outcome) (map[string]*indicator.Item, error) {
	var keys []any
	for i := range portion {
		if portion[i].ready != nil {
			keys = append(keys, portion[i].ready.key)
		}
	}
	out := make(map[string]*indicator.Item, len(keys))
	for len(keys) > 0 {
		n := min(len(keys), w.in.cfg.DB.Placeholders())
		err := lookup(ctx, tx, keys[:n], out)
		if err != nil {
			return nil, err
		}
		keys = keys[n:]
	}
	return out, nil
}

func lookup(ctx context.Context, tx *sql.Tx, keys []any, out map[string]*indicator.Item) error {
	found, err := tx.QueryContext(ctx, `SELECT `+indicator.Columns+` FROM item WHERE pattern_key IN (`+marks(1, len(keys))+`)`, keys...)
	if err != nil {
		return err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		it, err := indicator.Scan(found.Scan)
		if err != nil {
			return err
		}
		out[indicator.PatternKey(it.Pattern)] = &it
	}
	return found.Err()
}

// rows are what one portion adds, table by table.
type rows struct {
	item, source, finding, refusal [][]any
	backed                         []any // items that a second, better source named
}

func (r *rows) write(ctx context.Context, tx *sql.Tx, most int) error {
	err := insert(ctx, tx, most, `item (`+indicator.Columns+`)`, r.item, "")
	if err != nil {
		return err
	}
	err = insert(ctx, tx, most, `item_source (item, batch, place, source, reference, tlp, original, at)`, r.source,
		` ON CONFLICT (item, batch, place) DO NOTHING`)
	if err != nil {
		return err
	}
	err = insert(ctx, tx, most, `finding (item, code, severity, detail, at)`, r.finding, ` ON CONFLICT (item, code, detail) DO NOTHING`)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(r.backed, most-1) {
		_, err = tx.ExecContext(ctx, `DELETE FROM finding WHERE code = $1 AND item IN (`+marks(2, len(some))+`)`,
			append([]any{policy.CodeUncorrobated}, some...)...)
		if err != nil {
			return fmt.Errorf("intake: back findings: %w", err)
		}
	}
	return insert(ctx, tx, most, `refusal (batch, number, place, code, reason, excerpt)`, r.refusal, "")
}

// insert adds rows, several by one statement of at most so many placeholders.
func insert(ctx context.Context, tx *sql.Tx, most int, table string, rows [][]any, tail string) error {
	if len(rows) == 0 {
		return nil
	}
	width := len(rows[0])
	n := min(len(rows), max(1, most/width))
	whole := len(rows) / n * n
	err := insertBy(ctx, tx, table, rows[:whole], n, tail)
	if err == nil {
		err = insertBy(ctx, tx, table, rows[whole:], len(rows)-whole, tail)
	}
	if err != nil {
		return fmt.Errorf("intake: insert into %s: %w", strings.Fields(table)[0], err)
	}
	return nil
}

// insertBy adds rows, n by each statement; n divides their number.
func insertBy(ctx context.Context, tx *sql.Tx, table string, rows [][]any, n int, tail string) error {
	if len(rows) == 0 {
		return nil
	}
	width := len(rows[0])
	var text strings.Builder
	text.WriteString("INSERT INTO " + table + " VALUES ")
	for i := range n {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString("(" + marks(i*width+1, width) + ")")
	}
	text.WriteString(tail)
	args := make([]any, 0, n*width)
	for ; len(rows) > 0; rows = rows[n:] {
		args = args[:0]
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		_, err := tx.ExecContext(ctx, text.String(), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// marks gives n placeholders, from $first on.
func marks(first, n int) string {
	b := make([]byte, 0, n*6)
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, '$')
		b = strconv.AppendInt(b, int64(first+i), 10)
	}
	return string(b)
}
