package release

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"ecs/contract"
	"ecs/internal/sqldb"
)

// Bounds of a page. A page ends early when its objects exceed pageBytes.
const (
	DefaultPage = 1000
	MaxPage     = 10_000
	pageBytes   = 8 << 20
)

// skew is how far the clocks of several hubs may differ before one leaves out
// of a page what another still counts as in force.
const skew = time.Minute

// Changes gives the page of a provider's log after a sequence number, and books
// what it hands out as delivered. The last page of a run carries the signed
// checkpoint of exactly the list that it completes, and the feedback rules.
//
// After 0 means "I have nothing". Entries that a later one replaces are left
// out, and so are removals and ended indicators that the asker cannot have: the
// list that results is the same. limit 0 means [DefaultPage].
func (d *Desk) Changes(ctx context.Context, provider string, after uint64, limit int) (contract.Page, error) {
	if limit <= 0 {
		limit = DefaultPage
	}
	limit = min(limit, MaxPage)
	f := d.follower(provider)
	f.mu.Lock()
	defer f.mu.Unlock()

	for {
		page, err := d.changes(ctx, f, provider, after, limit)
		if errors.Is(err, errMoved) {
			continue // it was suspended, or reinstated, while the page was made
		}
		d.forget(provider, err)
		return page, err
	}
}

var errMoved = errors.New("release: the provider's state changed meanwhile")

func (d *Desk) changes(ctx context.Context, f *follower, provider string, after uint64, limit int) (contract.Page, error) {
	var page contract.Page
	var fresh *contract.Checkpoint // to be stored
	var head uint64
	var got portionOf
	last := after
	state, err := stateOf(ctx, d.db, provider)
	if err != nil {
		return page, err
	}
	_, err = d.withhold(ctx, provider)
	if err != nil {
		return page, err
	}
	now := d.clock.now()
	err = d.db.Read(ctx, func(tx *sql.Tx) error {
		var err error
		head, err = openLog(ctx, tx, provider, state)
		if err != nil {
			return err
		}
		got, page.More, err = entries(ctx, tx, provider, after, head, limit, now)
		if err != nil {
			return err
		}
		page.Entries = got.entries
		if page.More {
			last = page.Entries[len(page.Entries)-1].Seq
			return nil
		}
		last = max(head, after)
		err = f.advance(ctx, tx, provider, head)
		if err != nil {
			return err
		}
		page.Rules = d.rules
		page.Checkpoint, fresh, err = d.checkpoint(ctx, tx, f, provider, now)
		return err
	})
	if err != nil {
		return contract.Page{}, err
	}
	if len(page.Entries) == 0 && fresh == nil {
		return page, nil
	}
	err = d.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := openLog(ctx, tx, provider, state)
		if err != nil {
			return err
		}
		if len(page.Entries) > 0 {
			err = handedOver(ctx, tx, provider, after, last, head, got.again, now)
			if err != nil {
				return err
			}
		}
		if fresh == nil {
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO checkpoint (provider, seq, issued, expires, count, root, note)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (provider, seq, issued) DO NOTHING`,
			provider, int64(fresh.Sequence), sqldb.Time(fresh.Issued), sqldb.Time(fresh.Expires),
			int64(fresh.Count), fresh.Root.String(), page.Checkpoint)
		return err
	})
	if err != nil {
		return contract.Page{}, fmt.Errorf("release: book the page for %s: %w", provider, err)
	}
	return page, nil
}

// stateOf gives a provider's state. Who is suspended or leaving goes on reading
// its log, since removals have to arrive; who has left the program does not.
func stateOf(ctx context.Context, q sqldb.Querier, provider string) (string, error) {
	var state string
	err := q.QueryRowContext(ctx, `SELECT state FROM provider WHERE id = $1`, provider).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("%w: %s", ErrProvider, provider)
	}
	if err != nil {
		return "", fmt.Errorf("release: provider %s: %w", provider, err)
	}
	switch state {
	case "OPERATIONAL", "ACCREDITED", suspended, terminating:
		return state, nil
	default:
		return "", fmt.Errorf("%w: %s is %s", ErrProvider, provider, state)
	}
}

// openLog gives the head of a provider's log, while its state is still the one
// for which a page is made.
func openLog(ctx context.Context, tx *sql.Tx, provider, state string) (uint64, error) {
	var head int64
	var now string
	err := tx.QueryRowContext(ctx, `SELECT head, state FROM provider WHERE id = $1`, provider).Scan(&head, &now)
	if err != nil {
		return 0, fmt.Errorf("release: provider %s: %w", provider, err)
	}
	if now != state {
		return 0, errMoved
	}
	return uint64(head), nil
}

// forget drops the fold of what is no provider, so that unknown names cost no
// memory.
func (d *Desk) forget(provider string, err error) {
	if !errors.Is(err, ErrProvider) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lists, provider)
}

// entries reads one page. An entry is left out when a later one speaks for its
// item, or when it only says that something is not in force of which the asker
// has no earlier entry. The entry at the head always goes along, so that the
// last entry's number is the checkpoint's.
func entries(ctx context.Context, tx *sql.Tx, provider string, after, head uint64, limit int, now time.Time) (out portionOf, more bool, err error) {
	// Subqueries that give one value each are looked up row by row, in the order
	// of the log, whatever the planner knows or does not know about the table.
	rows, err := tx.QueryContext(ctx, `SELECT e.seq, e.services, o.body, e.item, e.first FROM (
			SELECT seq, services, item, modified,
				(SELECT min(f.seq) FROM entry f WHERE f.provider = $1 AND f.item = x.item) AS first FROM entry x
			WHERE provider = $1 AND seq > $2 AND seq <= $3
			AND (seq = $3 OR (
				seq = (SELECT max(l.seq) FROM entry l WHERE l.provider = $1 AND l.item = x.item AND l.seq <= $3)
				AND ((services <> 0 AND until > $4)
					OR (SELECT min(f.seq) FROM entry f WHERE f.provider = $1 AND f.item = x.item) <= $2)))
			ORDER BY seq LIMIT $5) AS e
		JOIN object o ON o.item = e.item AND o.modified = e.modified ORDER BY e.seq`,
		provider, int64(after), int64(head), sqldb.Time(now.Add(-skew)), int64(limit)+1)
	if err != nil {
		return out, false, fmt.Errorf("release: read the log of %s: %w", provider, err)
	}
	defer func() { _ = rows.Close() }()
	size := 0
	for rows.Next() {
		var e contract.Entry
		var seq, first int64
		var body, item string
		err = rows.Scan(&seq, &e.Services, &body, &item, &first)
		if err != nil {
			return out, false, err
		}
		size += len(body)
		if len(out.entries) == limit || (len(out.entries) > 0 && size > pageBytes) {
			return out, true, nil
		}
		e.Seq, e.Object = uint64(seq), json.RawMessage(body)
		out.entries = append(out.entries, e)
		if uint64(first) <= after && e.Services != 0 {
			out.again = append(out.again, item)
		}
	}
	return out, false, rows.Err()
}

// portionOf the log is what a page takes of it.
type portionOf struct {
	entries []contract.Entry
	again   []string // items in force that also have entries before the page
}

// handedOver books additions as delivered and removals as sent, but for what the
// page, made when the log ended at head, left out: what an entry behind the page
// speaks for is handed out with that entry.
func handedOver(ctx context.Context, tx *sql.Tx, provider string, after, last, head uint64, again []string, now time.Time) error {
	const fresh = `delivered = 0 AND until > $5 AND (remove_seq = 0 OR remove_seq > $6)`
	_, err := tx.ExecContext(ctx, `UPDATE delivery SET delivered = $4 WHERE provider = $1 AND add_seq > $2 AND add_seq <= $3 AND `+fresh+`
		AND (SELECT max(l.seq) FROM entry l WHERE l.provider = $1 AND l.item = delivery.item AND l.seq <= $6) <= $3`,
		provider, int64(after), int64(last), sqldb.Time(now), sqldb.Time(now.Add(-skew)), int64(head))
	if err != nil {
		return err
	}
	for _, item := range again { // by item: the sum keeps planners from the order of the log
		_, err = tx.ExecContext(ctx, `UPDATE delivery SET delivered = $4 WHERE provider = $1 AND item = $2 AND add_seq + 0 <= $3 AND `+fresh,
			provider, item, int64(last), sqldb.Time(now), sqldb.Time(now.Add(-skew)), int64(head))
		if err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE delivery SET removal_sent = $4 WHERE provider = $1 AND remove_seq > 0
		AND remove_seq > $2 AND remove_seq <= $3 AND removal_sent = 0 AND removed = 0`, provider, int64(after), int64(last), sqldb.Time(now))
	return err
}

