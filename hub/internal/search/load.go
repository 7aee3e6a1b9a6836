package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
)

func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// load reads items as they are searched, the greatest number first. Numbers without
// an item are left out.
func load(ctx context.Context, q sqldb.Querier, numbers []int64) ([]doc, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	var w where
	w.in("number", ints(numbers))
	out, err := readDocs(ctx, q, `SELECT `+indicator.Columns+` FROM item`+w.String(), w.args)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b doc) int { return int(b.Number - a.Number) })
	return out, addMentions(ctx, q, out, `SELECT number, source, reference FROM item_source`+w.String(), w.args)
}

// loadRange reads the items of a range of numbers, in their order.
func loadRange(ctx context.Context, q sqldb.Querier, low, high int64) ([]doc, error) {
	out, err := readDocs(ctx, q, `SELECT `+indicator.Columns+` FROM item WHERE number BETWEEN $1 AND $2 ORDER BY number`, []any{low, high})
	if err != nil {
		return nil, err
	}
	return out, addMentions(ctx, q, out, `SELECT number, source, reference FROM item_source WHERE number BETWEEN $1 AND $2`, []any{low, high})
}

func readDocs(ctx context.Context, q sqldb.Querier, query string, args []any) ([]doc, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("search: items: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []doc
	for rows.Next() {
		it, err := indicator.Scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, doc{Item: it})
	}
	return out, rows.Err()
}

func addMentions(ctx context.Context, q sqldb.Querier, docs []doc, query string, args []any) error {
	at := make(map[int64]*doc, len(docs))
	for i := range docs {
		at[docs[i].Number] = &docs[i]
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("search: mentions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var number int64
		var m mention
		err = rows.Scan(&number, &m.source, &m.reference)
		if err != nil {
			return err
		}
		d := at[number]
		if d != nil && !slices.Contains(d.mentions, m) {
			d.mentions = append(d.mentions, m)
		}
	}
	return rows.Err()
}
