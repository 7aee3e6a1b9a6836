package program

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// State is where a provider stands (docs/program.md, Providers).
type State string

// The states of a provider.
const (
	Interested         State = "INTERESTED"
	EligibilityReview  State = "ELIGIBILITY_REVIEW"
	Eligible           State = "ELIGIBLE"
	Ineligible         State = "INELIGIBLE"
	MOANegotiation     State = "MOA_NEGOTIATION"
	MOAInForce         State = "MOA_IN_FORCE"
	SecurityValidation State = "SECURITY_VALIDATION"
	Remediation        State = "REMEDIATION"
	Validated          State = "VALIDATED"
	Accredited         State = "ACCREDITED"
	Operational        State = "OPERATIONAL"
	Suspended          State = "SUSPENDED"
	Terminating        State = "TERMINATING"
	Terminated         State = "TERMINATED"
	Withdrawn          State = "WITHDRAWN"
)

// States lists all in the order of the way.
var States = []State{
	Interested, EligibilityReview, Eligible, Ineligible, MOANegotiation, MOAInForce, SecurityValidation, Remediation,
	Validated, Accredited, Operational, Suspended, Terminating, Terminated, Withdrawn,
}

// Active reports whether a provider in this state may enrol nodes and receive
// indicators.
func (s State) Active() bool { return s == Accredited || s == Operational }

// Follows reports whether nodes of a provider in this state may follow its log.
// One that is suspended or leaving still does: recalls have to arrive, and
// nothing new is released to it (hub/internal/release).
func (s State) Follows() bool { return s.Active() || s == Suspended || s == Terminating }

type way struct {
	from, to State
	roles    []string
}

// ways is the whole table: nothing else is possible. Accredited is reached
// through [Program.Accredit] alone.
var ways = func() []way {
	out := []way{
		{Interested, EligibilityReview, []string{roleAnalyst}},
		{EligibilityReview, Eligible, []string{roleAccreditor}},
		{EligibilityReview, Ineligible, []string{roleAccreditor}},
		{Ineligible, EligibilityReview, []string{roleAnalyst}},
		{Eligible, MOANegotiation, []string{roleAnalyst}},
		{MOANegotiation, MOAInForce, []string{roleAnalyst}},
		{MOAInForce, SecurityValidation, []string{roleAssessor}},
		{SecurityValidation, Remediation, []string{roleAssessor}},
		{Remediation, SecurityValidation, []string{roleAssessor}},
		{SecurityValidation, Validated, []string{roleAssessor}},
		{Validated, Accredited, []string{roleAccreditor}},
		{Accredited, Operational, []string{roleAccreditor, roleAnalyst}},
		{Operational, Suspended, []string{roleAnalyst, roleAccreditor}},
		{Suspended, Operational, []string{roleAccreditor}},
		{Operational, Terminating, []string{roleAccreditor}},
		{Suspended, Terminating, []string{roleAccreditor}},
		{Accredited, Terminating, []string{roleAccreditor}},
		{Terminating, Terminated, []string{roleAccreditor}},
	}
	for _, from := range []State{Interested, EligibilityReview, Eligible, Ineligible, MOANegotiation, MOAInForce, SecurityValidation, Remediation, Validated} {
		out = append(out, way{from, Withdrawn, []string{roleAnalyst}})
	}
	return out
}()

// Next gives the states that an account may bring a provider to.
func Next(acct signin.Account, from State) []State {
	var out []State
	for _, w := range ways {
		if w.from == from && slices.ContainsFunc(w.roles, acct.Has) {
			out = append(out, w.to)
		}
	}
	return out
}

// Move brings a provider to another state. For Accredited see [Program.Accredit].
func (p *Program) Move(ctx context.Context, acct signin.Account, id string, to State, reason string) error {
	if to == Accredited {
		return fmt.Errorf("%w: an accreditation names services, a ceiling and dates", ErrInput)
	}
	return p.move(ctx, acct, id, to, reason)
}

func (p *Program) move(ctx context.Context, acct signin.Account, id string, to State, reason string) error {
	reason, err := checkReason(reason)
	if err != nil {
		return err
	}
	return p.db.Write(ctx, func(tx *sql.Tx) error { return p.moveIn(ctx, tx, acct, id, to, reason) })
}

