package search

import (
	"context"
	"fmt"
	"slices"

	"ecs/internal/sqldb"
)

// Count counts the items that a query means, up to most; more says that there are
// further ones. Where filters say it all, items of which the index knows are compared
// by their columns only: what changed in the last seconds may be off.
func Count(ctx context.Context, q sqldb.Querier, r Reader, query *Query, most int) (n int, more bool, err error) {
	f := &finder{q: q, query: query, reader: r, opt: Options{Limit: most, Budget: DefaultBudget}, left: DefaultBudget}
	next, err := f.choose(ctx)
	if err != nil {
		return 0, false, err
	}
	var position int64
	err = q.QueryRowContext(ctx, `SELECT position FROM search_state`).Scan(&position)
	if err != nil {
		return 0, false, fmt.Errorf("search: count: %w", err)
	}
	before := int64(newest)
	for {
		numbers, err := next(ctx, before, 1000)
		if err != nil {
			return 0, false, fmt.Errorf("search: count: %w", err)
		}
		if len(numbers) > 0 {
			before = numbers[len(numbers)-1]
			ok, err := f.narrow(ctx, numbers)
			if err != nil {
				return 0, false, err
			}
			for len(ok) > 0 && query.filters() && ok[len(ok)-1] <= position {
				i, _ := slices.BinarySearchFunc(ok, position, func(e, t int64) int { return int(t - e) }) // falling
				n, ok = n+len(ok)-i, ok[:i]
			}
			docs, err := load(ctx, q, ok[:min(len(ok), most+1)])
			if err != nil {
				return 0, false, err
			}
			for i := range docs {
				docs[i].seen(&r)
				if query.match(&docs[i]) {
					n++
				}
			}
		}
		f.left -= len(numbers)
		switch {
		case n > most:
			return most, true, nil
		case len(numbers) < 1000:
			return n, f.out.Stopped, nil
		case f.left <= 0:
			return n, true, nil
		}
	}
}

// filters reports whether the query has filters only that the index answers exactly.
func (q *Query) filters() bool {
	return !slices.ContainsFunc(q.clauses, func(c clause) bool {
		switch c.field {
		case fieldLabel, fieldSource, fieldASN, fieldHost, fieldBatch, fieldKind, fieldState, fieldCategory, fieldTLP:
			return c.not
		default:
			return true
		}
	})
}
