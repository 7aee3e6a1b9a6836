package intake

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/policy"
	"ecs/internal/sqldb"
)

// known is what the database knows of a portion's records, and what the portion
// adds to it.
type known struct {
	items    map[string]*indicator.Item // living, by pattern key
	mentions map[int64][]mention        // by this source, by the key of its identifier
	merged   map[string]*indicator.Item // what merging has changed, by pattern key
	count    map[place]int64            // what indicator.Tally has to be told
	number   int64                      // of the next new item
	stopped  []int64                    // items that what a source took back has stopped
	near     neighbors
	fresh    []policy.Neighbor // new prefixes
	rows     rows
}

type place struct {
	state    indicator.State
	handling int64
}

// mention is a row of table item_source.
type mention struct {
	number, batch           int64
	source, place           string
	reference               string
	refkey, version         int64
	revoked                 bool
	credibility, confidence int
	handling                int64
	observed                time.Time
	original                string
	at                      time.Time
}

// context reads what a portion needs to know, by a few statements.
func (w *writer) context(ctx context.Context, tx *sql.Tx, portion []outcome) (*known, error) {
	c := &known{
		items: map[string]*indicator.Item{}, mentions: map[int64][]mention{}, merged: map[string]*indicator.Item{}, count: map[place]int64{},
	}
	var keys, refs []any
	fresh := int64(0)
	for i := range portion {
		r, t := portion[i].ready, portion[i].taken
		switch {
		case r != nil:
			fresh++
			keys = append(keys, r.key)
			if r.refkey != 0 {
				refs = append(refs, r.refkey)
			}
		case t != nil && t.key != "":
			keys = append(keys, t.key)
		case t != nil:
			refs = append(refs, t.refkey)
		}
	}
	most := w.in.cfg.DB.Placeholders()
	for some := range slices.Chunk(keys, most) {
		err := lookup(ctx, tx, some, c.items)
		if err != nil {
			return nil, err
		}
	}
	for some := range slices.Chunk(refs, most) {
		err := w.mentioned(ctx, tx, some, c.mentions)
		if err != nil {
			return nil, err
		}
	}
	if fresh == 0 {
		return c, nil
	}
	err := w.near(ctx, tx, c, portion)
	if err != nil {
		return nil, err
	}
	// Numbers that duplicates do not need are left out: nobody counts by them.
	c.number, err = indicator.Next(ctx, tx, "item", fresh)
	return c, err
}

// lookup reads the living items that have these patterns.
func lookup(ctx context.Context, tx *sql.Tx, keys []any, out map[string]*indicator.Item) error {
	found, err := tx.QueryContext(ctx, `SELECT `+indicator.Columns+` FROM item WHERE pattern_key IN (`+marks(1, len(keys))+`)`, keys...)
	if err != nil {
		return err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		it, err := indicator.Scan(found.Scan)
		if err != nil {
			return err
		}
		out[indicator.PatternKey(it.Pattern)] = &it
	}
	return found.Err()
}

// mentioned reads what this source has called by these identifiers.
func (w *writer) mentioned(ctx context.Context, tx *sql.Tx, refs []any, out map[int64][]mention) error {
	// The source is compared here: in the query, it would lead planners to the index
	// of everything that the source ever named.
	found, err := tx.QueryContext(ctx, `SELECT number, source, reference, reference_key, version, revoked FROM item_source
		WHERE reference_key IN (`+marks(1, len(refs))+`) AND reference_key <> 0`, refs...)
	if err != nil {
		return err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var m mention
		err = found.Scan(&m.number, &m.source, &m.reference, &m.refkey, &m.version, &m.revoked)
		if err != nil {
			return err
		}
		if m.source == w.src.id {
			out[m.refkey] = append(out[m.refkey], m)
		}
	}
	return found.Err()
}

// intern gives the number of a handling: from memory when a committed portion has
// seen it, else from the database.
func (w *writer) intern(ctx context.Context, tx *sql.Tx, text string) (int64, error) {
	n, ok := w.fresh[text]
	if ok {
		return n, nil
	}
	n, ok = w.in.interned(text)
	if ok {
		return n, nil
	}
	n, err := indicator.Intern(ctx, tx, text)
	if err == nil {
		w.fresh[text] = n
	}
	return n, err
}

// handling gives the handling of a number.
func (w *writer) handling(ctx context.Context, tx *sql.Tx, number int64) (marking.Handling, error) {
	text, ok := w.in.handlingText(number)
	if !ok {
		for t, n := range w.fresh {
			if n == number {
				text, ok = t, true
			}
		}
	}
	if !ok {
		err := tx.QueryRowContext(ctx, `SELECT text FROM handling WHERE number = $1`, number).Scan(&text)
		if err != nil {
			return marking.Handling{}, fmt.Errorf("intake: handling %d: %w", number, err)
		}
		w.fresh[text] = number
	}
	return marking.ParseHandling(text)
}

// rows are what one portion adds, table by table.
type rows struct {
	item, finding, refusal [][]any
	source                 []mention
	backed                 []any // items that a second, better source named
}

func (r *rows) write(ctx context.Context, tx *sql.Tx, most int) error {
	err := insert(ctx, tx, most, `item (`+indicator.Columns+`)`, r.item, "")
	if err != nil {
		return err
	}
	err = r.mention(ctx, tx, most)
	if err != nil {
		return err
	}
	err = insert(ctx, tx, most, `finding (number, code, severity, detail, at)`, r.finding, ` ON CONFLICT (number, code, detail) DO NOTHING`)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(r.backed, most-1) {
		_, err = tx.ExecContext(ctx, `DELETE FROM finding WHERE code = $1 AND number IN (`+marks(2, len(some))+`)`,
			append([]any{policy.CodeUncorrobated}, some...)...)
		if err != nil {
			return fmt.Errorf("intake: back findings: %w", err)
		}
	}
	return insert(ctx, tx, most, `refusal (batch, number, place, code, reason, excerpt)`, r.refusal, "")
}

func (r *rows) mention(ctx context.Context, tx *sql.Tx, most int) error {
	if len(r.source) == 0 {
		return nil
	}
	number, err := indicator.Next(ctx, tx, "mention", int64(len(r.source)))
	if err != nil {
		return err
	}
	all := make([][]any, len(r.source))
	for i, m := range r.source {
		all[i] = []any{
			number + int64(i), m.number, m.batch, m.source, m.place, m.reference, m.refkey, m.version, m.revoked,
			int64(m.credibility), int64(m.confidence), m.handling, sqldb.Time(m.observed), m.original, sqldb.Time(m.at),
		}
	}
	return insert(ctx, tx, most, `item_source (mention, number, batch, source, place, reference, reference_key, version, revoked,
		credibility, confidence, handling, observed, original, at)`, all, "")
}
