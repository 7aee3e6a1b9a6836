package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Narrow limits a listing of indicators to what the account may see.
func Narrow(ctx context.Context, q sqldb.Querier, a signin.Account, f *indicator.Filter) error {
	handlings, err := Handlings(ctx, q, a)
	f.Handlings = handlings
	if err != nil {
		return err
	}
	only, limited := Source(a, Indicators)
	if limited {
		f.Source = only
	}
	if !May(a, Indicators) {
		f.Handlings = []int64{}
	}
	return nil
}

// Item reads an indicator, if the account may know of it. To an account that may
// not, it does not exist: the same one query finds nothing in either case.
func Item(ctx context.Context, q sqldb.Querier, a signin.Account, id contract.ID) (indicator.Item, error) {
	err := Need(a, Indicators)
	if err != nil {
		return indicator.Item{}, err
	}
	handlings, err := Handlings(ctx, q, a)
	if err != nil {
		return indicator.Item{}, err
	}
	query := `SELECT ` + indicator.Columns + ` FROM item WHERE id = $1 AND ` + indicator.Among("handling", handlings)
	args := []any{id.String()}
	only, limited := Source(a, Indicators)
	if limited {
		query += ` AND EXISTS (SELECT 1 FROM item_source s WHERE s.number = item.number AND s.source = $2)`
		args = append(args, only)
	}
	it, err := indicator.Scan(q.QueryRowContext(ctx, query, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return indicator.Item{}, fmt.Errorf("%w: %s", indicator.ErrNotFound, id)
	}
	return it, err
}

// Sources reads each time that a source named an indicator of which the account may
// know: of other sources' mentions an officer sees none.
func Sources(ctx context.Context, q sqldb.Querier, a signin.Account, id contract.ID) ([]indicator.Source, error) {
	all, err := indicator.Sources(ctx, q, id)
	if err != nil {
		return nil, err
	}
	handlings, err := Handlings(ctx, q, a)
	if err != nil {
		return nil, err
	}
	only, limited := Source(a, Indicators)
	out := all[:0]
	for _, s := range all {
		if indicator.Holds(handlings, s.Handling) && (!limited || s.Source == only) {
			out = append(out, s)
		}
	}
	return out, nil
}

// Count counts the items in each state of which the account may know.
func Count(ctx context.Context, q sqldb.Querier, a signin.Account) (map[indicator.State]int64, error) {
	var f indicator.Filter
	err := Narrow(ctx, q, a, &f)
	if err != nil {
		return nil, err
	}
	if f.Source == "" {
		return indicator.Count(ctx, q, f.Handlings)
	}
	out := make(map[indicator.State]int64, len(indicator.States))
	for _, s := range indicator.States {
		f.States = []indicator.State{s}
		out[s], _, err = indicator.CountMatching(ctx, q, f)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// After gives the place in a listing behind an indicator: readers go on from the
// last one that they have seen, so that no number tells how many there are between.
// One of which the account may not know is no place, nor is one that never was.
func After(ctx context.Context, q sqldb.Querier, a signin.Account, cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	id, err := contract.ParseID(cursor)
	if err != nil {
		return 0, fmt.Errorf("%w: %q", ErrCursor, cursor)
	}
	it, err := Item(ctx, q, a, id)
	if errors.Is(err, indicator.ErrNotFound) {
		return 0, fmt.Errorf("%w: %q", ErrCursor, cursor)
	}
	return it.Number, err
}

// ErrCursor says that the place in a listing is none.
var ErrCursor = errors.New("there is no such place in this listing")
