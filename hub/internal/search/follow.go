package search

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
)

const followed = 1000 // rows of a log that are looked at in one transaction

// Added is what an update of an item is called in the audit log when it only added
// to its texts: nothing has to leave the index.
const Added = "labels added"

// mentioned follows the mentions of items: a further source, reference or label.
func (x *Index) mentioned(ctx context.Context, s state) (bool, error) {
	rows, err := x.cfg.DB.QueryContext(ctx, `SELECT mention, number FROM item_source WHERE mention > $1 ORDER BY mention LIMIT $2`, s.mention, followed)
	if err != nil {
		return false, fmt.Errorf("search: mentions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all, err := parts(ctx, x.cfg.DB)
	if err != nil {
		return false, err
	}
	last, changed := s.mention, map[int64]bool{}
	for rows.Next() {
		var mention, number int64
		err = rows.Scan(&mention, &number)
		if err != nil {
			return false, err
		}
		last = mention
		p := partFor(all, number)
		if number <= s.position && (p == nil || p.mention < mention) {
			changed[number] = true
		}
	}
	err = rows.Err()
	if err != nil || last == s.mention {
		return false, err
	}
	if len(changed) > 0 {
		x.meter.changed.Add(int64(len(changed)))
	}
	return true, x.add(ctx, s, all, slices.Sorted(maps.Keys(changed)), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE search_state SET mention = $1`, last)
		return err
	})
}

func partFor(all []partOf, number int64) *partOf {
	i := slices.IndexFunc(all, func(p partOf) bool { return p.low <= number && number <= p.high })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// add adds those terms of indexed items that the index does not have.
func (x *Index) add(ctx context.Context, s state, all []partOf, numbers []int64, also func(*sql.Tx) error) error {
	docs, err := load(ctx, x.cfg.DB, numbers)
	if err != nil {
		return err
	}
	var rows []any
	for len(docs) > 0 {
		p := partFor(all, docs[0].Number)
		n := 1
		for n < len(docs) && n < 100 && partFor(all, docs[n].Number) == p {
			n++
		}
		missing, err := x.missing(ctx, p, docs[:n])
		if err != nil {
			return err
		}
		rows, docs = append(rows, missing...), docs[n:]
	}
	return x.write(ctx, func(tx *sql.Tx, now state) error {
		if now != s {
			return errLease
		}
		err := insert(ctx, tx, "search_late (term, number)", 2, rows, " ON CONFLICT DO NOTHING")
		if err == nil {
			err = also(tx)
		}
		return err
	})
}

// missing gives terms and numbers that a part does not have; p may be nil.
func (x *Index) missing(ctx context.Context, p *partOf, docs []doc) ([]any, error) {
	terms := map[string][]int64{}
	for i := range docs {
		ts, dropped := docs[i].terms()
		x.meter.dropped.Add(int64(dropped))
		for _, t := range ts {
			terms[t] = append(terms[t], docs[i].Number)
		}
	}
	have := map[string]*set{}
	if p != nil {
		for some := range slices.Chunk(slices.Sorted(maps.Keys(terms)), 500) {
			var w where
			w.and("part = " + w.arg(p.part))
			args := make([]any, len(some))
			for i, t := range some {
				args[i] = []byte(t)
			}
			w.in("term", args)
			err := postingsOf(ctx, x.cfg.DB, &w, have)
			if err != nil {
				return nil, err
			}
		}
	}
	var rows []any
	for _, t := range slices.Sorted(maps.Keys(terms)) {
		for _, n := range terms[t] {
			if have[t] == nil || !have[t].has(uint16(n&(baseSize-1))) { //nolint:gosec // 16 bits
				rows = append(rows, []byte(t), n)
			}
		}
	}
	return rows, nil
}

func postingsOf(ctx context.Context, q sqldb.Querier, w *where, into map[string]*set) error {
	rows, err := q.QueryContext(ctx, `SELECT term, items FROM search_posting`+w.String(), w.args...)
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var t, items []byte
		err = rows.Scan(&t, &items)
		if err != nil {
			return err
		}
		s := &set{}
		err = unpack(items, s)
		if err != nil {
			return err
		}
		into[string(t)] = s
	}
	return rows.Err()
}

// audited follows the audit log: texts that people changed, and what was purged.
func (x *Index) audited(ctx context.Context, s state) (bool, error) {
	last, ids, taken, err := x.readAudit(ctx, s.seq)
	if err != nil || last == s.seq {
		return false, err
	}
	var numbers, gone []int64
	for _, id := range ids {
		var number int64
		err = x.cfg.DB.QueryRowContext(ctx, `SELECT number FROM item WHERE id = $1`, id).Scan(&number)
		if noRows(err) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("search: %w", err)
		}
		if number > s.position {
			continue // read when it is its turn
		}
		numbers = append(numbers, number)
		if taken[id] {
			gone = append(gone, number)
		}
	}
	all, err := parts(ctx, x.cfg.DB)
	if err != nil {
		return false, err
	}
	x.meter.changed.Add(int64(len(numbers)))
	if len(gone) > 0 {
		// What was added one by one goes at once; it is added again without what was
		// taken back.
		err = x.write(ctx, func(tx *sql.Tx, _ state) error {
			var w where
			w.in("number", ints(gone))
			_, err := tx.ExecContext(ctx, `DELETE FROM search_late`+w.String(), w.args...)
			return err
		})
		if err != nil {
			return true, err
		}
	}
	return true, x.add(ctx, s, all, numbers, func(tx *sql.Tx) error {
		for _, n := range gone {
			if partFor(all, n) == nil {
				continue
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO search_erase (base, at) VALUES ($1, $2)
				ON CONFLICT (base) DO UPDATE SET at = CASE WHEN search_erase.at = 1 THEN excluded.at ELSE search_erase.at END`,
				n>>baseBits, sqldb.Time(x.cfg.Now()))
			if err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `UPDATE search_state SET seq = $1`, last)
		return err
	})
}

// readAudit gives the items whose texts a portion of the audit log says were
// changed, and those that may have lost some.
func (x *Index) readAudit(ctx context.Context, seq int64) (last int64, ids []string, taken map[string]bool, err error) {
	rows, err := x.cfg.DB.QueryContext(ctx, `SELECT seq, action, subject, detail FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, followed)
	if err != nil {
		return seq, nil, nil, fmt.Errorf("search: audit: %w", err)
	}
	defer func() { _ = rows.Close() }()
	last, taken = seq, map[string]bool{}
	for rows.Next() {
		var action, subject, detail string
		err = rows.Scan(&last, &action, &subject, &detail)
		if err != nil {
			return seq, nil, nil, err
		}
		if action != "item.update" && action != "item.move" && action != "item.redact" {
			continue
		}
		var d struct {
			What string          `json:"what"`
			To   indicator.State `json:"to"`
		}
		err = json.Unmarshal([]byte(detail), &d)
		if err != nil {
			return seq, nil, nil, fmt.Errorf("search: audit entry %d: %w", last, err)
		}
		if action == "item.move" && d.To != indicator.Purged {
			continue
		}
		if !slices.Contains(ids, subject) {
			ids = append(ids, subject)
		}
		taken[subject] = taken[subject] || action != "item.update" || d.What != Added
	}
	return last, ids, taken, rows.Err()
}
