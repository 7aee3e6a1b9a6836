package indicator

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// Columns lists the columns of table item in the order in which [Scan] reads
// and [Item.Values] gives them.
const Columns = `number, id, state, version, pattern, pattern_key, kind, value, atoms, pivot, services, category, action, confidence,
	handling, tlp, enforce, display, notify, disclosure, labels, summary, context, privacy, privacy_note, submitter, editor,
	valid_from, valid_until, observed, created, modified, released, ended`

// Values gives the item's columns in the order of [Columns].
func (it *Item) Values() []any {
	key := PatternKey(it.Pattern)
	if it.State.Ended() {
		key = it.ID.String()
	}
	return []any{
		it.Number, it.ID.String(), string(it.State), it.Version, it.Pattern, key, it.Kind.String(), it.Value, int64(it.Atoms), it.Pivot, int64(it.Services),
		int64(it.Category), int64(it.Action), int64(it.Confidence), it.Handling, int64(it.TLP),
		it.Enforce, it.Display, it.Notify, int64(it.Disclosure), it.Labels, it.Summary, it.Context, string(it.Privacy), it.PrivacyNote,
		it.Submitter, it.Editor, sqldb.Time(it.ValidFrom), sqldb.Time(it.ValidUntil), sqldb.Time(it.Observed),
		sqldb.Time(it.Created), sqldb.Time(it.Modified), sqldb.Time(it.Released), sqldb.Time(it.Ended),
	}
}

// Scan reads one row of [Columns]; dest is the Scan method of a row.
func Scan(scan func(dest ...any) error) (Item, error) {
	var it Item
	var id, key, kind string
	var from, until, observed, created, modified, released, ended int64
	err := scan(&it.Number, &id, &it.State, &it.Version, &it.Pattern, &key, &kind, &it.Value, &it.Atoms, &it.Pivot, &it.Services,
		&it.Category, &it.Action, &it.Confidence, &it.Handling, &it.TLP,
		&it.Enforce, &it.Display, &it.Notify, &it.Disclosure, &it.Labels, &it.Summary, &it.Context, &it.Privacy, &it.PrivacyNote,
		&it.Submitter, &it.Editor, &from, &until, &observed, &created, &modified, &released, &ended)
	if err != nil {
		return it, err
	}
	it.ID, err = contract.ParseID(id)
	if err != nil {
		return it, fmt.Errorf("indicator: stored id: %w", err)
	}
	if kind != observable.None.String() {
		it.Kind, err = observable.ParseKind(kind)
		if err != nil {
			return it, fmt.Errorf("indicator: %s: %w", id, err)
		}
	}
	it.ValidFrom, it.ValidUntil, it.Observed = sqldb.FromTime(from), sqldb.FromTime(until), sqldb.FromTime(observed)
	it.Created, it.Modified = sqldb.FromTime(created), sqldb.FromTime(modified)
	it.Released, it.Ended = sqldb.FromTime(released), sqldb.FromTime(ended)
	return it, nil
}

// Get reads one item. The error wraps [ErrNotFound] when there is none.
func Get(ctx context.Context, q sqldb.Querier, id contract.ID) (Item, error) {
	it, err := Scan(q.QueryRowContext(ctx, `SELECT `+Columns+` FROM item WHERE id = $1`, id.String()).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return it, fmt.Errorf("indicator: %s: %w", id, ErrNotFound)
	}
	return it, err
}

// Filter narrows a listing. The zero value lists everything, oldest first, 100
// at a time.
type Filter struct {
	States []State // any of these; empty for all
	Value  string  // exactly this canonical value
	// Text is a whole identifier, or a whole value however it is spelled: both have an
	// index. For parts of values and for words see hub/internal/search.
	Text     string
	Pivot    string // neighbors that share this, see [Pivot]
	Category *contract.Category
	TLP      *contract.TLP
	Provider string          // in force there now: loaded and not yet removed
	Source   string          // named by this source at least once
	Batch    string          // came in this batch
	Kind     observable.Kind // None for all
	Newest   bool            // newest first instead of oldest first
	// Handlings are the handlings that whoever asks is cleared for. Nil means all:
	// only what acts for the program itself may ask so. See hub/internal/access.
	Handlings []int64
	After     int64 // go on behind the item of this number; 0 from the beginning
	Limit     int   // 1 to 1000; 0 means 100
}

// MaxLimit is the most items that one [List] gives.
const MaxLimit = 1000

