package search

import (
	"context"
	"fmt"
	"math"
	"slices"

	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
)

// few is how many candidates are read at once rather than intersected.
const few = 2000

// choose decides where candidates come from: an index of the database for what it
// answers by itself, a state with few items, else the inverted index, else all items
// from the newest on.
func (f *finder) choose(ctx context.Context) (candidates, error) {
	for i := range f.query.clauses {
		c := &f.query.clauses[i]
		if c.not {
			continue
		}
		switch c.field {
		case fieldID, fieldValue:
			return f.byValue(ctx, c)
		case fieldObject:
			var w where
			keys := make([]int64, len(c.alts))
			for i, a := range c.alts {
				keys[i] = ReferenceKey(a.text)
			}
			w.in("reference_key", ints(keys))
			if f.reader.Limited {
				w.and("source = " + w.arg(f.reader.Source))
			}
			w.and("reference_key <> 0") // the index has no others
			return f.all(ctx, `SELECT DISTINCT number + 0 FROM item_source`+w.String()+` ORDER BY 1 DESC LIMIT `+w.arg(int64(f.opt.Budget)), w.args)
		case fieldBatch:
			return f.byBatch(ctx, c)
		}
	}
	states, total, err := f.states(ctx)
	if err != nil {
		return nil, err
	}
	if states != nil && total <= few {
		var w where
		w.in("state", states)
		return f.all(ctx, `SELECT number FROM item`+w.String()+` ORDER BY number + 0 DESC LIMIT `+w.arg(int64(few)), w.args)
	}
	needs := f.needs()
	if len(needs) > 0 && (f.indexed() || states == nil && f.reader.Handlings != nil) {
		return newIndexed(ctx, f, needs)
	}
	var w where
	if len(states) == 1 {
		w.in("state", states)
	}
	return func(ctx context.Context, before int64, n int) ([]int64, error) {
		w := where{terms: slices.Clone(w.terms), args: slices.Clone(w.args)}
		w.and("number < " + w.arg(before))
		return numbersOf(ctx, f.q, `SELECT number FROM item`+w.String()+` ORDER BY number DESC LIMIT `+w.arg(int64(n)), w.args)
	}, nil
}

// all reads candidates by one query, in falling order. None orders by the bare
// number: planners would rather walk through all items in that order.
func (f *finder) all(ctx context.Context, query string, args []any) (candidates, error) {
	numbers, err := numbersOf(ctx, f.q, query, args)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return func(_ context.Context, before int64, n int) ([]int64, error) {
		i, _ := slices.BinarySearchFunc(numbers, before, func(e, t int64) int { // falling
			if e >= t {
				return -1
			}
			return 1
		})
		return numbers[i:min(len(numbers), i+n)], nil
	}, nil
}

// byValue finds living items of one value by the key of their pattern, all others by
// the index of values, and items by their identifiers.
func (f *finder) byValue(ctx context.Context, c *clause) (candidates, error) {
	var w where
	var keys, texts []any
	for _, a := range c.alts {
		texts = append(texts, a.text)
		if c.field == fieldID {
			continue
		}
		for _, v := range append([]string{a.text}, a.words...) {
			texts = append(texts, v)
			for _, k := range indicator.ValueKeys(v) {
				keys = append(keys, k)
			}
		}
	}
	var query string
	if c.field == fieldID {
		query = `SELECT number FROM item WHERE id IN ` + w.list(texts)
	} else {
		query = `SELECT number FROM item WHERE pattern_key IN ` + w.list(keys) +
			` UNION SELECT number FROM item WHERE value IN ` + w.list(texts) + ` AND (ended > 0 OR atoms <> 1)`
	}
	return f.all(ctx, query+` ORDER BY 1 DESC LIMIT `+w.arg(int64(f.opt.Budget)), w.args)
}

// byBatch walks through the items of deliveries in their order.
func (f *finder) byBatch(ctx context.Context, c *clause) (candidates, error) {
	var w where
	args := make([]any, len(c.alts))
	for i, a := range c.alts {
		args[i] = a.text
	}
	w.in("id", args)
	if f.reader.Limited {
		w.and("source = " + w.arg(f.reader.Source))
	}
	batches, err := numbersOf(ctx, f.q, `SELECT number FROM batch`+w.String(), w.args)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return func(ctx context.Context, before int64, n int) ([]int64, error) {
		var out []int64
		for _, b := range batches {
			got, err := numbersOf(ctx, f.q, `SELECT DISTINCT number FROM item_source WHERE batch = $1 AND number < $2 ORDER BY number DESC LIMIT $3`,
				[]any{b, before, int64(n)})
			if err != nil {
				return nil, err
			}
			out = append(out, got...)
		}
		slices.Sort(out)
		slices.Reverse(out)
		out = slices.Compact(out)
		return out[:min(len(out), n)], nil
	}, nil
}

// states gives the states that the query asks for, nil for any, and how many items
// there are in them.
func (f *finder) states(ctx context.Context) (states []any, total int64, err error) {
	for i := range f.query.clauses {
		c := &f.query.clauses[i]
		if c.field != fieldState || c.not {
			continue
		}
		states = nil
		for _, a := range c.alts {
			states = append(states, a.text)
		}
		var w where
		w.in("state", states)
		err = f.q.QueryRowContext(ctx, `SELECT coalesce(sum(n), 0) FROM item_count`+w.String(), w.args...).Scan(&total)
		if err != nil {
			return nil, 0, fmt.Errorf("search: %w", err)
		}
		return states, total, nil
	}
	return nil, math.MaxInt64, nil
}

// partOf is one part of the index.
type partOf struct {
	part, base, low, high, mention int64
}

func parts(ctx context.Context, q sqldb.Querier) ([]partOf, error) {
	rows, err := q.QueryContext(ctx, `SELECT part, base, low, high, mention FROM search_part WHERE stage = 1 ORDER BY base DESC, low DESC`)
	if err != nil {
		return nil, fmt.Errorf("search: parts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []partOf
	for rows.Next() {
		var p partOf
		err = rows.Scan(&p.part, &p.base, &p.low, &p.high, &p.mention)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
