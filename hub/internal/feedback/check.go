package feedback

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
)

// words are all that may stand between quotation marks in a window, besides an
// indicator's identifier.
var words = func() map[string]bool {
	out := map[string]bool{}
	for _, w := range []string{
		"day", "service", "rules", "cells", "indicator", "category", "sector", "action", "events",
		"customers", "wrong", "first", "last",
	} {
		out[w] = true
	}
	for c := contract.Category(0); c.String() != "unknown"; c++ {
		out[c.String()] = true
	}
	for a := contract.Action(0); a.String() != "unknown"; a++ {
		out[a.String()] = true
	}
	for _, s := range contract.AllServices.Each() {
		out[s.String()] = true
	}
	return out
}()

// clean is the second line of defense behind [contract.ParseWindow] and knows
// nothing of its schema: outside of a closed vocabulary and of identifiers the
// bytes may hold whole numbers and JSON's own signs alone. So no address, mail
// address, host name or other text can hide in them, wherever it stands.
func clean(body []byte) bool {
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			end := i + 1
			for end < len(body) && body[end] != '"' {
				end++
			}
			if end == len(body) || !allowed(string(body[i+1:end])) {
				return false
			}
			i = end
		case c >= '0' && c <= '9':
			end := i
			for end < len(body) && body[end] >= '0' && body[end] <= '9' {
				end++
			}
			if end-i > 20 { // no number of a window is longer than 64 bits
				return false
			}
			i = end - 1
		case c == ':':
			if i == 0 || body[i-1] != '"' { // as in 2001:db8::1 or 12:30
				return false
			}
		case strings.IndexByte("{}[],-\n", c) < 0:
			return false
		}
	}
	return true
}

func allowed(word string) bool {
	if words[word] {
		return true
	}
	id, err := contract.ParseID(word)
	return err == nil && id.String() == word
}

// released checks that each indicator of the window was released to the
// provider for this service before the day was over, and has this category.
func released(ctx context.Context, tx *sql.Tx, provider string, w *contract.Window, end time.Time) error {
	const most = 500
	for at := 0; at < len(w.Cells); at += most {
		cells := w.Cells[at:min(at+most, len(w.Cells))]
		known, err := categories(ctx, tx, provider, w.Service, cells, end)
		if err != nil {
			return err
		}
		for i, c := range cells {
			if c.Indicator().IsZero() {
				continue
			}
			category, ok := known[c.Indicator()]
			switch {
			case !ok:
				return &Refused{Code: NotReleased, Cell: at + i + 1}
			case category != c.Category():
				return &Refused{Code: WrongCategory, Cell: at + i + 1}
			}
		}
	}
	return nil
}

func categories(ctx context.Context, tx *sql.Tx, provider string, svc contract.Services, cells []contract.Feedback, end time.Time) (map[contract.ID]contract.Category, error) {
	args := []any{provider, int64(svc), sqldb.Time(end)}
	var marks []string
	for _, c := range cells {
		if !c.Indicator().IsZero() {
			args = append(args, c.Indicator().String())
			marks = append(marks, "$"+strconv.Itoa(len(args)))
		}
	}
	out := map[contract.ID]contract.Category{}
	if len(marks) == 0 {
		return out, nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT i.id, i.category FROM delivery d JOIN item i ON i.id = d.item
		WHERE d.provider = $1 AND d.service = $2 AND d.queued < $3 AND d.item IN (`+strings.Join(marks, ",")+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("feedback: what was released: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		var c contract.Category
		err = rows.Scan(&text, &c)
		if err != nil {
			return nil, err
		}
		id, err := contract.ParseID(text)
		if err != nil {
			return nil, err
		}
		out[id] = c
	}
	return out, rows.Err()
}