// List reads items in the order of their numbers, a page at a time: the next page
// begins after the number of the last one.
func List(ctx context.Context, q sqldb.Querier, f Filter) ([]Item, error) {
	var w where
	f.conditions(&w)
	order, dir := ">", "ASC"
	if f.Newest {
		order, dir = "<", "DESC"
	}
	if f.After != 0 {
		w.and("number " + order + " " + w.arg(f.After))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	query := `SELECT ` + Columns + ` FROM item` + w.String() +
		` ORDER BY number ` + dir + ` LIMIT ` + w.arg(int64(min(limit, MaxLimit)))
	rows, err := q.QueryContext(ctx, query, w.args...)
	if err != nil {
		return nil, fmt.Errorf("indicator: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Item
	for rows.Next() {
		it, err := Scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, it)
	}
	return out, rows.Err()
}

// MaxCount is how far [CountMatching] counts.
const MaxCount = 10_000

// CountMatching counts the items that a listing would give on all its pages, but
// no further than [MaxCount]: to whoever looks at a page, more is many, and
// counting millions takes seconds. After and Limit do not count.
func CountMatching(ctx context.Context, q sqldb.Querier, f Filter) (n int64, more bool, err error) {
	var w where
	f.conditions(&w)
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM item`+w.String()+
		` LIMIT `+w.arg(int64(MaxCount+1))+`) AS matching`, w.args...).Scan(&n)
	return min(n, MaxCount), n > MaxCount, err
}

// Count counts the items in each state under the given handlings (nil: all), from
// the running count. States without items are present as 0.
func Count(ctx context.Context, q sqldb.Querier, handlings []int64) (map[State]int64, error) {
	var w where
	if handlings != nil {
		w.in("handling", handlings)
	}
	rows, err := q.QueryContext(ctx, `SELECT state, coalesce(sum(n), 0) FROM item_count`+w.String()+` GROUP BY state`, w.args...)
	if err != nil {
		return nil, fmt.Errorf("indicator: count: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := make(map[State]int64, len(States))
	for _, s := range States {
		out[s] = 0
	}
	for rows.Next() {
		var s State
		var n int64
		err = rows.Scan(&s, &n)
		if err != nil {
			return nil, err
		}
		out[s] = n
	}
	return out, rows.Err()
}

// Tally moves the running count of [Count] by n items. Whatever writes the state
// or the handling of items without [Move] and [Update] calls it in the same
// transaction.
func Tally(ctx context.Context, tx *sql.Tx, s State, handling, n int64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO item_count (state, handling, n) VALUES ($1, $2, $3)
		ON CONFLICT (state, handling) DO UPDATE SET n = item_count.n + excluded.n`, string(s), handling, n)
	if err != nil {
		return fmt.Errorf("indicator: count: %w", err)
	}
	return nil
}

func (f *Filter) conditions(w *where) {
	if len(f.States) > 0 {
		marks := make([]string, len(f.States))
		for i, s := range f.States {
			marks[i] = w.arg(string(s))
		}
		w.and("state IN (" + strings.Join(marks, ", ") + ")")
	}
	if f.Handlings != nil {
		w.in("+handling", f.Handlings) // the sign keeps planners from sorting millions of rows by an index on it
	}
	if f.Value != "" {
		w.value(f.Value)
	}
	if f.Pivot != "" {
		w.and("pivot = " + w.arg(f.Pivot) + " AND pivot <> ''") // as the index has it
	}
	if f.Category != nil {
		w.and("category = " + w.arg(int64(*f.Category)))
	}
	if f.TLP != nil {
		w.and("tlp = " + w.arg(int64(*f.TLP)))
	}
	if f.Text != "" {
		w.text(f.Text)
	}
	if f.Kind != observable.None {
		w.and("kind = " + w.arg(f.Kind.String()))
	}
	if f.Provider != "" {
		w.and("EXISTS (SELECT 1 FROM delivery d WHERE d.item = item.id AND d.provider = " + w.arg(f.Provider) +
			" AND d.loaded > 0 AND d.removed = 0)")
	}
	if f.Source != "" {
		w.and("EXISTS (SELECT 1 FROM item_source s WHERE s.number = item.number AND s.source = " + w.arg(f.Source) + ")")
	}
	if f.Batch != "" {
		w.and("EXISTS (SELECT 1 FROM item_source s WHERE s.number = item.number AND s.batch = (SELECT number FROM batch WHERE id = " +
			w.arg(f.Batch) + "))")
	}
}

// where builds the conditions of a query and numbers its arguments.
type where struct {
	terms []string
	args  []any
}

func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

func (w *where) and(term string) { w.terms = append(w.terms, term) }

// value asks for an item of exactly this value: by the key of its pattern, or
// among the ended ones and those of several values by the value itself.
func (w *where) value(v string) {
	marks := make([]string, 0, 3)
	for _, key := range ValueKeys(v) {
		marks = append(marks, w.arg(key))
	}
	w.and("(pattern_key IN (" + strings.Join(marks, ", ") + ") OR value = " + w.arg(v) + " AND (ended > 0 OR atoms <> 1))")
}

// text asks for the item of this identifier, or for those of this value, however it
// is spelled. Each part of the union has an index.
func (w *where) text(t string) {
	t = strings.TrimSpace(t)
	values := []string{w.arg(t), w.arg(strings.ToLower(t))}
	a, err := observable.FromValue(t)
	if err == nil {
		values = append(values, w.arg(a.Value))
	}
	keys := make([]string, 0, 3)
	for _, key := range ValueKeys(t) {
		keys = append(keys, w.arg(key))
	}
	w.and(`number IN (SELECT number FROM item WHERE id = ` + values[1] +
		` UNION SELECT number FROM item WHERE pattern_key IN (` + strings.Join(keys, ", ") + `)` +
		` UNION SELECT number FROM item WHERE value IN (` + strings.Join(values, ", ") + `) AND (ended > 0 OR atoms <> 1))`)
}

// in asks for a column to be one of some numbers; none of them asks for nothing.
func (w *where) in(column string, of []int64) {
	if len(of) == 0 {
		w.and("1 = 0")
		return
	}
	marks := make([]string, len(of))
	for i, n := range of {
		marks[i] = w.arg(n)
	}
	w.and(column + " IN (" + strings.Join(marks, ", ") + ")")
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}
