package search

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// Reader says what whoever asks may see. The zero Reader sees what nobody marked
// against display, of all handlings: only the program itself asks so.
type Reader struct {
	Handlings []int64 // cleared for these; nil: for all
	Limited   bool    // to what Source named
	Source    string
	Values    bool // may see values whose marking forbids display
}

// Options of [Find].
type Options struct {
	After int64 // go on behind the item of this number, towards older ones; 0: from the newest
	Floor int64 // only items with greater numbers
	Limit int   // 1 to 1,000; 0 means 50
	// Budget is how many rows are looked at: postings and items; 0 means
	// [DefaultBudget].
	Budget int
}

// DefaultBudget is enough for some hundredths of a second. A posting counts one, and
// one for each 2,048 bytes of it.
const DefaultBudget = 8_000

// Result is one page of what was found.
type Result struct {
	Items []indicator.Item
	// Next is for Options.After: where the next page begins; 0: there is no more.
	Next int64
	// Stopped: the budget was spent before the page was full. Next goes on.
	Stopped bool
	// Exact: these are the items of exactly the value or identifier that was asked
	// for; others may contain it as a part.
	Exact bool
	// Behind: not everything is indexed yet, so that newer ones may be missing.
	Behind bool
	// Common: the beginning of a word stands for so many words that some were left
	// out.
	Common bool
}

// ReferenceKey gives the short digest under which item_source keeps a source's own
// identifier, 0 for none.
func ReferenceKey(ref string) int64 {
	if ref == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(ref))
	return int64(binary.BigEndian.Uint64(sum[:8]) | 1) //nolint:gosec // any 64 bits will do
}

// finder works on one query.
type finder struct {
	q      sqldb.Querier
	query  *Query
	reader Reader
	opt    Options
	left   int // of the budget
	out    Result
}

// candidates gives numbers below before, the greatest first, at most n. Fewer than n
// are the last ones.
type candidates func(ctx context.Context, before int64, n int) ([]int64, error)

// Find gives the items that a query means, the newest first. An item that the
// reader may not know of leaves no trace.
func Find(ctx context.Context, q sqldb.Querier, r Reader, query *Query, opt Options) (Result, error) {
	if opt.Limit <= 0 {
		opt.Limit = 50
	}
	opt.Limit = min(opt.Limit, indicator.MaxLimit)
	if opt.Budget <= 0 {
		opt.Budget = DefaultBudget
	}
	f := &finder{q: q, query: query, reader: r, opt: opt, left: opt.Budget}
	exact := query.exact()
	if exact != nil && opt.After == 0 {
		g := *f
		g.query = exact
		res, err := g.run(ctx)
		if err != nil || len(res.Items) > 0 {
			res.Exact = true
			return res, err
		}
	}
	return f.run(ctx)
}

// exact gives the query for exactly the value or identifier that the text is, nil
// when it is none.
func (q *Query) exact() *Query {
	if len(q.clauses) != 1 || strings.ContainsAny(q.text, "\"* ") {
		return nil
	}
	c := q.clauses[0]
	if c.field != "" || c.not {
		return nil
	}
	id, err := contract.ParseID(strings.ToLower(q.text))
	if err == nil {
		return &Query{text: q.text, clauses: []clause{{field: fieldID, alts: []alt{{text: id.String()}}}}}
	}
	a, err := observable.FromValue(q.text)
	if err != nil {
		return nil
	}
	return &Query{text: q.text, clauses: []clause{{field: fieldValue, alts: []alt{{text: a.Value, words: []string{q.text}}}}}}
}

// newest is beyond every number: they have 31 bits in PostgreSQL.
const newest = math.MaxInt32

