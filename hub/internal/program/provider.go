package program

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/marking"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Provider is who receives indicators.
type Provider struct {
	ID        string // short name
	Name      string
	State     State
	Services  contract.Services // accredited for; none before
	Ceiling   contract.TLP      // highest marking that it may receive
	Clearance string            // canonical text of a marking.Clearance, whose TLP is Ceiling; "" is unclassified up to Ceiling
	Terms     int64             // how often these three were changed
	NotBefore time.Time         // of the accreditation
	NotAfter  time.Time
	Withdrawn time.Time // since when nothing may be in force there; zero: not withdrawn
	Head      uint64    // highest sequence number of its log
	Created   time.Time
}

const providerColumns = "id, name, state, services, ceiling, clearance, terms, not_before, not_after, withdrawn, head, created"

func scanProvider(row interface{ Scan(dest ...any) error }) (Provider, error) {
	var x Provider
	var from, to, withdrawn, head, created int64
	err := row.Scan(&x.ID, &x.Name, &x.State, &x.Services, &x.Ceiling, &x.Clearance, &x.Terms, &from, &to, &withdrawn, &head, &created)
	x.NotBefore, x.NotAfter, x.Created, x.Head = sqldb.FromTime(from), sqldb.FromTime(to), sqldb.FromTime(created), uint64(head)
	x.Withdrawn = sqldb.FromTime(withdrawn)
	return x, err
}

// GetProvider reads one provider; [ErrNotFound] when there is none.
func GetProvider(ctx context.Context, q sqldb.Querier, id string) (Provider, error) {
	x, err := scanProvider(q.QueryRowContext(ctx, "SELECT "+providerColumns+" FROM provider WHERE id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		return x, fmt.Errorf("%w: provider %q", ErrNotFound, id)
	}
	if err != nil {
		return x, fmt.Errorf("program: provider %s: %w", id, err)
	}
	return x, nil
}

// Providers gives all providers in order of short name.
func Providers(ctx context.Context, q sqldb.Querier) ([]Provider, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+providerColumns+" FROM provider ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("program: providers: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Provider
	for rows.Next() {
		x, err := scanProvider(rows)
		if err != nil {
			return nil, fmt.Errorf("program: providers: %w", err)
		}
		out = append(out, x)
	}
	return out, rows.Err()
}

// Register records a provider's interest: state INTERESTED, nothing accredited.
func (p *Program) Register(ctx context.Context, acct signin.Account, id, name string) error {
	err := needRole(acct, roleAnalyst)
	if err != nil {
		return err
	}
	err = checkParty(id, name)
	if err != nil {
		return err
	}
	err = p.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO provider (id, name, state, services, ceiling, not_before, not_after, created) VALUES ($1, $2, $3, 0, 0, 0, 0, $4)",
			id, name, string(Interested), sqldb.Time(p.cfg.Now()))
		if err != nil {
			return err
		}
		err = p.step(ctx, tx, acct, "provider", id, string(Interested), "interest registered")
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, acct.Login, "provider.register", id, map[string]string{"name": name})
	})
	return duplicate(err, id)
}

func duplicate(err error, id string) error {
	if sqldb.IsUnique(err) {
		return fmt.Errorf("%w: %s", ErrExists, id)
	}
	return err
}

// Accreditation is what an accrediting official grants.
type Accreditation struct {
	Services  contract.Services
	Ceiling   contract.TLP
	Clearance string    // level, compartments and audiences, such as "S//SI REL USA"; "" is unclassified
	NotBefore time.Time // now when zero
	NotAfter  time.Time // 36 months later when zero
}

// Accredit brings a validated provider to ACCREDITED, or changes the terms of
// one that is accredited, operational or suspended.
func (p *Program) Accredit(ctx context.Context, acct signin.Account, id string, a Accreditation, reason string) error {
	err := needRole(acct, roleAccreditor)
	if err != nil {
		return err
	}
	reason, err = checkReason(reason)
	if err != nil {
		return err
	}
	if a.NotBefore.IsZero() {
		a.NotBefore = p.cfg.Now()
	}
	if a.NotAfter.IsZero() {
		a.NotAfter = a.NotBefore.AddDate(3, 0, 0)
	}
	err = checkServices(a.Services)
	if err != nil {
		return err
	}
	if a.Ceiling > contract.Red || !a.NotAfter.After(a.NotBefore) {
		return fmt.Errorf("%w: the ceiling is a TLP marking, and the end comes after the beginning", ErrInput)
	}
	a.Clearance, err = clearance(a.Clearance, a.Ceiling)
	if err != nil {
		return err
	}
	return p.db.Write(ctx, func(tx *sql.Tx) error {
		x, err := GetProvider(ctx, tx, id)
		if err != nil {
			return err
		}
		switch x.State {
		case Validated:
			err = p.moveIn(ctx, tx, acct, id, Accredited, reason)
		case Accredited, Operational, Suspended:
			err = differs(ctx, tx, acct, id, Accredited)
		default:
			err = fmt.Errorf("%w: %s is %s; it is accredited after VALIDATED", ErrState, id, x.State)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE provider SET services = $2, ceiling = $3, not_before = $4, not_after = $5, clearance = $6, terms = terms + 1 WHERE id = $1",
			id, int64(a.Services), int64(a.Ceiling), sqldb.Time(a.NotBefore), sqldb.Time(a.NotAfter), a.Clearance)
		if err != nil {
			return fmt.Errorf("program: accredit %s: %w", id, err)
		}
		return audit.Append(ctx, tx, acct.Login, "provider.accredit", id, map[string]any{
			"services": a.Services, "ceiling": a.Ceiling, "clearance": a.Clearance, "not_before": a.NotBefore.UTC(), "not_after": a.NotAfter.UTC(), "reason": reason,
		})
	})
}

// clearance brings what an official wrote into its canonical form, with the ceiling
// as its TLP marking, so that both always say the same.
func clearance(text string, ceiling contract.TLP) (string, error) {
	text = strings.Join(strings.Fields(strings.ToUpper(text)), " ")
	if text == "" {
		return "", nil
	}
	c, err := marking.ParseClearance(text)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInput, err)
	}
	if strings.Contains(text, "TLP:") && c.TLP() != ceiling {
		return "", fmt.Errorf("%w: the clearance names another TLP marking than the ceiling; leave it out", ErrInput)
	}
	c, err = marking.ParseClearance(text + " TLP:" + strings.ToUpper(ceiling.String()))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInput, err)
	}
	return c.String(), nil
}
