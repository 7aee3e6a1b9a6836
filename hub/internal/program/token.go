package program

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Token is a one-time token, shown once.
type Token struct {
	Text    string // 160 random bits, eight groups of four letters and digits
	Pin     string // of the authority, see internal/certs.Pin
	Expires time.Time
}

// NewToken makes a token with which one node of the provider may enrol.
func (p *Program) NewToken(ctx context.Context, acct signin.Account, provider string) (Token, error) {
	err := needRole(acct, roleAnalyst, roleAccreditor, roleAdmin)
	if err != nil {
		return Token{}, err
	}
	var b [20]byte
	_, _ = rand.Read(b[:])
	plain := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	var groups []string
	for ; plain != ""; plain = plain[4:] {
		groups = append(groups, plain[:4])
	}
	t := Token{Text: strings.Join(groups, "-"), Pin: p.cfg.Authority.Pin(), Expires: p.cfg.Now().Add(p.cfg.TokenLife)}
	err = p.db.Write(ctx, func(tx *sql.Tx) error {
		x, err := GetProvider(ctx, tx, provider)
		if err != nil {
			return err
		}
		if !x.State.Active() && x.State != Suspended {
			return fmt.Errorf("%w: %s is %s; nodes enrol after ACCREDITED", ErrState, provider, x.State)
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO token (hash, provider, expires) VALUES ($1, $2, $3)", tokenHash(t.Text), provider, sqldb.Time(t.Expires))
		if err != nil {
			return fmt.Errorf("program: token: %w", err)
		}
		return audit.Append(ctx, tx, acct.Login, "token.create", provider, map[string]any{"expires": t.Expires.UTC()})
	})
	return t, err
}

// tokenHash folds what people do to a token when they type it.
func tokenHash(text string) string {
	folded := strings.NewReplacer("-", "", " ", "", "\n", "", "\r", "", "\t", "").Replace(strings.ToLower(text))
	h := sha256.Sum256([]byte(folded))
	return hex.EncodeToString(h[:])
}

// redeem takes the token for this public key and gives its provider. The same
// key may redeem the same token again while it lasts: the first answer was lost.
func (p *Program) redeem(ctx context.Context, tx *sql.Tx, text, key string) (string, error) {
	now := sqldb.Time(p.cfg.Now())
	var provider string
	err := tx.QueryRowContext(ctx, `UPDATE token SET used = $2, key = $3
		WHERE hash = $1 AND expires > $2 AND (used = 0 OR key = $3) RETURNING provider`, tokenHash(text), now, key).Scan(&provider)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrToken
	}
	if err != nil {
		return "", fmt.Errorf("program: token: %w", err)
	}
	return provider, nil
}
