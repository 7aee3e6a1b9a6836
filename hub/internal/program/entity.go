package program

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// EntityState is where an entity stands (docs/program.md, Entities).
type EntityState string

// The states of an entity.
const (
	Candidate       EntityState = "CANDIDATE"
	Submitted       EntityState = "SUBMITTED"
	Determination   EntityState = "DETERMINATION"
	EntityValidated EntityState = "VALIDATED"
	NotValidated    EntityState = "NOT_VALIDATED"
	RevalidationDue EntityState = "REVALIDATION_DUE"
	EntityWithdrawn EntityState = "WITHDRAWN"
	EntityClosed    EntityState = "CLOSED"
)

type entityWay struct {
	from, to EntityState
	roles    []string
}

var entityWays = []entityWay{
	{Candidate, Submitted, []string{roleAnalyst, roleSSA}},
	{Submitted, Determination, []string{roleAnalyst}},
	{Determination, EntityValidated, []string{roleSSA, roleAnalyst}},
	{Determination, NotValidated, []string{roleSSA, roleAnalyst}},
	{NotValidated, Determination, []string{roleAnalyst}}, // appeal: another person decides
	{EntityValidated, RevalidationDue, []string{roleAnalyst}},
	{RevalidationDue, EntityValidated, []string{roleSSA, roleAnalyst}},
	{RevalidationDue, NotValidated, []string{roleSSA, roleAnalyst}},
	{Candidate, EntityWithdrawn, []string{roleAnalyst}},
	{Submitted, EntityWithdrawn, []string{roleAnalyst}},
	{Determination, EntityWithdrawn, []string{roleAnalyst}},
	{EntityValidated, EntityClosed, []string{roleAnalyst}},
	{RevalidationDue, EntityClosed, []string{roleAnalyst}},
}

// Entity is an organization that may be protected. The hub knows that it was
// validated, not whose customer it is.
type Entity struct {
	ID        string // short name
	Name      string
	State     EntityState
	Criterion string // of eligibility
	Sectors   []contract.Sector
	Created   time.Time
}

// NextEntity gives the states that an account may bring an entity to.
func NextEntity(acct signin.Account, from EntityState) []EntityState {
	var out []EntityState
	for _, w := range entityWays {
		if w.from == from && slices.ContainsFunc(w.roles, acct.Has) {
			out = append(out, w.to)
		}
	}
	return out
}

// Nominate proposes an entity for its sectors: state CANDIDATE.
func (p *Program) Nominate(ctx context.Context, acct signin.Account, e Entity) error {
	err := needRole(acct, roleAnalyst, roleSSA)
	if err != nil {
		return err
	}
	err = checkParty(e.ID, e.Name)
	if err != nil {
		return err
	}
	if len(e.Criterion) > 500 || len(e.Sectors) == 0 {
		return fmt.Errorf("%w: entity %s needs at least one sector, and a criterion of at most 500 bytes", ErrInput, e.ID)
	}
	sectors := slices.Compact(slices.Sorted(slices.Values(e.Sectors)))
	err = p.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO entity (id, name, state, criterion, created) VALUES ($1, $2, $3, $4, $5)",
			e.ID, e.Name, string(Candidate), e.Criterion, sqldb.Time(p.cfg.Now()))
		if err != nil {
			return err
		}
		for _, s := range sectors {
			done, err := tx.ExecContext(ctx, "INSERT INTO entity_sector (entity, sector) SELECT $1, number FROM sector WHERE number = $2", e.ID, int64(s))
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("%w: there is no sector %d", ErrInput, s)
			}
		}
		err = p.step(ctx, tx, acct, "entity", e.ID, string(Candidate), "nominated")
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, acct.Login, "entity.nominate", e.ID, map[string]any{"name": e.Name, "sectors": sectors, "criterion": e.Criterion})
	})
	return duplicate(err, e.ID)
}

// MoveEntity brings an entity to another state. The reason of a determination
// cites its basis. Nobody decides an appeal against their own refusal.
func (p *Program) MoveEntity(ctx context.Context, acct signin.Account, id string, to EntityState, reason string) error {
	reason, err := checkReason(reason)
	if err != nil {
		return err
	}
	return p.db.Write(ctx, func(tx *sql.Tx) error {
		var from EntityState
		err := tx.QueryRowContext(ctx, "SELECT state FROM entity WHERE id = $1", id).Scan(&from)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: entity %q", ErrNotFound, id)
		}
		if err != nil {
			return fmt.Errorf("program: entity %s: %w", id, err)
		}
		at := slices.IndexFunc(entityWays, func(w entityWay) bool { return w.from == from && w.to == to })
		if at < 0 {
			return fmt.Errorf("%w: %s is %s and cannot become %s", ErrState, id, from, to)
		}
		err = needRole(acct, entityWays[at].roles...)
		if err != nil {
			return err
		}
		if from == Determination {
			err = notOwnRefusal(ctx, tx, acct, id)
			if err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "UPDATE entity SET state = $2 WHERE id = $1", id, string(to))
		if err != nil {
			return fmt.Errorf("program: move %s: %w", id, err)
		}
		err = p.step(ctx, tx, acct, "entity", id, string(to), reason)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, acct.Login, "entity.move", id, map[string]any{"from": from, "to": to, "reason": reason})
	})
}

func notOwnRefusal(ctx context.Context, tx *sql.Tx, acct signin.Account, id string) error {
	steps, err := Steps(ctx, tx, "entity", id)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s.State == string(NotValidated) && s.Person == acct.Person {
			return fmt.Errorf("%w: %s refused %s before (N6)", ErrPerson, s.Person, id)
		}
	}
	return nil
}

// Entities gives all entities with their sectors, in order of short name.
func Entities(ctx context.Context, q sqldb.Querier) ([]Entity, error) {
	rows, err := q.QueryContext(ctx, `SELECT e.id, e.name, e.state, e.criterion, e.created, m.sector FROM entity e
		LEFT JOIN entity_sector m ON m.entity = e.id ORDER BY e.id, m.sector`)
	if err != nil {
		return nil, fmt.Errorf("program: entities: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Entity
	for rows.Next() {
		var e Entity
		var created int64
		var sector sql.NullInt64
		err = rows.Scan(&e.ID, &e.Name, &e.State, &e.Criterion, &created, &sector)
		if err != nil {
			return nil, fmt.Errorf("program: entities: %w", err)
		}
		e.Created = sqldb.FromTime(created)
		if len(out) == 0 || out[len(out)-1].ID != e.ID {
			out = append(out, e)
		}
		last := &out[len(out)-1]
		if sector.Valid {
			last.Sectors = append(last.Sectors, contract.Sector(sector.Int64))
		}
	}
	return out, rows.Err()
}
