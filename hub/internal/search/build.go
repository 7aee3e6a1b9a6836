package search

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"ecs/internal/sqldb"
)

const (
	atOnce   = 2000   // items read at once
	byOne    = 4000   // postings written by one transaction
	tooMany  = 8      // parts of a base
	tooLate  = 16_384 // late terms of a base
	stageNew = 0
	stageUse = 1
	stageOld = 2
)

// build indexes a range of numbers within one base as one part. The part is used
// from the last transaction on, in place of every part within the range and of the
// late terms of it; until then nothing changes for a search. What a killed indexer
// left is swept later.
func (x *Index) build(ctx context.Context, low, high int64) error {
	var part int64
	err := x.write(ctx, func(tx *sql.Tx, _ state) error {
		return tx.QueryRowContext(ctx, `INSERT INTO search_part (part, base, low, high, mention, stage)
			SELECT (SELECT coalesce(max(part), 0) + 1 FROM search_part), $1, $2, $3, value, $4 FROM counter WHERE name = 'mention' RETURNING part`,
			low>>baseBits, low, high, stageNew).Scan(&part)
	})
	if err != nil {
		return err
	}
	postings, items, err := x.gather(ctx, low, high)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(postings)), byOne) {
		rows := make([]any, 0, 3*len(some))
		for _, t := range some {
			rows = append(rows, part, []byte(t), pack(postings[t]))
		}
		err = x.write(ctx, func(tx *sql.Tx, _ state) error {
			return insert(ctx, tx, "search_posting (part, term, items)", 3, rows, "")
		})
		if err != nil {
			return err
		}
	}
	err = x.write(ctx, func(tx *sql.Tx, _ state) error { return x.use(ctx, tx, part, low, high) })
	if err != nil {
		return err
	}
	x.meter.items.Add(int64(items))
	x.meter.parts.Add(1)
	return nil
}

// gather collects the postings of a range.
func (x *Index) gather(ctx context.Context, low, high int64) (map[string][]uint16, int, error) {
	postings, items := map[string][]uint16{}, 0
	for from := low; from <= high; from += atOnce {
		docs, err := loadRange(ctx, x.cfg.DB, from, min(high, from+atOnce-1))
		if err != nil {
			return nil, 0, err
		}
		items += len(docs)
		for i := range docs {
			terms, dropped := docs[i].terms()
			x.meter.dropped.Add(int64(dropped))
			for _, t := range terms {
				postings[t] = append(postings[t], uint16(docs[i].Number&(baseSize-1))) //nolint:gosec // 16 bits
			}
		}
	}
	return postings, items, nil
}

// use puts a part in the place of what it was made from.
func (x *Index) use(ctx context.Context, tx *sql.Tx, part, low, high int64) error {
	for _, step := range []struct {
		text string
		args []any
	}{
		{`UPDATE search_part SET stage = $3 WHERE stage = $4 AND low >= $1 AND high <= $2`, []any{low, high, stageOld, stageUse}},
		{`UPDATE search_part SET stage = $2 WHERE part = $1`, []any{part, stageUse}},
		{`DELETE FROM search_late WHERE number BETWEEN $1 AND $2`, []any{low, high}},
		{`UPDATE search_state SET position = $1 WHERE position < $1`, []any{high}},
	} {
		_, err := tx.ExecContext(ctx, step.text, step.args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// again indexes a base anew, as far as it is indexed.
func (x *Index) again(ctx context.Context, base, position int64) error {
	low, high := base<<baseBits, min(position, (base+1)<<baseBits-1)
	return x.build(ctx, low, high)
}

// erase indexes a base anew from which a text was taken back some time ago.
func (x *Index) erase(ctx context.Context, s state) (bool, error) {
	var base, at int64
	err := x.cfg.DB.QueryRowContext(ctx, `SELECT base, at FROM search_erase WHERE at <= $1 ORDER BY at, base LIMIT 1`,
		sqldb.Time(x.cfg.Now().Add(-x.cfg.Gather))).Scan(&base, &at)
	if noRows(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("search: %w", err)
	}
	// Whoever takes back a text while this is written, asks again.
	err = x.write(ctx, func(tx *sql.Tx, _ state) error {
		_, err := tx.ExecContext(ctx, `UPDATE search_erase SET at = 1 WHERE base = $1`, base)
		return err
	})
	if err == nil {
		err = x.again(ctx, base, s.position)
	}
	if err != nil {
		return true, err
	}
	return true, x.write(ctx, func(tx *sql.Tx, _ state) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM search_erase WHERE base = $1 AND at = 1`, base)
		return err
	})
}

// tidy indexes a base anew that is full and not one part, or has many parts, or many
// late terms; and makes a part of the newest items that came one by one.
func (x *Index) tidy(ctx context.Context, s state) (bool, error) {
	all, err := parts(ctx, x.cfg.DB)
	if err != nil {
		return false, err
	}
	byBase := map[int64][]partOf{}
	for _, p := range all {
		byBase[p.base] = append(byBase[p.base], p)
	}
	last := s.position >> baseBits
	for b := range last + 1 {
		ps, end := byBase[b], (b+1)<<baseBits-1
		whole := len(ps) == 1 && ps[0].low <= b<<baseBits && ps[0].high == end
		if len(ps) >= tooMany || end <= s.position && !whole {
			return true, x.again(ctx, b, s.position)
		}
	}
	low := last << baseBits
	if ps := byBase[last]; len(ps) > 0 {
		low = ps[0].high + 1 // the newest comes first
	}
	if s.position-low+1 >= x.cfg.Many {
		return true, x.build(ctx, low, s.position)
	}
	if x.cfg.Now().Sub(x.weighed) < 20*x.cfg.Poll {
		return false, nil
	}
	x.weighed = x.cfg.Now()
	var base, n int64
	err = x.cfg.DB.QueryRowContext(ctx, `SELECT number / 65536, count(*) FROM search_late GROUP BY number / 65536 ORDER BY 2 DESC LIMIT 1`).Scan(&base, &n)
	if noRows(err) {
		return false, nil
	}
	if err != nil || n < tooLate {
		return false, err
	}
	return true, x.again(ctx, base, s.position)
}

// sweep removes postings of parts that are no longer used, or never were.
func (x *Index) sweep(ctx context.Context, _ state) (bool, error) {
	var part int64
	err := x.cfg.DB.QueryRowContext(ctx, `SELECT part FROM search_part WHERE stage <> $1 ORDER BY part LIMIT 1`, stageUse).Scan(&part)
	if noRows(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("search: %w", err)
	}
	var bound []byte
	err = x.cfg.DB.QueryRowContext(ctx, `SELECT term FROM search_posting WHERE part = $1 ORDER BY term LIMIT 1 OFFSET $2`, part, byOne).Scan(&bound)
	if err != nil && !noRows(err) {
		return false, fmt.Errorf("search: %w", err)
	}
	return true, x.write(ctx, func(tx *sql.Tx, _ state) error {
		if bound != nil {
			_, err := tx.ExecContext(ctx, `DELETE FROM search_posting WHERE part = $1 AND term < $2`, part, bound)
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM search_posting WHERE part = $1`, part)
		if err == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM search_part WHERE part = $1`, part)
		}
		return err
	})
}
