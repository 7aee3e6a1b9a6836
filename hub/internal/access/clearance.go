package access

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ecs/hub/internal/marking"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Configuration stands as who granted the clearances of the configuration.
const Configuration = "configuration"

// Prepare says what this hub may hold; call it at each start, before anybody is let
// in. Until then nobody counts as cleared for everything.
func Prepare(ctx context.Context, db *sqldb.DB, holds marking.Clearance) error {
	var mark [16]byte
	_, _ = rand.Read(mark[:])
	err := db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO instance (one, mark, clearance) VALUES (1, $1, $2)
			ON CONFLICT (one) DO UPDATE SET clearance = excluded.clearance`, fmt.Sprintf("%x", mark), holds.String())
		return err
	})
	if err != nil {
		return fmt.Errorf("access: prepare: %w", err)
	}
	return nil
}

// Effective gives [signin.Config.Effective]: the account with its clearance as it
// counts now. It changes nothing else of the account.
func Effective(db *sqldb.DB) func(ctx context.Context, a signin.Account) (signin.Account, error) {
	return func(ctx context.Context, a signin.Account) (signin.Account, error) {
		c, err := ClearanceOf(ctx, db, a.Login)
		if err != nil {
			return signin.Account{}, err
		}
		a.Clearance = c.String()
		return a, nil
	}
}

// ClearanceOf reads what a login is cleared for.
func ClearanceOf(ctx context.Context, q sqldb.Querier, login string) (marking.Clearance, error) {
	var text string
	err := q.QueryRowContext(ctx, `SELECT text FROM clearance WHERE login = $1`, login).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return marking.Clearance{}, nil
	}
	if err != nil {
		return marking.Clearance{}, fmt.Errorf("access: clearance of %s: %w", login, err)
	}
	return ParseClearance(text)
}

// ParseClearance reads a clearance as it is written in the configuration and in
// [signin.Account]: "S//SI REL USA TLP:RED". Empty is what everybody has,
// unclassified up to TLP:AMBER+STRICT.
func ParseClearance(text string) (marking.Clearance, error) {
	if text == "" {
		return marking.Clearance{}, nil
	}
	c, err := marking.ParseClearance(text)
	if err != nil {
		return c, fmt.Errorf("access: clearance %q: %w", text, err)
	}
	return c, nil
}

// Grant records what a login is cleared for, from the next request on, and by whom.
// That it takes two persons is the matter of whoever calls it. The same again changes
// nothing.
func Grant(ctx context.Context, tx *sql.Tx, by, login string, c marking.Clearance) error {
	was, err := ClearanceOf(ctx, tx, login)
	if err != nil {
		return err
	}
	if was.String() == c.String() {
		return nil
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO clearance (login, text, granted_by, granted) VALUES ($1, $2, $3, $4)
		ON CONFLICT (login) DO UPDATE SET text = excluded.text, granted_by = excluded.granted_by, granted = excluded.granted`,
		login, c.String(), by, sqldb.Time(time.Now()))
	if err != nil {
		return fmt.Errorf("access: grant: %w", err)
	}
	return audit.Append(ctx, tx, by, "clearance.set", login, map[string]string{"from": was.String(), "to": c.String()})
}

// Configure brings the clearance of an account of the configuration up to date. An
// empty text takes back what the configuration gave, and leaves alone what somebody
// else has granted since.
func Configure(ctx context.Context, db *sqldb.DB, login, text string) error {
	c, err := ParseClearance(text)
	if err != nil {
		return err
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		if text == "" {
			var by string
			err := tx.QueryRowContext(ctx, `SELECT granted_by FROM clearance WHERE login = $1`, login).Scan(&by)
			if errors.Is(err, sql.ErrNoRows) || err == nil && by != Configuration {
				return nil
			}
			if err != nil {
				return fmt.Errorf("access: configure: %w", err)
			}
		}
		return Grant(ctx, tx, Configuration, login, c)
	})
}
