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

	"github.com/gaissmai/bart"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
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
	fresh  map[string]int64 // handlings that this transaction has interned or read

	checker  *policy.Checker
	prefixes *bart.Table[policy.Neighbor] // living ones, see neighbors
	added    []policy.Neighbor            // prefixes of this portion
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
	w.in.remember(w.fresh)
	for _, n := range w.added {
		hold(w.prefixes, n)
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
	w.states, w.next, w.fresh = map[indicator.State]int64{}, w.batch, map[string]int64{}
	c, err := w.context(ctx, tx, portion)
	if err != nil {
		return err
	}
	for i := range portion {
		err = w.one(ctx, tx, c, &portion[i])
		if err != nil {
			return err
		}
	}
	w.added = c.fresh
	err = w.position(ctx, tx)
	if err == nil {
		err = w.objects(ctx, tx, portion)
	}
	if err == nil {
		err = c.rows.write(ctx, tx, w.in.cfg.DB.Placeholders())
	}
	if err != nil {
		return err
	}
	for _, it := range c.merged {
		err = w.update(ctx, tx, it)
		if err != nil {
			return err
		}
	}
	for some := range slices.Chunk(c.stopped, 500) {
		args := []any{sqldb.Time(w.now)}
		for _, n := range some {
			args = append(args, n)
		}
		_, err = tx.ExecContext(ctx, `UPDATE item SET version = version + 1, modified = CASE WHEN modified < $1 THEN $1 ELSE modified END
			WHERE number IN (`+marks(2, len(some))+`)`, args...)
		if err != nil {
			return fmt.Errorf("intake: stop: %w", err)
		}
	}
	for k, n := range c.count {
		if n == 0 {
			continue
		}
		err = indicator.Tally(ctx, tx, k.state, k.handling, n)
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
	res, err := tx.ExecContext(ctx, `UPDATE batch SET position = $3, accepted = $4, duplicate = $5, refused = $6, skipped = $7,
		objects = $8, canonical = $9 WHERE id = $1 AND position = $2 AND finished = 0`, w.batch.ID, w.batch.Position,
		w.next.Position, w.next.Accepted, w.next.Duplicate, w.next.Refused, w.next.Skipped, w.next.Objects, w.next.Canonical)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		err = ErrBusy
	}
	return err
}

// one places one record.
func (w *writer) one(ctx context.Context, tx *sql.Tx, c *known, o *outcome) error {
	w.next.Position++
	switch {
	case o.skipped:
		w.next.Skipped++
	case o.object != nil:
		w.next.Objects++
	case o.taken != nil:
		return w.take(ctx, tx, c, o)
	case o.ready != nil:
		return w.item(ctx, tx, c, o)
	default:
		w.refuse(c, o.refusal)
	}
	return nil
}

func (w *writer) refuse(c *known, r *Refusal) {
	w.next.Refused++
	if w.next.Refused > w.in.cfg.MaxRefusals {
		w.in.metrics.refusalsDropped.Add(1)
		return
	}
	c.rows.refusal = append(c.rows.refusal, []any{w.batch.Number, r.Number, r.Place, r.Code, r.Reason, r.Excerpt})
}

