package casework

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Comment is what somebody said.
type Comment struct {
	ID     string    `json:"id"`
	Login  string    `json:"login"`
	Person string    `json:"person"`
	Text   string    `json:"text"`
	At     time.Time `json:"at"`
}

const (
	maxText     = 4000 // letters of a comment
	maxComments = 500  // that are read
)

// Say adds a comment.
func Say(ctx context.Context, db *sqldb.DB, a signin.Account, s Subject, text string, now time.Time) (Comment, error) {
	err := may(a)
	if err == nil {
		err = See(ctx, db, a, s)
	}
	if err != nil {
		return Comment{}, err
	}
	text, err = screen(text, maxText, true, now)
	if err != nil {
		return Comment{}, err
	}
	id, err := uuid.NewV7() // rises with time
	if err != nil {
		return Comment{}, err
	}
	c := Comment{ID: id.String(), Login: a.Login, Person: a.Person, Text: text, At: now.UTC().Truncate(time.Microsecond)}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO comment (id, subject, login, person, text, at) VALUES ($1, $2, $3, $4, $5, $6)`,
			c.ID, s.String(), c.Login, c.Person, c.Text, sqldb.Time(c.At))
		if err != nil {
			return fmt.Errorf("casework: comment: %w", err)
		}
		return audit.Append(ctx, tx, a.Login, "comment.add", s.ID, map[string]string{"comment": c.ID, "kind": s.Kind})
	})
	return c, err
}

// Comments reads what was said about a subject, oldest first.
func Comments(ctx context.Context, q sqldb.Querier, a signin.Account, s Subject) ([]Comment, error) {
	err := See(ctx, q, a, s)
	if err != nil {
		return nil, err
	}
	rows, err := q.QueryContext(ctx, `SELECT id, login, person, text, at FROM comment WHERE subject = $1 ORDER BY at, id LIMIT $2`, s.String(), maxComments)
	if err != nil {
		return nil, fmt.Errorf("casework: comments: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := []Comment{}
	for rows.Next() {
		var c Comment
		var at int64
		err = rows.Scan(&c.ID, &c.Login, &c.Person, &c.Text, &at)
		if err != nil {
			return nil, err
		}
		c.At = sqldb.FromTime(at)
		out = append(out, c)
	}
	return out, rows.Err()
}