func (f *finder) run(ctx context.Context) (Result, error) {
	f.out = Result{Items: []indicator.Item{}}
	before := f.opt.After
	if before <= 0 {
		before = newest
	}
	from, to, err := f.bounds(ctx)
	if err != nil {
		return f.out, err
	}
	before, f.opt.Floor = min(before, to, newest), max(f.opt.Floor, from)
	next, err := f.choose(ctx)
	if err != nil {
		return f.out, err
	}
	for n := 2 * f.opt.Limit; ; n = min(2*n, 1000) {
		n = max(1, min(n, f.left))
		numbers, err := next(ctx, before, n)
		if err != nil {
			return f.out, fmt.Errorf("search: %w", err)
		}
		last := len(numbers) < n
		f.left -= len(numbers)
		for i, number := range numbers {
			if number <= f.opt.Floor {
				numbers, last, f.out.Stopped = numbers[:i], true, false
				break
			}
		}
		full, err := f.verify(ctx, numbers)
		if err != nil || full || f.out.Stopped || last {
			return f.out, err
		}
		before = numbers[len(numbers)-1]
		if f.left <= 0 {
			f.out.Stopped, f.out.Next = true, before
			return f.out, nil
		}
	}
}

// verify adds those of the numbers that are what is looked for, until the page is
// full.
func (f *finder) verify(ctx context.Context, numbers []int64) (full bool, err error) {
	for len(numbers) > 0 {
		some := numbers[:min(len(numbers), 500)]
		numbers = numbers[len(some):]
		ok, err := f.narrow(ctx, some)
		if err != nil {
			return false, err
		}
		for len(ok) > 0 {
			chunk := ok[:min(len(ok), max(f.opt.Limit-len(f.out.Items)+1, 16))]
			ok = ok[len(chunk):]
			docs, err := load(ctx, f.q, chunk)
			if err != nil {
				return false, err
			}
			for i := range docs {
				it := docs[i].Item
				docs[i].seen(&f.reader)
				if !f.query.match(&docs[i]) {
					continue
				}
				if len(f.out.Items) == f.opt.Limit {
					f.out.Stopped = false
					f.out.Next = f.out.Items[len(f.out.Items)-1].Number
					return true, nil
				}
				f.out.Items = append(f.out.Items, it)
			}
		}
	}
	return false, nil
}

// narrow asks the database which of the numbers meet what stands in columns. The
// order stays.
func (f *finder) narrow(ctx context.Context, numbers []int64) ([]int64, error) {
	// The index of states has the numbers as well: most are answered without a row.
	for i := range f.query.clauses {
		c := &f.query.clauses[i]
		if c.field != fieldState || c.not {
			continue
		}
		var w where
		var states []any
		for _, a := range c.alts {
			states = append(states, a.text)
		}
		w.in("state", states)
		w.in("number", ints(numbers))
		var err error
		numbers, err = numbersOf(ctx, f.q, `SELECT number FROM item`+w.String(), w.args)
		if err != nil || len(numbers) == 0 {
			return nil, err
		}
	}
	var w where
	w.in("number", ints(numbers))
	f.conditions(&w)
	got, err := numbersOf(ctx, f.q, `SELECT number FROM item`+w.String(), w.args)
	if err != nil {
		return nil, err
	}
	slices.Sort(got)
	slices.Reverse(got)
	return got, nil
}

// conditions asks for what the reader may know of, and for filters on columns. What
// is wrapped in || ” or + is meant to keep planners from other indexes than that of
// the numbers.
func (f *finder) conditions(w *where) {
	if f.reader.Handlings != nil {
		w.in("+handling", ints(f.reader.Handlings))
	}
	if f.reader.Limited {
		w.and("EXISTS (SELECT 1 FROM item_source s WHERE s.number = item.number AND s.source = " + w.arg(f.reader.Source) + ")")
	}
	for i := range f.query.clauses {
		c := &f.query.clauses[i]
		var column string
		args := make([]any, 0, len(c.alts))
		switch c.field {
		case fieldState, fieldKind:
			column = c.field + " || ''"
			for _, a := range c.alts {
				args = append(args, a.text)
			}
		case fieldCategory, fieldTLP:
			column = "+" + c.field
			for _, a := range c.alts {
				args = append(args, code(c.field, a.text))
			}
		case fieldSince, fieldUntil:
			if !c.not && len(c.alts) == 1 {
				op := " >= "
				if c.field == fieldUntil {
					op = " < "
				}
				w.and("created" + op + w.arg(sqldb.Time(c.alts[0].from)))
			}
			continue
		case fieldBatch:
			f.inBatch(w, c)
			continue
		default:
			continue
		}
		if c.not {
			w.notIn(column, args)
		} else {
			w.in(column, args)
		}
	}
}