// take records that a source takes something back, or vouches for it. What nobody
// has named is refused: there is nothing to take back.
func (w *writer) take(ctx context.Context, tx *sql.Tx, c *known, o *outcome) error {
	t := o.taken
	code, why := CodeTakenBack, "source "+w.src.id+" has taken it back"
	var hit []int64
	if t.key != "" {
		code, why = CodeVouched, "source "+w.src.id+" says that it is benign"
		it, ok := c.items[t.key]
		if ok {
			hit = append(hit, it.Number)
		}
	} else {
		for _, m := range c.mentions[t.refkey] {
			if m.reference == t.reference && !slices.Contains(hit, m.number) {
				hit = append(hit, m.number)
			}
		}
	}
	if len(hit) == 0 {
		r := refusal(CodeRevoked, "the source takes it back, and it never came from this source")
		if t.key != "" {
			r = refusal(CodeBenign, "the source says that it is benign, and nobody has named it as malicious")
		}
		w.refuse(c, r.at(o.number, t.place, []byte(t.raw)))
		return nil
	}
	handling, err := w.intern(ctx, tx, t.handling.text)
	if err != nil {
		return err
	}
	w.next.Duplicate++
	for _, number := range hit {
		c.rows.finding = append(c.rows.finding, []any{number, code, string(indicator.Stop), why, sqldb.Time(w.now)})
		c.rows.source = append(c.rows.source, mention{
			number: number, batch: w.batch.Number, source: w.src.id, place: t.place, reference: t.reference, refkey: t.refkey,
			version: t.version, revoked: t.key == "", confidence: -1, handling: handling, original: t.raw, at: w.now,
		})
		c.stopped = append(c.stopped, number)
	}
	return nil
}

// item adds a new item, or merges it into the living one with the same pattern.
func (w *writer) item(ctx context.Context, tx *sql.Tx, c *known, o *outcome) error {
	r := o.ready
	late := w.late(c, r)
	if late != nil {
		w.refuse(c, late.at(o.number, r.source.Place, []byte(r.source.Original)))
		return nil
	}
	if r.respelled {
		w.next.Canonical++
	}
	handling, err := w.intern(ctx, tx, r.handling.text)
	if err != nil {
		return err
	}
	original := r.source.Original
	was, ok := c.items[r.key]
	if ok && was.Pattern != r.item.Pattern {
		w.refuse(c, refusal(CodeValue, "its pattern has the same digest as another one").at(o.number, r.source.Place, []byte(original)))
		return nil
	}
	if !ok {
		fresh := *r // this may run again: what is found now is not kept in it
		r = &fresh
		c.against(r, w.checker)
		it := r.item
		it.Number, it.Handling = c.number, handling
		c.number++
		w.next.Accepted++
		w.states[it.State]++
		c.count[place{it.State, handling}]++
		c.items[r.key] = &it
		c.rows.item = append(c.rows.item, it.Values())
		for _, f := range r.findings {
			c.rows.finding = append(c.rows.finding, []any{it.Number, f.Code, string(f.Severity), f.Detail, sqldb.Time(f.At)})
		}
		was = &it
		c.settle(was)
	} else {
		w.next.Duplicate++
		if r.private { // what would have stopped at the gate is not kept beside an item that passed it
			original = ""
		}
		if strong(w.src.reliability) {
			c.rows.backed = append(c.rows.backed, was.Number)
		}
		err = w.join(ctx, tx, c, was, r)
		if err != nil {
			return err
		}
	}
	m := mention{
		number: was.Number, batch: w.batch.Number, source: w.src.id, place: r.source.Place, reference: r.source.Reference, refkey: r.refkey,
		version: r.version, credibility: r.source.Credibility, confidence: r.source.Confidence, handling: handling,
		observed: r.source.Observed, original: original, at: r.source.At,
	}
	c.rows.source = append(c.rows.source, m)
	if r.refkey != 0 {
		c.mentions[r.refkey] = append(c.mentions[r.refkey], m)
	}
	return nil
}

// late looks at what the source has called by the same identifier before (STIX 2.1
// section 3.6): what was revoked does not come back, an older version does not win,
// and a newer one with another pattern marks the item that it replaces.
func (w *writer) late(c *known, r *ready) *Refusal {
	if r.refkey == 0 {
		return nil
	}
	same := c.items[r.key]
	for _, m := range c.mentions[r.refkey] {
		if m.reference != r.source.Reference {
			continue
		}
		switch {
		case m.revoked:
			return refusal(CodeRevoked, "the source had taken it back; what is revoked does not come back under its identifier")
		case same != nil && m.number == same.Number:
		case r.version != 0 && m.version > r.version:
			return refusal(CodeOlder, "a newer version of it, with another pattern, came before")
		case r.version != 0 && m.version < r.version:
			c.rows.finding = append(c.rows.finding, []any{
				m.number, CodeReplaced, string(indicator.Warn),
				"source " + w.src.id + " has a newer version of it, with another pattern", sqldb.Time(w.now),
			})
		}
	}
	return nil
}

