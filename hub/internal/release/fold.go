package release

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
)

// follower is the fold of one provider's log: the list that its checkpoints
// speak of. It can be thrown away at any moment; the log is the truth.
type follower struct {
	mu   sync.Mutex
	list *contract.List // nil: not built yet
	seq  uint64         // last entry folded in
	at   time.Time      // expired up to here
}

func (d *Desk) follower(provider string) *follower {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.lists[provider]
	if f == nil {
		f = &follower{}
		d.lists[provider] = f
	}
	return f
}

// advance folds in what the log has up to head, as tx sees it. After an error
// the next call begins anew.
func (f *follower) advance(ctx context.Context, tx *sql.Tx, provider string, head uint64) error {
	if f.list == nil || f.seq > head { // a head below: the database was put back to an earlier state
		f.list, f.seq, f.at = contract.NewList(), 0, time.Time{}
	}
	if f.seq == head {
		return nil
	}
	err := f.fold(ctx, tx, provider, head)
	if err != nil {
		f.list = nil
		return fmt.Errorf("release: log of %s: %w", provider, err)
	}
	return nil
}

func (f *follower) fold(ctx context.Context, tx *sql.Tx, provider string, head uint64) error {
	rows, err := tx.QueryContext(ctx, `SELECT seq, item, services, leaf, until FROM entry
		WHERE provider = $1 AND seq > $2 AND seq <= $3 ORDER BY seq`, provider, int64(f.seq), int64(head))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var seq, until int64
		var item, leaf string
		var services contract.Services
		err = rows.Scan(&seq, &item, &services, &leaf, &until)
		if err != nil {
			return err
		}
		if uint64(seq) != f.seq+1 {
			return fmt.Errorf("entry %d follows %d: the log has a gap; restore the database from a backup", seq, f.seq)
		}
		id, err := contract.ParseID(item)
		if err != nil {
			return err
		}
		f.seq++
		if services == 0 {
			f.list.Remove(id)
			continue
		}
		hash, err := parseLeaf(leaf)
		if err != nil {
			return err
		}
		f.list.Put(id, hash, sqldb.FromTime(until))
	}
	err = rows.Err()
	if err != nil {
		return err
	}
	if f.seq != head {
		return fmt.Errorf("the log ends at %d and not at its head %d; restore the database from a backup", f.seq, head)
	}
	return nil
}

// state gives count and root of what is in force at t. Time never goes back
// here: an indicator that was judged expired stays so.
func (f *follower) state(t time.Time) (at time.Time, count int, root contract.Digest) {
	if t.After(f.at) {
		f.at = t
	}
	f.list.Expire(f.at)
	return f.at, f.list.Len(), f.list.Root()
}
