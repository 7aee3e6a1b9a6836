package export

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/internal/sqldb"
)

// Rows reads a selection in the order of its numbers, a page of 1,000 at a time, by
// three queries each: memory does not grow with the selection. f.Handlings limits
// it to what the reader is cleared for; f.Limit does not count.
func Rows(ctx context.Context, q sqldb.Querier, f indicator.Filter) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		known := map[int64]marking.Handling{}
		f.Limit = indicator.MaxLimit
		for {
			items, err := indicator.List(ctx, q, f)
			if err != nil {
				yield(Row{}, err)
				return
			}
			page, err := fill(ctx, q, items, known)
			if err != nil {
				yield(Row{}, fmt.Errorf("export: %w", err))
				return
			}
			for i := range page {
				if !yield(page[i], nil) {
					return
				}
			}
			if len(items) < f.Limit {
				return
			}
			f.After = items[len(items)-1].Number
		}
	}
}

// fill adds to items what a row needs beside. known are the handlings that were met.
func fill(ctx context.Context, q sqldb.Querier, items []indicator.Item, known map[int64]marking.Handling) ([]Row, error) {
	if len(items) == 0 {
		return nil, nil
	}
	page := make([]Row, len(items))
	numbers, ids, marks := make([]any, len(items)), make([]any, len(items)), make([]string, len(items))
	byID, byNumber := map[string]*Row{}, map[int64]*Row{}
	for i := range items {
		page[i].Item = items[i]
		numbers[i], ids[i], marks[i] = items[i].Number, items[i].ID.String(), "$"+strconv.Itoa(i+1)
		byID[items[i].ID.String()], byNumber[items[i].Number] = &page[i], &page[i]
	}
	list := strings.Join(marks, ", ")
	err := handle(ctx, q, page, known)
	if err != nil {
		return nil, err
	}
	// Versions come in their order, so that the newest stays. A blank one speaks to a
	// single provider and says nothing.
	err = each(ctx, q, `SELECT item, body FROM object WHERE item IN (`+list+`) AND NOT blank ORDER BY item, modified`, ids, func(rows *sql.Rows) error {
		var id, body string
		err := rows.Scan(&id, &body)
		if err == nil {
			byID[id].Object = []byte(body)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, each(ctx, q, `SELECT DISTINCT m.number, s.reliability, m.credibility FROM item_source m JOIN source s ON s.id = m.source
		WHERE m.number IN (`+list+`) AND NOT m.revoked ORDER BY m.number, s.reliability, m.credibility`, numbers, func(rows *sql.Rows) error {
		var number int64
		var g Grade
		err := rows.Scan(&number, &g.Reliability, &g.Credibility)
		if err == nil {
			r := byNumber[number]
			r.Sources = append(r.Sources, g)
		}
		return err
	})
}

// handle adds the handlings, which are read again only when one is new. A text that
// cannot be read leaves the zero Handling, so that the row is withheld.
func handle(ctx context.Context, q sqldb.Querier, page []Row, known map[int64]marking.Handling) error {
	for i := range page {
		n := page[i].Item.Handling
		h, ok := known[n]
		if !ok {
			texts, err := indicator.Handlings(ctx, q)
			if err != nil {
				return err
			}
			for number, text := range texts {
				h, err := marking.ParseHandling(text)
				if err != nil {
					h = marking.Handling{}
				}
				known[number] = h
			}
			h = known[n]
			known[n] = h
		}
		page[i].Handling = h
	}
	return nil
}

func each(ctx context.Context, q sqldb.Querier, query string, args []any, f func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		err = f(rows)
		if err != nil {
			return err
		}
	}
	return rows.Err()
}