// strong reports whether a source of this reliability (Admiralty scale) can back
// what weak ones named.
func strong(reliability string) bool {
	return reliability == "A" || reliability == "B" || reliability == "C"
}

// join merges what a source says into the item that has the pattern.
func (w *writer) join(ctx context.Context, tx *sql.Tx, c *known, was *indicator.Item, r *ready) error {
	have, err := w.handling(ctx, tx, was.Handling)
	if err != nil {
		return err
	}
	both, number := have, was.Handling
	if !have.Equal(r.handling.Handling) {
		both = have.Join(r.handling.Handling)
		number, err = w.intern(ctx, tx, both.String())
		if err != nil {
			return err
		}
	}
	it, found := merge(was, r, both, number)
	for _, f := range found {
		c.rows.finding = append(c.rows.finding, []any{was.Number, f.Code, string(f.Severity), f.Detail, sqldb.Time(w.now)})
	}
	if it == nil {
		return nil
	}
	if it.Handling != was.Handling {
		c.count[place{was.State, was.Handling}]--
		c.count[place{it.State, it.Handling}]++
	}
	c.items[r.key], c.merged[r.key] = it, it
	return nil
}

// merge gives what an item becomes when a source names it again, nil when that
// changes nothing. The strictest marking wins, the later sighting, the longer
// validity (each is within its ceiling); labels add up. An approved item keeps what
// was approved and only gets a finding.
func merge(was *indicator.Item, r *ready, both marking.Handling, number int64) (*indicator.Item, []indicator.Finding) {
	next, add := *was, &r.item
	var found []indicator.Finding
	if add.Observed.After(next.Observed) {
		next.Observed = add.Observed
	}
	stricter := number != was.Handling || was.Enforce && !add.Enforce || was.Display && !add.Display || was.Notify && !add.Notify
	if !was.State.Open() {
		if stricter {
			found = append(found, indicator.Finding{Code: CodeStricter, Severity: indicator.Warn, Detail: policy.Printable(fmt.Sprintf(
				"source %s marks it TLP:%s, enforce %t, display %t, notify %t", r.source.Source,
				strings.ToUpper(add.TLP.String()), add.Enforce, add.Display, add.Notify), 400)})
		}
	} else {
		next.Handling, next.TLP = number, both.TLP()
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
			next.Labels = joinLabels(strings.Split(was.Labels, "\n"), strings.Split(add.Labels, "\n"))
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
		confidence = $8, valid_until = $9, category = $10, context = $11, summary = $12, handling = $14, labels = $15,
		version = version + CASE WHEN handling <> $14 OR enforce <> $4 OR display <> $5 OR notify <> $6 OR disclosure <> $7
			OR valid_until <> $9 OR category <> $10 OR context <> $11 OR summary <> $12 THEN 1 ELSE 0 END,
		modified = CASE WHEN modified < $13 THEN $13 ELSE modified END
		WHERE number = $1`,
		it.Number, sqldb.Time(it.Observed), int64(it.TLP), it.Enforce, it.Display, it.Notify, int64(it.Disclosure),
		int64(it.Confidence), sqldb.Time(it.ValidUntil), int64(it.Category), it.Context, it.Summary, sqldb.Time(w.now), it.Handling, it.Labels)
	if err != nil {
		return fmt.Errorf("intake: merge: %w", err)
	}
	return nil
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
	// A failure takes back the whole portion: SQLite need not be ready to take back
	// this one statement, and copies no page for it.
	text.WriteString("INSERT /* sqlite: OR FAIL */ INTO " + table + " VALUES ")
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
