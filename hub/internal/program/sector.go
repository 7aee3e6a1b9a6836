package program

import (
	"context"
	"database/sql"
	_ "embed" // the sectors
	"encoding/json"
	"fmt"

	"ecs/contract"
	"ecs/internal/sqldb"
)

// ppd21 is the set "us-ppd21": the sixteen sectors of Presidential Policy
// Directive 21 and their sector-specific agencies, numbered in alphabetical
// order. Three sectors have two agencies, and either may determine.
//
//go:embed data/us-ppd21.json
var ppd21 []byte

// Sector is one part of the economy that the program protects.
type Sector struct {
	Number   contract.Sector `json:"number"`
	Name     string          `json:"name"`
	Agencies []string        `json:"agencies"`
}

// seedSectors inserts the set when there is none.
func seedSectors(ctx context.Context, tx *sql.Tx) error {
	var n int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sector").Scan(&n)
	if err != nil {
		return fmt.Errorf("program: sectors: %w", err)
	}
	if n > 0 {
		return nil
	}
	var set []Sector
	err = json.Unmarshal(ppd21, &set)
	if err != nil {
		return fmt.Errorf("program: sectors: %w", err)
	}
	for _, s := range set {
		_, err = tx.ExecContext(ctx, "INSERT INTO sector (number, name) VALUES ($1, $2)", int64(s.Number), s.Name)
		for _, a := range s.Agencies {
			if err == nil {
				_, err = tx.ExecContext(ctx, "INSERT INTO sector_agency (sector, agency) VALUES ($1, $2)", int64(s.Number), a)
			}
		}
		if err != nil {
			return fmt.Errorf("program: sector %d: %w", s.Number, err)
		}
	}
	return nil
}

// Sectors gives all sectors in order of number.
func Sectors(ctx context.Context, q sqldb.Querier) ([]Sector, error) {
	rows, err := q.QueryContext(ctx, `SELECT s.number, s.name, a.agency FROM sector s
		LEFT JOIN sector_agency a ON a.sector = s.number ORDER BY s.number, a.agency`)
	if err != nil {
		return nil, fmt.Errorf("program: sectors: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Sector
	for rows.Next() {
		var s Sector
		var agency sql.NullString
		err = rows.Scan(&s.Number, &s.Name, &agency)
		if err != nil {
			return nil, fmt.Errorf("program: sectors: %w", err)
		}
		if len(out) == 0 || out[len(out)-1].Number != s.Number {
			out = append(out, s)
		}
		last := &out[len(out)-1]
		if agency.Valid {
			last.Agencies = append(last.Agencies, agency.String)
		}
	}
	return out, rows.Err()
}

// Coverage counts a sector's entities. An entity in two sectors counts in both.
type Coverage struct {
	Sector
	Candidates   int // nominated or submitted, not decided
	Validated    int
	NotValidated int // refused, withdrawn or closed
}

// CoverageBySector gives every sector, also those where nobody is: a zero is the
// message of the table.
func CoverageBySector(ctx context.Context, q sqldb.Querier) ([]Coverage, error) {
	sectors, err := Sectors(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make([]Coverage, len(sectors))
	at := map[contract.Sector]*Coverage{}
	for i, s := range sectors {
		out[i].Sector = s
		at[s.Number] = &out[i]
	}
	rows, err := q.QueryContext(ctx, `SELECT m.sector, e.state, count(*) FROM entity_sector m
		JOIN entity e ON e.id = m.entity GROUP BY m.sector, e.state`)
	if err != nil {
		return nil, fmt.Errorf("program: coverage: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var number contract.Sector
		var state EntityState
		var n int
		err = rows.Scan(&number, &state, &n)
		if err != nil {
			return nil, fmt.Errorf("program: coverage: %w", err)
		}
		c := at[number]
		switch state {
		case EntityValidated, RevalidationDue:
			c.Validated += n
		case Candidate, Submitted, Determination:
			c.Candidates += n
		default:
			c.NotValidated += n
		}
	}
	return out, rows.Err()
}
