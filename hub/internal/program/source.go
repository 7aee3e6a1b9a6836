package program

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Source is who gives indicators.
type Source struct {
	ID             string // short name
	Name           string
	Agency         string
	Authority      string    // under which agreement or law
	AuthorityUntil time.Time // nothing is taken or released under it from then on; zero: open-ended
	Purpose        string
	Ceiling        contract.TLP // highest marking that it may submit here
	Reliability    string       // Admiralty scale, A to F
	Created        time.Time
}

// Alive reports whether the authority holds.
func (s Source) Alive(now time.Time) bool {
	return s.AuthorityUntil.IsZero() || now.Before(s.AuthorityUntil)
}

const sourceColumns = "id, name, agency, authority, authority_until, purpose, ceiling, reliability, created"

func scanSource(row interface{ Scan(dest ...any) error }) (Source, error) {
	var s Source
	var until, created int64
	err := row.Scan(&s.ID, &s.Name, &s.Agency, &s.Authority, &until, &s.Purpose, &s.Ceiling, &s.Reliability, &created)
	s.AuthorityUntil, s.Created = sqldb.FromTime(until), sqldb.FromTime(created)
	return s, err
}

// GetSource reads one source; [ErrNotFound] when there is none.
func GetSource(ctx context.Context, q sqldb.Querier, id string) (Source, error) {
	s, err := scanSource(q.QueryRowContext(ctx, "SELECT "+sourceColumns+" FROM source WHERE id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("%w: source %q", ErrNotFound, id)
	}
	if err != nil {
		return s, fmt.Errorf("program: source %s: %w", id, err)
	}
	return s, nil
}

// Sources gives all sources in order of short name.
func Sources(ctx context.Context, q sqldb.Querier) ([]Source, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+sourceColumns+" FROM source ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("program: sources: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Source
	for rows.Next() {
		s, err := scanSource(rows)
		if err != nil {
			return nil, fmt.Errorf("program: sources: %w", err)
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// PutSource adds a source, or changes one that is there.
func (p *Program) PutSource(ctx context.Context, acct signin.Account, s Source) error {
	err := needRole(acct, roleAnalyst, roleAdmin)
	if err != nil {
		return err
	}
	err = checkParty(s.ID, s.Name)
	if err != nil {
		return err
	}
	for _, f := range [...]struct{ what, text string }{{"an agency", s.Agency}, {"an authority", s.Authority}, {"a purpose", s.Purpose}} {
		if strings.TrimSpace(f.text) == "" || len(f.text) > 500 || strings.ContainsRune(f.text, 0) {
			return fmt.Errorf("%w: source %s needs %s of at most 500 bytes", ErrInput, s.ID, f.what)
		}
	}
	if len(s.Reliability) != 1 || s.Reliability[0] < 'A' || s.Reliability[0] > 'F' {
		return fmt.Errorf("%w: source %s: reliability is one letter from A to F", ErrInput, s.ID)
	}
	if s.Ceiling > contract.Red {
		return fmt.Errorf("%w: source %s: the ceiling is a TLP marking", ErrInput, s.ID)
	}
	return p.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO source (`+sourceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (id) DO UPDATE SET name = $2, agency = $3, authority = $4, authority_until = $5, purpose = $6, ceiling = $7, reliability = $8`,
			s.ID, s.Name, s.Agency, s.Authority, sqldb.Time(s.AuthorityUntil), s.Purpose, int64(s.Ceiling), s.Reliability, sqldb.Time(p.cfg.Now()))
		if err != nil {
			return fmt.Errorf("program: source %s: %w", s.ID, err)
		}
		return audit.Append(ctx, tx, acct.Login, "source.put", s.ID, map[string]any{
			"name": s.Name, "agency": s.Agency, "authority": s.Authority, "authority_until": s.AuthorityUntil,
			"purpose": s.Purpose, "ceiling": s.Ceiling, "reliability": s.Reliability,
		})
	})
}