// checkpoint gives the note to hand out: the newest one if it still says
// exactly what is in force and has most of its life before it, else a fresh one
// to be stored.
func (d *Desk) checkpoint(ctx context.Context, tx *sql.Tx, f *follower, provider string, now time.Time) (string, *contract.Checkpoint, error) {
	var seq, issued, expires, count int64
	var root, text string
	err := tx.QueryRowContext(ctx, `SELECT seq, issued, expires, count, root, note FROM checkpoint
		WHERE provider = $1 ORDER BY issued DESC LIMIT 1`, provider).Scan(&seq, &issued, &expires, &count, &root, &text)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", nil, fmt.Errorf("release: newest checkpoint of %s: %w", provider, err)
	}
	was := sqldb.FromTime(issued)
	if now.Before(was) { // another hub's clock is ahead: issue times never go back
		now = was
	}
	at, n, r := f.state(now)
	quarter := d.cfg.CheckpointLife / 4
	if text != "" && uint64(seq) == f.seq && int(count) == n && root == r.String() &&
		at.Sub(was) < quarter && sqldb.FromTime(expires).Sub(at) > 2*quarter && signedBy(text, d.cfg.Signer) {
		return text, nil, nil
	}
	if !at.After(was) {
		at, n, r = f.state(was.Add(time.Microsecond))
	}
	c := &contract.Checkpoint{
		Provider: provider, Sequence: f.seq, Issued: at, Expires: at.Add(d.cfg.CheckpointLife), Count: n, Root: r,
	}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, d.cfg.Signer)
	if err != nil {
		return "", nil, fmt.Errorf("release: sign the checkpoint of %s: %w", provider, err)
	}
	return string(signed), c, nil
}

// signedBy reports whether a stored note carries a signature of this very key:
// after a change of keys no old note is handed out.
func signedBy(text string, s note.Signer) bool {
	for _, line := range strings.Split(text, "\n") {
		rest, ok := strings.CutPrefix(line, "— "+s.Name()+" ")
		if !ok {
			continue
		}
		sig, err := base64.StdEncoding.DecodeString(rest)
		if err == nil && len(sig) > 4 && binary.BigEndian.Uint32(sig) == s.KeyHash() {
			return true
		}
	}
	return false
}
