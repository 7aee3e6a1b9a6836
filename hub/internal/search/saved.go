package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"ecs/hub/internal/access"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Saved is a search that somebody keeps.
type Saved struct {
	ID      string    `json:"id"`
	Login   string    `json:"login"` // whose it is
	Name    string    `json:"name"`
	Query   string    `json:"query"`
	Shared  bool      `json:"shared"`
	Created time.Time `json:"created"`
	Looked  time.Time `json:"looked"` // when the reader looked last; zero: never
	// Count is how many it finds, New how many of them came since the reader looked
	// last: up to MostCounted. More says that there are more than Count. Both count
	// what the reader may know of.
	Count int  `json:"count"`
	New   int  `json:"new"`
	More  bool `json:"more"`
}

// Bounds of saved searches.
const (
	MostCounted = 500
	maxSaved    = 50 // of one person
	maxName     = 80 // letters
)

// Errors of saved searches.
var (
	ErrName    = errors.New("search: a name of 1 to 80 letters on one line is needed")
	ErrTaken   = errors.New("search: you keep a search under this name: choose another")
	ErrMany    = errors.New("search: you keep 50 searches: remove one first")
	ErrNoSaved = errors.New("search: there is no such saved search")
)

// Save keeps a search under a name.
func Save(ctx context.Context, db *sqldb.DB, a signin.Account, name, query string, shared bool, now time.Time) (Saved, error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name) {
		return Saved{}, ErrName
	}
	q, err := Parse(query)
	if err != nil {
		return Saved{}, err
	}
	s := Saved{ID: uuid.NewString(), Login: a.Login, Name: name, Query: q.String(), Shared: shared, Created: now.UTC().Truncate(time.Microsecond)}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		var n int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM saved_search WHERE login = $1`, a.Login).Scan(&n)
		if err != nil {
			return err
		}
		if n >= maxSaved {
			return ErrMany
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO saved_search (id, login, name, query, shared, created) VALUES ($1, $2, $3, $4, $5, $6)`,
			s.ID, s.Login, s.Name, s.Query, s.Shared, sqldb.Time(s.Created))
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, a.Login, "search.save", s.ID, map[string]any{"name": s.Name, "shared": s.Shared})
	})
	if sqldb.IsUnique(err) {
		return Saved{}, ErrTaken
	}
	if err != nil {
		return Saved{}, fmt.Errorf("search: save: %w", err)
	}
	return s, nil
}

// Remove forgets a saved search of the account's own.
func Remove(ctx context.Context, db *sqldb.DB, a signin.Account, id string) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM saved_search WHERE id = $1 AND login = $2`, id, a.Login)
		if err != nil {
			return fmt.Errorf("search: remove: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNoSaved
		}
		return audit.Append(ctx, tx, a.Login, "search.remove", id, map[string]any{})
	})
}

const savedColumns = `SELECT s.id, s.login, s.name, s.query, s.shared, s.created, coalesce(l.at, 0), coalesce(l.number, 0)
	FROM saved_search s LEFT JOIN saved_look l ON l.search = s.id AND l.login = $1 WHERE (s.login = $1 OR s.shared)`

func scanSaved(scan func(...any) error) (s Saved, number int64, err error) {
	var created, looked int64
	err = scan(&s.ID, &s.Login, &s.Name, &s.Query, &s.Shared, &created, &looked, &number)
	s.Created, s.Looked = sqldb.FromTime(created), sqldb.FromTime(looked)
	return s, number, err
}

// List gives the account's own saved searches and the shared ones, by name, each
// with its counts. A query of which the language has lost a word counts nothing.
func List(ctx context.Context, q sqldb.Querier, a signin.Account) ([]Saved, error) {
	r, err := ReaderOf(ctx, q, a)
	if err != nil {
		return nil, err
	}
	list, numbers, err := listSaved(ctx, q, a)
	if err != nil {
		return nil, err
	}
	for i := range list {
		query, err := Parse(list[i].Query)
		if err != nil {
			continue
		}
		all, err := Find(ctx, q, r, query, Options{Limit: MostCounted, Budget: 2 * MostCounted})
		if err != nil {
			return nil, err
		}
		list[i].Count, list[i].More = len(all.Items), all.Next != 0
		for j := range all.Items {
			if all.Items[j].Number > numbers[i] {
				list[i].New++
			}
		}
	}
	return list, nil
}

func listSaved(ctx context.Context, q sqldb.Querier, a signin.Account) (list []Saved, numbers []int64, err error) {
	rows, err := q.QueryContext(ctx, savedColumns+` ORDER BY s.name, s.id LIMIT 200`, a.Login)
	if err != nil {
		return nil, nil, fmt.Errorf("search: saved: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		s, n, err := scanSaved(rows.Scan)
		if err != nil {
			return nil, nil, err
		}
		list, numbers = append(list, s), append(numbers, n)
	}
	return list, numbers, rows.Err()
}

// Look reads a saved search and records that the account looks at it now. since is
// the number of the newest item when it looked last.
func Look(ctx context.Context, db *sqldb.DB, a signin.Account, id string, now time.Time) (s Saved, since int64, err error) {
	err = db.Write(ctx, func(tx *sql.Tx) error {
		var err error
		s, since, err = scanSaved(tx.QueryRowContext(ctx, savedColumns+` AND s.id = $2`, a.Login, id).Scan)
		if noRows(err) {
			return ErrNoSaved
		}
		if err != nil {
			return fmt.Errorf("search: look: %w", err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO saved_look (search, login, number, at) SELECT $1, $2, value, $3 FROM counter WHERE name = 'item'
			ON CONFLICT (search, login) DO UPDATE SET number = excluded.number, at = excluded.at`, id, a.Login, sqldb.Time(now))
		return err
	})
	return s, since, err
}

// Explain gives the words for an error of this package.
func Explain(err error) (access.Explanation, bool) {
	var bad *SyntaxError
	if errors.As(err, &bad) {
		return access.Explanation{
			Status: 422, Code: "query", Title: "The query cannot be read", Detail: fmt.Sprintf("At character %d: %s.", bad.Pos+1, bad.What),
			Next: "Correct it; the page of the search explains the language.",
		}, true
	}
	for _, x := range []struct {
		err         error
		status      int
		code, title string
		next        string
	}{
		{ErrName, 422, "name", "The name is refused", "Give it a short name."},
		{ErrTaken, 409, "exists", "The name is taken", "Choose another."},
		{ErrMany, 409, "many", "There are many already", "Remove one first."},
		{ErrNoSaved, 404, "not-found", "No such saved search", "Look for it in the list of saved searches."},
	} {
		if errors.Is(err, x.err) {
			detail := strings.TrimPrefix(x.err.Error(), "search: ")
			return access.Explanation{Status: x.status, Code: x.code, Title: x.title, Detail: strings.ToUpper(detail[:1]) + detail[1:] + ".", Next: x.next}, true
		}
	}
	return access.Explanation{}, false
}
