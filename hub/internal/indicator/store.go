package indicator

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// Columns lists the columns of table item in the order in which [Scan] reads
// and [Item.Values] gives them.
const Columns = `id, state, version, pattern, pattern_key, kind, value, services, category, action, confidence, tlp,
	enforce, display, notify, disclosure, summary, context, privacy, privacy_note, submitter, editor,
	valid_from, valid_until, observed, created, modified, released, ended`

// Values gives the item's columns in the order of [Columns].
func (it *Item) Values() []any {
	key := PatternKey(it.Pattern)
	if it.State.Ended() {
		key = it.ID.String()
	}
	return []any{
		it.ID.String(), string(it.State), it.Version, it.Pattern, key, it.Kind.String(), it.Value, int64(it.Services),
		int64(it.Category), int64(it.Action), int64(it.Confidence), int64(it.TLP),
		it.Enforce, it.Display, it.Notify, int64(it.Disclosure), it.Summary, it.Context, string(it.Privacy), it.PrivacyNote,
		it.Submitter, it.Editor, sqldb.Time(it.ValidFrom), sqldb.Time(it.ValidUntil), sqldb.Time(it.Observed),
		sqldb.Time(it.Created), sqldb.Time(it.Modified), sqldb.Time(it.Released), sqldb.Time(it.Ended),
	}
}

// Scan reads one row of [Columns]; dest is the Scan method of a row.
func Scan(scan func(dest ...any) error) (Item, error) {
	var it Item
	var id, key, kind string
	var from, until, observed, created, modified, released, ended int64
	err := scan(&id, &it.State, &it.Version, &it.Pattern, &key, &kind, &it.Value, &it.Services,
		&it.Category, &it.Action, &it.Confidence, &it.TLP,
		&it.Enforce, &it.Display, &it.Notify, &it.Disclosure, &it.Summary, &it.Context, &it.Privacy, &it.PrivacyNote,
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

// Cursor is a place in a listing: that of an item already seen.
type Cursor struct {
	Created time.Time
	ID      contract.ID
}

// Cursor gives the item's place in a listing, for [Filter.After].
func (it *Item) Cursor() Cursor { return Cursor{Created: it.Created, ID: it.ID} }

// Filter narrows a listing. The zero value lists everything, oldest first, 100
// at a time.
type Filter struct {
	States   []State         // any of these; empty for all
	Text     string          // part of the value, or of the identifier; case does not count
	Provider string          // in force there now: loaded and not yet removed
	Source   string          // named by this source at least once
	Batch    string          // came in this batch
	Kind     observable.Kind // None for all
	Newest   bool            // newest first instead of oldest first
	After    Cursor          // go on behind this item
	Limit    int             // 1 to 1000; 0 means 100
}

// MaxLimit is the most items that one [List] gives.
const MaxLimit = 1000

// List reads items in the order of (created, id), a page at a time: the next
// page begins after the [Item.Cursor] of the last one.
func List(ctx context.Context, q sqldb.Querier, f Filter) ([]Item, error) {
	var w where
	f.conditions(&w)
	order, dir := ">", "ASC"
	if f.Newest {
		order, dir = "<", "DESC"
	}
	if !f.After.ID.IsZero() {
		c, i := w.arg(sqldb.Time(f.After.Created)), w.arg(f.After.ID.String())
		w.and("(created, id) " + order + " (" + c + ", " + i + ")")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	query := `SELECT ` + Columns + ` FROM item` + w.String() +
		` ORDER BY created ` + dir + `, id ` + dir + ` LIMIT ` + w.arg(int64(min(limit, MaxLimit)))
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

// CountMatching counts the items that a listing would give on all its pages;
// After and Limit do not count.
func CountMatching(ctx context.Context, q sqldb.Querier, f Filter) (int64, error) {
	var w where
	f.conditions(&w)
	var n int64
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM item`+w.String(), w.args...).Scan(&n)
	return n, err
}

// Count counts the items in each state. States without items are present as 0.
func Count(ctx context.Context, q sqldb.Querier) (map[State]int64, error) {
	rows, err := q.QueryContext(ctx, `SELECT state, count(*) FROM item GROUP BY state`)
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

func (f *Filter) conditions(w *where) {
	if len(f.States) > 0 {
		marks := make([]string, len(f.States))
		for i, s := range f.States {
			marks[i] = w.arg(string(s))
		}
		w.and("state IN (" + strings.Join(marks, ", ") + ")")
	}
	if f.Text != "" {
		t := w.arg("%" + likeEscape.Replace(strings.ToLower(f.Text)) + "%")
		w.and(`(lower(value) LIKE ` + t + ` ESCAPE '\' OR id LIKE ` + t + ` ESCAPE '\')`)
	}
	if f.Kind != observable.None {
		w.and("kind = " + w.arg(f.Kind.String()))
	}
	if f.Provider != "" {
		w.and("EXISTS (SELECT 1 FROM delivery d WHERE d.item = item.id AND d.provider = " + w.arg(f.Provider) +
			" AND d.loaded > 0 AND d.removed = 0)")
	}
	if f.Source != "" {
		w.and("EXISTS (SELECT 1 FROM item_source s WHERE s.item = item.id AND s.source = " + w.arg(f.Source) + ")")
	}
	if f.Batch != "" {
		w.and("EXISTS (SELECT 1 FROM item_source s WHERE s.item = item.id AND s.batch = " + w.arg(f.Batch) + ")")
	}
}

var likeEscape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

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

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}
