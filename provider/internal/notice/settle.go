package notice

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Notice is one row, as the console shows it.
type Notice struct {
	ID         int64
	Customer   int32
	Indicator  string
	Service    contract.Services
	Channel    string
	State      State
	Body       string
	Token      string
	Attempts   int
	Error      string
	Created    time.Time
	Dispatched time.Time
	Settled    time.Time
	SettledBy  string
	Rating     int
}

const columns = `id, customer, indicator, service, channel, state, body, token, attempts, error, created, dispatched, settled, settled_by, rating`

// Errors that a person can act on.
var (
	ErrUnknown = errors.New("no such notice")
	ErrRating  = errors.New("a rating is 1 to 5")
)

// Filter picks notices. Zero fields pick all.
type Filter struct {
	State    State
	Customer int32
	Before   int64 // only numbers below
	Limit    int   // 100 when zero
}

// List gives notices, newest first.
func List(ctx context.Context, q sqldb.Querier, f Filter) ([]Notice, error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	rows, err := q.QueryContext(ctx, `SELECT `+columns+` FROM notice
		WHERE ($1 = '' OR state = $1) AND ($2 = 0 OR customer = $2) AND ($3 = 0 OR id < $3) ORDER BY id DESC LIMIT $4`,
		string(f.State), f.Customer, f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("notice: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Notice
	for rows.Next() {
		n, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// ByToken finds the notice that a customer wants to acknowledge.
func ByToken(ctx context.Context, q sqldb.Querier, token string) (Notice, error) {
	n, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM notice WHERE token = $1`, token))
	if errors.Is(err, sql.ErrNoRows) {
		return n, ErrUnknown
	}
	return n, err
}

func scan(row interface{ Scan(...any) error }) (Notice, error) {
	var n Notice
	var created, dispatched, settled int64
	err := row.Scan(&n.ID, &n.Customer, &n.Indicator, &n.Service, &n.Channel, &n.State, &n.Body, &n.Token, &n.Attempts,
		&n.Error, &created, &dispatched, &settled, &n.SettledBy, &n.Rating)
	if err != nil {
		return n, fmt.Errorf("notice: %w", err)
	}
	n.Created, n.Dispatched, n.Settled = sqldb.FromTime(created), sqldb.FromTime(dispatched), sqldb.FromTime(settled)
	return n, nil
}

// Settle acknowledges a notice by its number, for an operator who reached the
// customer by other means.
func (s *Service) Settle(ctx context.Context, id int64, login string) error {
	var token string
	err := s.cfg.DB.QueryRowContext(ctx, `SELECT token FROM notice WHERE id = $1`, id).Scan(&token)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrUnknown
	}
	if err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	return s.Acknowledge(ctx, token, login, 0)
}

// Acknowledge settles a notice: the customer, or an operator who reached the
// customer another way, has taken note. Rating is how useful it was, 1 to 5, 0
// for no answer. Doing it again changes only the rating.
func (s *Service) Acknowledge(ctx context.Context, token, by string, rating int) error {
	if rating < 0 || rating > 5 {
		return ErrRating
	}
	return s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		var id int64
		var state State
		var indicator string
		err := tx.QueryRowContext(ctx, `SELECT id, state, indicator FROM notice WHERE token = $1`, token).Scan(&id, &state, &indicator)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		if state == Acknowledged {
			_, err = tx.ExecContext(ctx, `UPDATE notice SET rating = $1 WHERE id = $2`, rating, id)
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE notice SET state = $1, settled = $2, settled_by = $3, rating = $4 WHERE id = $5`,
			Acknowledged, sqldb.Time(s.cfg.Now()), by, rating, id)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, by, "notice.acknowledge", indicator, map[string]any{"notice": id, "rating": rating})
	})
}