func code(field, text string) int64 {
	if field == fieldTLP {
		var t contract.TLP
		_ = t.UnmarshalText([]byte(text)) // Parse wrote it
		return int64(t)
	}
	var c contract.Category
	_ = c.UnmarshalText([]byte(text)) // Parse wrote it
	return int64(c)
}

func (f *finder) inBatch(w *where, c *clause) {
	args := make([]string, len(c.alts))
	for i, a := range c.alts {
		args[i] = w.arg(a.text)
	}
	not := ""
	if c.not {
		not = "NOT "
	}
	own := ""
	if f.reader.Limited {
		own = " AND source = " + w.arg(f.reader.Source)
	}
	w.and(not + "EXISTS (SELECT 1 FROM item_source s WHERE s.number = item.number AND s.batch IN (SELECT number FROM batch WHERE id IN (" +
		strings.Join(args, ", ") + ")" + own + "))")
}

// slack is by how much items may have been received in another order than that of
// their numbers: large deliveries are read side by side, each for minutes.
const slack = 2 * time.Hour

// bounds turns since and until into numbers.
func (f *finder) bounds(ctx context.Context) (from, to int64, err error) {
	from, to = 0, newest
	for i := range f.query.clauses {
		c := &f.query.clauses[i]
		if c.not || len(c.alts) != 1 {
			continue
		}
		switch c.field {
		case fieldSince:
			n, err := f.numberAt(ctx, c.alts[0].from.Add(-slack))
			if err != nil {
				return 0, 0, err
			}
			from = max(from, n-1)
		case fieldUntil:
			n, err := f.numberAt(ctx, c.alts[0].from.Add(slack))
			if err != nil {
				return 0, 0, err
			}
			to = min(to, n)
		}
	}
	return from, to, nil
}

// numberAt gives the first number that was received at or after a moment, by
// halving.
func (f *finder) numberAt(ctx context.Context, at time.Time) (int64, error) {
	head, err := headOf(ctx, f.q)
	if err != nil {
		return 0, err
	}
	low, high := int64(1), head+1
	for low < high {
		mid := low + (high-low)/2
		var number, created int64
		err = f.q.QueryRowContext(ctx, `SELECT number, created FROM item WHERE number >= $1 ORDER BY number LIMIT 1`, mid).Scan(&number, &created)
		f.left--
		switch {
		case noRows(err):
			high = mid
		case err != nil:
			return 0, fmt.Errorf("search: %w", err)
		case created < sqldb.Time(at):
			low = number + 1
		default:
			high = mid
		}
	}
	return low, nil
}

func headOf(ctx context.Context, q sqldb.Querier) (head int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT value FROM counter WHERE name = 'item'`).Scan(&head)
	if err != nil {
		return 0, fmt.Errorf("search: %w", err)
	}
	return head, nil
}

func ints(of []int64) []any {
	out := make([]any, len(of))
	for i, n := range of {
		out[i] = n
	}
	return out
}

func numbersOf(ctx context.Context, q sqldb.Querier, query string, args []any) ([]int64, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []int64
	for rows.Next() {
		var n int64
		err = rows.Scan(&n)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
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

func (w *where) list(of []any) string {
	marks := make([]string, len(of))
	for i, v := range of {
		marks[i] = w.arg(v)
	}
	return "(" + strings.Join(marks, ", ") + ")"
}

// in asks for a column to be one of some values; none of them asks for nothing.
func (w *where) in(column string, of []any) {
	if len(of) == 0 {
		w.and("1 = 0")
		return
	}
	w.and(column + " IN " + w.list(of))
}

func (w *where) notIn(column string, of []any) { w.and(column + " NOT IN " + w.list(of)) }

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}