func (p *Program) moveIn(ctx context.Context, tx *sql.Tx, acct signin.Account, id string, to State, reason string) error {
	x, err := GetProvider(ctx, tx, id)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(ways, func(w way) bool { return w.from == x.State && w.to == to })
	if at < 0 {
		return fmt.Errorf("%w: %s is %s and cannot become %s", ErrState, id, x.State, to)
	}
	if acct.Login != systemAccount.Login {
		err = needRole(acct, ways[at].roles...)
		if err != nil {
			return err
		}
	}
	err = p.guard(ctx, tx, acct, &x, to)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE provider SET state = $2, withdrawn = 0 WHERE id = $1", id, string(to))
	if err != nil {
		return fmt.Errorf("program: move %s: %w", id, err)
	}
	err = p.step(ctx, tx, acct, "provider", id, string(to), reason)
	if err != nil {
		return err
	}
	return audit.Append(ctx, tx, acct.Login, "provider.move", id, map[string]any{"from": x.State, "to": to, "reason": reason})
}

// guard holds the conditions that are more than a role.
func (p *Program) guard(ctx context.Context, tx *sql.Tx, acct signin.Account, x *Provider, to State) error {
	now := p.cfg.Now()
	switch to {
	case Validated, Accredited, Eligible:
		return differs(ctx, tx, acct, x.ID, to)
	case Operational:
		if now.Before(x.NotBefore) || (!x.NotAfter.IsZero() && !now.Before(x.NotAfter)) {
			return fmt.Errorf("%w: the accreditation of %s is not in force now", ErrGuard, x.ID)
		}
		var nodes int
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM node WHERE provider = $1 AND revoked = 0", x.ID).Scan(&nodes)
		if err != nil {
			return fmt.Errorf("program: nodes of %s: %w", x.ID, err)
		}
		if nodes == 0 {
			return fmt.Errorf("%w: no node of %s has enrolled; give its security officer a token", ErrGuard, x.ID)
		}
	case Terminated:
		_, err := tx.ExecContext(ctx, "UPDATE node SET revoked = $2 WHERE provider = $1 AND revoked = 0", x.ID, sqldb.Time(now))
		if err != nil {
			return fmt.Errorf("program: revoke nodes of %s: %w", x.ID, err)
		}
		_, err = tx.ExecContext(ctx, "UPDATE token SET used = $2 WHERE provider = $1 AND used = 0", x.ID, sqldb.Time(now))
		if err != nil {
			return fmt.Errorf("program: void tokens of %s: %w", x.ID, err)
		}
	}
	return nil
}

// differs refuses a person who took one of the other two decisions (SOD-3).
func differs(ctx context.Context, tx *sql.Tx, acct signin.Account, id string, to State) error {
	steps, err := Steps(ctx, tx, "provider", id)
	if err != nil {
		return err
	}
	for _, s := range steps {
		other := s.State == string(Eligible) || s.State == string(Validated) || s.State == string(Accredited)
		if other && s.State != string(to) && s.Person == acct.Person {
			return fmt.Errorf("%w: %s brought %s to %s (SOD-3)", ErrPerson, s.Person, id, s.State)
		}
	}
	return nil
}

// Step is one change of state.
type Step struct {
	State  string
	Login  string
	Person string
	Reason string
	At     time.Time
}

// Steps gives the history of a provider or entity, oldest first. Subject is
// "provider" or "entity".
func Steps(ctx context.Context, q sqldb.Querier, subject, id string) ([]Step, error) {
	rows, err := q.QueryContext(ctx, "SELECT state, login, person, reason, at FROM step WHERE subject = $1 AND id = $2 ORDER BY number", subject, id)
	if err != nil {
		return nil, fmt.Errorf("program: history of %s: %w", id, err)
	}
	defer func() { _ = rows.Close() }()
	var out []Step
	for rows.Next() {
		var s Step
		var at int64
		err = rows.Scan(&s.State, &s.Login, &s.Person, &s.Reason, &at)
		if err != nil {
			return nil, fmt.Errorf("program: history of %s: %w", id, err)
		}
		s.At = sqldb.FromTime(at)
		out = append(out, s)
	}
	return out, rows.Err()
}

func (p *Program) step(ctx context.Context, tx *sql.Tx, acct signin.Account, subject, id, state, reason string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO step (subject, id, number, state, login, person, reason, at)
		VALUES ($1, $2, (SELECT coalesce(max(number), 0) + 1 FROM step WHERE subject = $1 AND id = $2), $3, $4, $5, $6, $7)`,
		subject, id, state, acct.Login, acct.Person, reason, sqldb.Time(p.cfg.Now()))
	if err != nil {
		return fmt.Errorf("program: step of %s: %w", id, err)
	}
	return nil
}
