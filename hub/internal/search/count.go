package search

import (
	"context"
	"fmt"

	"ecs/internal/sqldb"
)

// Count counts the items that a query of filters means, up to most; more says that
// there are further ones. It compares columns and asks the index for the rest, without
// reading texts: words, phrases and hidden values are for [Find]. It is for numbers
// beside a link, and may be off by what changed in the last seconds.
func Count(ctx context.Context, q sqldb.Querier, r Reader, query *Query, most int) (n int, more bool, err error) {
	f := &finder{q: q, query: query, reader: r, opt: Options{Limit: most, Budget: DefaultBudget}, left: DefaultBudget}
	next, err := f.choose(ctx)
	if err != nil {
		return 0, false, err
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
			n += len(ok)
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
