package anonymise

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Window is what the console shows of one: the exact bytes, and what they do
// not say.
type Window struct {
	Day        contract.Day
	Service    contract.Services
	Start      time.Time // of the day
	State      State
	Body       string
	Withheld   []Withheld
	Made       time.Time
	ReviewedBy string
	Answered   time.Time // by the hub
	Error      string
}

// Errors that an operator can act on.
var (
	ErrUnknown     = errors.New("no such window of feedback")
	ErrNotReady    = errors.New("the window is not waiting for review")
	ErrChanged     = errors.New("the window has changed since it was shown (a customer withdrew consent): look at it again")
	ErrNotOperator = errors.New("only a csp_operator may review feedback")
)

// Windows gives the newest windows.
func (s *Service) Windows(ctx context.Context, limit int) ([]Window, error) {
	rows, err := s.cfg.DB.QueryContext(ctx, `SELECT day, service, state, body, withheld, made, reviewed_by, answered, error
		FROM feedback_window ORDER BY day DESC, service LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("anonymise: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Window
	length := s.DayLength()
	for rows.Next() {
		var w Window
		var withheld string
		var made, answered int64
		err = rows.Scan(&w.Day, &w.Service, &w.State, &w.Body, &withheld, &made, &w.ReviewedBy, &answered, &w.Error)
		if err == nil {
			err = json.Unmarshal([]byte(withheld), &w.Withheld)
		}
		if err != nil {
			return nil, fmt.Errorf("anonymise: %w", err)
		}
		w.Start, w.Made, w.Answered = w.Day.Start(length), sqldb.FromTime(made), sqldb.FromTime(answered)
		out = append(out, w)
	}
	return out, rows.Err()
}

// Review lets a window be sent, or discards it. Seen is the body that the
// operator was shown: if it has changed since, the review does not count.
func (s *Service) Review(ctx context.Context, login string, roles []string, day contract.Day, service contract.Services, seen string, send bool) error {
	operator := false
	for _, r := range roles {
		operator = operator || r == "csp_operator"
	}
	if !operator {
		return ErrNotOperator
	}
	next, action := Reviewed, "feedback.review"
	if !send {
		next, action = Discarded, "feedback.discard"
	}
	err := s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		var state State
		var body string
		err := tx.QueryRowContext(ctx, `SELECT state, body FROM feedback_window WHERE day = $1 AND service = $2`, day, service).Scan(&state, &body)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrUnknown
		case err != nil:
			return err
		case state != Ready:
			return ErrNotReady
		case body != seen:
			return ErrChanged
		}
		_, err = tx.ExecContext(ctx, `UPDATE feedback_window SET state = $1, reviewed_by = $2 WHERE day = $3 AND service = $4`, next, login, day, service)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, login, action, fmt.Sprintf("%d/%s", day, service), nil)
	})
	if err == nil && send && s.cfg.Ready != nil {
		s.cfg.Ready()
	}
	return err
}

// Reviewed gives the windows that may be sent, oldest first.
func (s *Service) Reviewed(ctx context.Context) ([][]byte, error) {
	rows, err := s.cfg.DB.QueryContext(ctx, `SELECT body FROM feedback_window WHERE state = $1 ORDER BY day, service LIMIT 100`, Reviewed)
	if err != nil {
		return nil, fmt.Errorf("anonymise: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out [][]byte
	for rows.Next() {
		var body string
		err = rows.Scan(&body)
		if err != nil {
			return nil, fmt.Errorf("anonymise: %w", err)
		}
		out = append(out, []byte(body))
	}
	return out, rows.Err()
}

// Answered takes the hub's answer to a window; refused is empty when it was
// accepted. A window is never sent again in another form.
func (s *Service) Answered(ctx context.Context, body []byte, refused string) error {
	state := Accepted
	if refused != "" {
		state = Refused
	}
	return s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE feedback_window SET state = $1, error = $2, answered = $3 WHERE body = $4 AND state = $5`,
			state, refused, sqldb.Time(s.cfg.Now()), string(body), Reviewed)
		return err
	})
}
