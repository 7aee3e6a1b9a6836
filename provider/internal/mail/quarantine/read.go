package quarantine

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Filter narrows a listing.
type Filter struct {
	State    State     // empty: all
	Customer int32     // 0: all
	Before   time.Time // only received earlier; zero: all
	Limit    int       // at most 1,000, which is also the default
}

const columns = `id, customer, indicator, sender, recipients, bytes, state, received, settled, settled_by`

// List gives messages, newest first.
func (s *Store) List(ctx context.Context, f Filter) ([]Message, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 1000
	}
	before := sqldb.Time(f.Before)
	rows, err := s.cfg.DB.QueryContext(ctx, `SELECT `+columns+` FROM quarantine
		WHERE ($1 = '' OR state = $1) AND ($2 = 0 OR customer = $2) AND ($3 = 0 OR received < $3)
		ORDER BY received DESC, id DESC LIMIT $4`, string(f.State), int64(f.Customer), before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("quarantine: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Message
	for rows.Next() {
		m, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("quarantine: list: %w", err)
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

// Get gives one message's row, or [ErrUnknown].
func (s *Store) Get(ctx context.Context, id string) (Message, error) { return get(ctx, s.cfg.DB, id) }

func get(ctx context.Context, q sqldb.Querier, id string) (Message, error) {
	m, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM quarantine WHERE id = $1`, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return m, ErrUnknown
	}
	return m, err
}

func scan(from func(...any) error) (Message, error) {
	var m Message
	var id, to, state string
	var received, settled int64
	err := from(&m.ID, &m.Customer, &id, &m.Sender, &to, &m.Bytes, &state, &received, &settled, &m.SettledBy)
	if err != nil {
		return m, err
	}
	m.Indicator, err = contract.ParseID(id)
	if err != nil {
		return m, err
	}
	m.State, m.Received, m.Settled = State(state), sqldb.FromTime(received), sqldb.FromTime(settled)
	return m, json.Unmarshal([]byte(to), &m.Recipients)
}

// Open gives a message's bytes, exactly as they came. The caller has checked
// that actor may see them; that they were opened is audited first.
func (s *Store) Open(ctx context.Context, id, actor, purpose string) (io.ReadCloser, error) {
	m, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if m.State == Deleted || m.State == Released {
		return nil, ErrSettled
	}
	err = s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		return audit.Append(ctx, tx, actor, "quarantine.open", id, map[string]string{"purpose": purpose})
	})
	if err != nil {
		return nil, err
	}
	r, _, err := s.open(id)
	return r, err
}

type message struct {
	*opener
	f *os.File
}

// Close implements [io.Closer].
func (m message) Close() error { return m.f.Close() }

// open opens a message under either name and reads its envelope.
func (s *Store) open(id string) (io.ReadCloser, envelope, error) {
	var e envelope
	f, err := os.Open(s.path(id, fileSuffix))
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.Open(s.path(id, partSuffix))
	}
	if err != nil {
		return nil, e, fmt.Errorf("quarantine: %w", err)
	}
	o, err := newOpener(f, s.cfg.Key, id)
	if err == nil {
		err = o.next()
	}
	if err == nil {
		err = json.Unmarshal(o.chunk, &e)
		o.chunk = nil
	}
	if err != nil {
		return nil, e, errors.Join(err, f.Close())
	}
	return message{o, f}, e, nil
}
