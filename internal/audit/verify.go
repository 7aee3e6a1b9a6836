package audit

import (
	"context"
	"database/sql"
	"fmt"

	"ecs/internal/sqldb"
)

// Broken says where the chain does not hold.
type Broken struct {
	Seq int64  // of the first entry that cannot be trusted
	Why string // what does not fit
}

// Error implements error.
func (b *Broken) Error() string {
	return fmt.Sprintf("audit: the chain is broken at entry %d: %s; compare with the newest backup, and treat entries from there on as unproven", b.Seq, b.Why)
}

// Verify reads the whole chain and reports how many entries hold. It fails with
// [*Broken] when an entry was altered, removed, added or moved. It reads one
// snapshot: given a [*sqldb.DB] it opens one itself.
func Verify(ctx context.Context, q sqldb.Querier) (entries int64, err error) {
	db, whole := q.(*sqldb.DB)
	if !whole {
		return verify(ctx, q)
	}
	err = db.Read(ctx, func(tx *sql.Tx) error {
		var err error
		entries, err = verify(ctx, tx)
		return err
	})
	return entries, err
}

func verify(ctx context.Context, q sqldb.Querier) (entries int64, err error) {
	var headSeq int64
	var headHash string
	err = q.QueryRowContext(ctx, "SELECT seq, hash FROM audit_head WHERE one = 1").Scan(&headSeq, &headHash)
	if err != nil {
		return 0, fmt.Errorf("audit: verify: head: %w", err)
	}
	rows, err := q.QueryContext(ctx, "SELECT seq, at, actor, action, subject, detail, previous, hash FROM audit ORDER BY seq")
	if err != nil {
		return 0, fmt.Errorf("audit: verify: %w", err)
	}
	defer func() { _ = rows.Close() }()
	previous := none
	for rows.Next() {
		e, at, err := scan(rows)
		if err != nil {
			return entries, fmt.Errorf("audit: verify: %w", err)
		}
		switch {
		case e.Seq != entries+1:
			return entries, &Broken{Seq: entries + 1, Why: "it is missing"}
		case e.Previous != previous:
			return entries, &Broken{Seq: e.Seq, Why: "it does not follow the entry before it"}
		case digest(&e, at) != e.Hash:
			return entries, &Broken{Seq: e.Seq, Why: "its content does not fit its hash"}
		}
		entries, previous = e.Seq, e.Hash
	}
	err = rows.Err()
	if err != nil {
		return entries, fmt.Errorf("audit: verify: %w", err)
	}
	if headSeq != entries || headHash != previous {
		return entries, &Broken{Seq: entries + 1, Why: fmt.Sprintf("the head says that there are %d entries", headSeq)}
	}
	return entries, nil
}
