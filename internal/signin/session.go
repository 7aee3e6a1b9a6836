package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

var errNoSession = errors.New("signin: no session")

// begin opens a session and gives the cookie's value.
func (s *Service) begin(ctx context.Context, login string) (string, error) {
	var b [32]byte
	_, _ = rand.Read(b[:])
	value := base64.RawURLEncoding.EncodeToString(b[:])
	now := s.cfg.Now()
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM session WHERE expires <= $1 OR created <= $2", sqldb.Time(now), sqldb.Time(now.Add(-s.cfg.Absolute)))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO session (token, login, created, expires) VALUES ($1, $2, $3, $4)",
			tokenHash(value), login, sqldb.Time(now), sqldb.Time(now.Add(s.cfg.Idle)))
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, login, "session.begin", login, nil)
	})
	if err != nil {
		return "", fmt.Errorf("signin: begin session: %w", err)
	}
	s.count.sessions.Add(1)
	return value, nil
}

// resume finds the account of a cookie's value and prolongs its session.
func (s *Service) resume(ctx context.Context, value string) (Account, error) {
	hash, now := tokenHash(value), s.cfg.Now()
	var login string
	var created, expires int64
	err := s.db.QueryRowContext(ctx, "SELECT login, created, expires FROM session WHERE token = $1", hash).Scan(&login, &created, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return Account{}, errNoSession
	}
	if err != nil {
		return Account{}, fmt.Errorf("signin: session: %w", err)
	}
	until, last := sqldb.FromTime(expires), sqldb.FromTime(created).Add(s.cfg.Absolute)
	if !now.Before(until) || !now.Before(last) {
		return Account{}, errNoSession
	}
	a, _, err := s.load(ctx, login)
	if errors.Is(err, ErrUnknown) {
		return Account{}, errNoSession
	}
	if err != nil {
		return Account{}, err
	}
	// Not a write for each request: a twentieth of the idle time is exact enough.
	next := now.Add(s.cfg.Idle)
	if next.Sub(until) > s.cfg.Idle/20 {
		err = s.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE session SET expires = $2 WHERE token = $1", hash, sqldb.Time(next))
			return err
		})
		if err != nil {
			return Account{}, fmt.Errorf("signin: prolong session: %w", err)
		}
	}
	return a, nil
}

// end closes a session.
func (s *Service) end(ctx context.Context, value string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var login string
		err := tx.QueryRowContext(ctx, "DELETE FROM session WHERE token = $1 RETURNING login", tokenHash(value)).Scan(&login)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("signin: end session: %w", err)
		}
		return audit.Append(ctx, tx, login, "session.end", login, nil)
	})
}

func tokenHash(value string) string {
	h := sha256.Sum256([]byte(value))
	return hex.EncodeToString(h[:])
}

func (s *Service) setCookie(w http.ResponseWriter, value string) {
	c := &http.Cookie{
		Name: s.cfg.Cookie, Value: value, Path: "/", HttpOnly: true, Secure: s.cfg.Secure,
		SameSite: http.SameSiteStrictMode, MaxAge: int(s.cfg.Absolute / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
