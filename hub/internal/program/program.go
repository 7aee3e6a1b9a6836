// Package program keeps the registry: who gives indicators (sources), who
// receives them (providers, their accreditation and their nodes' certificates),
// who is protected (entities) and in which sectors.
//
// It decides about parties, never about indicators, and holds no contract,
// price or traffic. Which provider an indicator goes to is decided in
// hub/internal/release.
//
// Invariants: a state changes only along the table in state.go, by an account
// with the role named there, with a reason, in one transaction with its step and
// its audit entry; assessor, accrediting official and decider of eligibility are
// three persons (SOD-3); a one-time token gives one key a certificate, once; a
// certificate that was revoked stays revoked.
package program

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/internal/certs"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Config of a [Program].
type Config struct {
	Authority *certs.Authority // signs nodes' certificates
	Verifier  string           // signed-note verifier key that nodes are told
	NodeLife  time.Duration    // of a node's certificate; 24 h when zero
	TokenLife time.Duration    // of a one-time token; 24 h when zero
	// RenewWithin is how long after its end a certificate may still be used to
	// renew, so that a node cut off for a while comes back by itself; 30 days when
	// zero.
	RenewWithin time.Duration
	// Grace is how long after the end of its accreditation a provider is
	// suspended by the system (docs/program.md); 14 days when zero.
	Grace time.Duration
	// OperateOnEnrol makes an accredited provider operational with its first node.
	// For a demonstration: otherwise a person does it after a test.
	OperateOnEnrol bool
	// Now is the clock; [time.Now] when nil.
	Now func() time.Time
}

// Program changes the registry. Reading needs only a [sqldb.Querier]: see the
// package's functions.
type Program struct {
	db  *sqldb.DB
	cfg Config
}

// New makes the program.
func New(db *sqldb.DB, cfg Config) (*Program, error) {
	if cfg.Authority == nil {
		return nil, errors.New("program: Config needs an Authority")
	}
	if cfg.NodeLife == 0 {
		cfg.NodeLife = certs.NodeLife
	}
	if cfg.TokenLife == 0 {
		cfg.TokenLife = 24 * time.Hour
	}
	if cfg.RenewWithin == 0 {
		cfg.RenewWithin = 30 * 24 * time.Hour
	}
	if cfg.Grace == 0 {
		cfg.Grace = 14 * 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Program{db: db, cfg: cfg}, nil
}

// The reasons why a change or a request was refused; test with errors.Is. The
// text says what to do next.
var (
	ErrRole      = errors.New("program: the account's roles do not permit this")
	ErrState     = errors.New("program: the present state does not permit this")
	ErrPerson    = errors.New("program: this person already acted here in another role; another person has to do this")
	ErrGuard     = errors.New("program: a condition is not met")
	ErrInput     = errors.New("program: the input is refused")
	ErrExists    = errors.New("program: this short name is taken; choose another")
	ErrNotFound  = errors.New("program: there is no such party")
	ErrToken     = errors.New("program: the token is wrong, used or too old; ask the hub's operator for a new one")
	ErrRevoked   = errors.New("program: the certificate was revoked; ask the hub's operator for a new token and enrol again")
	ErrUnknown   = errors.New("program: the certificate is not in the hub's books; enrol again")
	ErrExpired   = errors.New("program: the certificate has ended; renew it")
	ErrTooLate   = errors.New("program: the certificate ended too long ago to renew; ask the hub's operator for a new token and enrol again")
	ErrSuspended = errors.New("program: the provider is suspended; ask the hub's operator")
	ErrInactive  = errors.New("program: the provider is not accredited, or has left the program; ask the hub's operator")
)

// The roles that act here, see docs/program.md.
const (
	roleAnalyst    = "pmo_analyst"
	roleAccreditor = "accrediting_official"
	roleAssessor   = "assessor"
	roleSSA        = "ssa_officer"
	roleAdmin      = "system_admin"
)

func needRole(acct signin.Account, roles ...string) error {
	if acct.Login != "" && acct.Person != "" && slices.ContainsFunc(roles, acct.Has) {
		return nil
	}
	return fmt.Errorf("%w: it takes %s", ErrRole, strings.Join(roles, " or "))
}

func checkReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if len(reason) < 8 || len(reason) > 4096 || strings.ContainsRune(reason, 0) {
		return "", fmt.Errorf("%w: give a reason of 8 to 4096 bytes", ErrInput)
	}
	return reason, nil
}

func checkParty(id, name string) error {
	if !certs.Name(id) {
		return fmt.Errorf("%w: short name %q: use 1 to 63 of a-z, 0-9 and dash", ErrInput, id)
	}
	if strings.TrimSpace(name) == "" || len(name) > 200 || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%w: %s needs a name of at most 200 bytes", ErrInput, id)
	}
	return nil
}

// Authority gives the authority that signs nodes' certificates.
func (p *Program) Authority() *certs.Authority { return p.cfg.Authority }

// Prepare inserts the sectors the first time. Call it before serving.
func (p *Program) Prepare(ctx context.Context) error {
	return p.db.Write(ctx, func(tx *sql.Tx) error { return seedSectors(ctx, tx) })
}

// Run suspends providers whose accreditation is over, and forgets tokens that
// ended long ago, once a minute until ctx ends.
func (p *Program) Run(ctx context.Context) error {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		err := p.sweep(ctx)
		if err != nil && ctx.Err() == nil {
			slog.Error("registry not swept", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (p *Program) sweep(ctx context.Context) error {
	now := p.cfg.Now()
	all, err := Providers(ctx, p.db)
	if err != nil {
		return err
	}
	for _, x := range all {
		if x.State != Operational || x.NotAfter.IsZero() || now.Before(x.NotAfter.Add(p.cfg.Grace)) {
			continue
		}
		err = p.move(ctx, systemAccount, x.ID, Suspended, "the accreditation ended and the grace is over (C12)")
		if err != nil {
			return err
		}
	}
	return p.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM token WHERE expires < $1", sqldb.Time(now.Add(-7*24*time.Hour)))
		return err
	})
}

var systemAccount = signin.Account{Login: "system", Person: "system"}

// services checks a set that somebody asks for.
func checkServices(s contract.Services) error {
	if s == 0 || s&^contract.AllServices != 0 {
		return fmt.Errorf("%w: name at least one of dns, smtp, netflow", ErrInput)
	}
	return nil
}
