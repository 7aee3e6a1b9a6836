package release

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"ecs/internal/sqldb"
)

// Nodes tells where each provider stands with its log, in order of name.
func (d *Desk) Nodes(ctx context.Context) ([]Node, error) {
	_, args := d.moments(d.clock.now())
	var out []Node
	err := d.db.Read(ctx, func(tx *sql.Tx) error {
		out = out[:0]
		rows, err := tx.QueryContext(ctx, `SELECT id, head FROM provider ORDER BY id`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var n Node
			err = rows.Scan(&n.Provider, &n.Head)
			if err != nil {
				return err
			}
			out = append(out, n)
		}
		err = rows.Err()
		if err != nil {
			return err
		}
		for i := range out {
			err = fillNode(ctx, tx, &out[i], args)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("release: nodes: %w", err)
	}
	return out, nil
}

func fillNode(ctx context.Context, tx *sql.Tx, n *Node, args []any) error {
	var seq, loadedAt, last, issued, expires int64
	err := tx.QueryRowContext(ctx, `SELECT seq, received FROM ack WHERE provider = $1 AND problem = 'none'
		ORDER BY received DESC LIMIT 1`, n.Provider).Scan(&seq, &loadedAt)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	err = tx.QueryRowContext(ctx, `SELECT received, problem FROM ack WHERE provider = $1
		ORDER BY received DESC LIMIT 1`, n.Provider).Scan(&last, &n.Problem)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	err = tx.QueryRowContext(ctx, `SELECT issued, expires FROM checkpoint WHERE provider = $1
		ORDER BY issued DESC LIMIT 1`, n.Provider).Scan(&issued, &expires)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	n.Loaded, n.LoadedAt, n.LastAck = uint64(seq), sqldb.FromTime(loadedAt), sqldb.FromTime(last)
	n.Checkpoint, n.Expires = sqldb.FromTime(issued), sqldb.FromTime(expires)
	// Only what waits for a receipt: two small indexes have these rows, however
	// many are in force.
	return tx.QueryRowContext(ctx, `SELECT
		coalesce(sum(CASE WHEN s IN ('QUEUED', 'DELIVERED') THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN s = 'OVERDUE' THEN 1 ELSE 0 END), 0),
		coalesce(sum(CASE WHEN s IN ('REMOVAL_QUEUED', 'REMOVAL_SENT', 'REMOVAL_OVERDUE') THEN 1 ELSE 0 END), 0)
		FROM (SELECT `+status+` AS s FROM delivery d
				WHERE d.provider = $3 AND d.queued <= $1 AND d.loaded = 0 AND d.removed = 0
			UNION ALL SELECT `+status+` AS s FROM delivery d
				WHERE d.provider = $3 AND d.remove_seq > 0 AND d.loaded > 0 AND d.removed = 0) AS x`,
		append(append([]any{}, args...), n.Provider)...).Scan(&n.Pending, &n.Overdue, &n.NotRemoved)
}

// Receipts lists a provider's acknowledgements, newest first; 100 when limit is
// zero, at most 1000. Refusals are cut to the first hundred of each.
func (d *Desk) Receipts(ctx context.Context, provider string, limit int) ([]Receipt, error) {
	if limit <= 0 {
		limit = 100
	}
	rows, err := d.db.QueryContext(ctx, `SELECT serial, body, received FROM ack WHERE provider = $1
		ORDER BY received DESC LIMIT $2`, provider, int64(min(limit, 1000)))
	if err != nil {
		return nil, fmt.Errorf("release: receipts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Receipt
	for rows.Next() {
		r := Receipt{Provider: provider}
		var body string
		var received int64
		err = rows.Scan(&r.Serial, &body, &received)
		if err != nil {
			return nil, err
		}
		err = json.Unmarshal([]byte(body), &r.Ack)
		if err != nil {
			return nil, fmt.Errorf("release: stored receipt: %w", err)
		}
		r.Ack.Refused = r.Ack.Refused[:min(len(r.Ack.Refused), 100)]
		r.Received = sqldb.FromTime(received)
		out = append(out, r)
	}
	return out, rows.Err()
}
