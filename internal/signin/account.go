package signin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Account is one way to sign in. Several accounts of one person count as one
// person wherever two are asked for.
type Account struct {
	Login  string   // lower-case letters, digits, dot, dash, underscore
	Person string   // the human being behind the account
	Roles  []string // what it may do, such as "release_authority"
	Scope  string   // provider or source that the roles are limited to, or empty
	// Clearance is what the person is cleared for, in the words of the house;
	// [Config.Effective] sets it. Empty: what the house gives everybody.
	Clearance string
}

// Has reports whether the account has the role.
func (a Account) Has(role string) bool { return slices.Contains(a.Roles, role) }

// Any reports whether the account has one of the roles.
func (a Account) Any(roles ...string) bool { return slices.ContainsFunc(roles, a.Has) }

// Listed is an account as an administrator sees it.
type Listed struct {
	Account
	Disabled bool
	Created  time.Time
}

// The reasons why nobody is signed in.
var (
	ErrCredentials = errors.New("signin: login or password is wrong")
	ErrLimited     = errors.New("signin: too many wrong passwords; wait five minutes and try again")
	ErrBusy        = errors.New("signin: too many sign-ins at a time; try again in a moment")
	ErrExists      = errors.New("signin: this login exists already; choose another")
	ErrUnknown     = errors.New("signin: no such account")
)

// Create adds an account and gives its new password, which is shown this once.
func (s *Service) Create(ctx context.Context, a Account) (password string, err error) {
	err = check(a)
	if err != nil {
		return "", err
	}
	password, stored, err := s.fresh()
	if err != nil {
		return "", err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO account (login, person, roles, scope, password, disabled, created) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			a.Login, a.Person, strings.Join(a.Roles, ","), a.Scope, stored, false, sqldb.Time(s.cfg.Now()))
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, actor(ctx), "account.create", a.Login, map[string]any{"person": a.Person, "roles": a.Roles, "scope": a.Scope})
	})
	if sqldb.IsUnique(err) {
		return "", ErrExists
	}
	if err != nil {
		return "", fmt.Errorf("signin: create %s: %w", a.Login, err)
	}
	return password, nil
}

// Reset gives an account a new password and ends its sessions.
func (s *Service) Reset(ctx context.Context, login string) (password string, err error) {
	password, stored, err := s.fresh()
	if err != nil {
		return "", err
	}
	err = s.change(ctx, login, "account.reset", "UPDATE account SET password = $2 WHERE login = $1", stored)
	return password, err
}

// Disable keeps an account from signing in, at once, or allows it again.
func (s *Service) Disable(ctx context.Context, login string, disabled bool) error {
	action := "account.enable"
	if disabled {
		action = "account.disable"
	}
	return s.change(ctx, login, action, "UPDATE account SET disabled = $2 WHERE login = $1", disabled)
}

func (s *Service) change(ctx context.Context, login, action, query string, value any) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, query, login, value)
		if err != nil {
			return fmt.Errorf("signin: %s: %w", action, err)
		}
		n, err := done.RowsAffected()
		if err != nil {
			return fmt.Errorf("signin: %s: %w", action, err)
		}
		if n == 0 {
			return ErrUnknown
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM session WHERE login = $1", login)
		if err != nil {
			return fmt.Errorf("signin: %s: %w", action, err)
		}
		return audit.Append(ctx, tx, actor(ctx), action, login, nil)
	})
}

// List gives all accounts in order of login.
func (s *Service) List(ctx context.Context) ([]Listed, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT login, person, roles, scope, disabled, created FROM account ORDER BY login")
	if err != nil {
		return nil, fmt.Errorf("signin: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Listed
	for rows.Next() {
		var l Listed
		var roles string
		var created int64
		err = rows.Scan(&l.Login, &l.Person, &roles, &l.Scope, &l.Disabled, &created)
		if err != nil {
			return nil, fmt.Errorf("signin: list: %w", err)
		}
		l.Roles, l.Created = split(roles), sqldb.FromTime(created)
		out = append(out, l)
	}
	return out, rows.Err()
}

// load reads one account and its stored password; ErrUnknown when it is not
// there or disabled.
func (s *Service) load(ctx context.Context, login string) (a Account, stored string, err error) {
	var roles string
	var disabled bool
	err = s.db.QueryRowContext(ctx, "SELECT login, person, roles, scope, password, disabled FROM account WHERE login = $1", login).
		Scan(&a.Login, &a.Person, &roles, &a.Scope, &stored, &disabled)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && disabled) {
		return Account{}, "", ErrUnknown
	}
	if err != nil {
		return Account{}, "", fmt.Errorf("signin: read account: %w", err)
	}
	a.Roles = split(roles)
	return a, stored, nil
}

func split(roles string) []string {
	if roles == "" {
		return nil
	}
	return strings.Split(roles, ",")
}

func check(a Account) error {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789._-"
	if a.Login == "" || len(a.Login) > 64 || strings.Trim(a.Login, letters) != "" {
		return fmt.Errorf("signin: login %q: use up to 64 of a-z, 0-9, dot, dash and underscore", a.Login)
	}
	if strings.TrimSpace(a.Person) == "" {
		return fmt.Errorf("signin: account %s needs the name of its person: approvals count people", a.Login)
	}
	for _, r := range a.Roles {
		if r == "" || strings.Trim(r, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return fmt.Errorf("signin: account %s: role %q is not a name in lower case", a.Login, r)
		}
	}
	return nil
}

type contextKey struct{}

// With gives a context in which the account is signed in.
func With(ctx context.Context, a Account) context.Context {
	return context.WithValue(ctx, contextKey{}, a)
}

// From gives the account that is signed in.
func From(ctx context.Context) (Account, bool) {
	a, ok := ctx.Value(contextKey{}).(Account)
	return a, ok
}

func actor(ctx context.Context) string {
	a, ok := From(ctx)
	if !ok {
		return audit.System
	}
	return a.Login
}

// Change does what an administrator's command line asks for: "reset" gives a new
// password, "disable" and "enable" none.
func (s *Service) Change(ctx context.Context, login, change string) (password string, err error) {
	switch change {
	case "reset":
		return s.Reset(ctx, login)
	case "disable", "enable":
		return "", s.Disable(ctx, login, change == "disable")
	default:
		return "", fmt.Errorf("signin: no change %q: use reset, disable or enable", change)
	}
}
