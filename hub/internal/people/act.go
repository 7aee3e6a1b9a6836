package people

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Wanted is a grant that somebody asks for.
type Wanted struct {
	Login  string
	Role   string
	Until  time.Time // zero: until it is revoked; needed for a delegation and an emergency
	Reason string
}

// Request asks for a standing grant. It counts when [Register.Approve] has been
// given by another person; neither may be the holder.
func (r *Register) Request(ctx context.Context, by signin.Account, w Wanted) (id string, err error) {
	if !by.Any(givers...) {
		return "", fmt.Errorf("%w: it takes %s", ErrRole, strings.Join(givers, " or "))
	}
	return r.ask(ctx, by, w, Standing, "", r.now())
}

// Emergency asks for a role for at most four hours (SOD-8). Whoever has any role
// may ask and, as another person, approve it; the auditor is told at once.
func (r *Register) Emergency(ctx context.Context, by signin.Account, w Wanted) (id string, err error) {
	if len(by.Roles) == 0 {
		return "", fmt.Errorf("%w: it takes any role", ErrRole)
	}
	now := r.now()
	if !w.Until.After(now) || w.Until.Sub(now) > MaxEmergency {
		return "", fmt.Errorf("%w: an emergency lasts four hours at most", ErrInput)
	}
	return r.ask(ctx, by, w, Emergency, "", now)
}

// Delegate gives a role that the account itself holds by a standing grant to
// somebody else for at most 30 days (SOD-7). What was delegated cannot be delegated
// on, and nobody gets a role whose counterpart they hold. Another person approves.
func (r *Register) Delegate(ctx context.Context, by signin.Account, w Wanted, starts time.Time) (id string, err error) {
	now := r.now()
	if starts.Before(now) {
		starts = now
	}
	if !w.Until.After(starts) || w.Until.Sub(starts) > MaxDelegation {
		return "", fmt.Errorf("%w: a delegation has an end, at most 30 days after its beginning", ErrInput)
	}
	own, err := r.read(ctx, r.cfg.DB, `WHERE g.login = $1 AND g.role = $2 AND g.kind = $3 AND g.ended_at = 0`, by.Login, w.Role, string(Standing))
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(own, func(g Grant) bool { return g.Status == Active }) {
		return "", fmt.Errorf("%w: only a role that one holds by a standing grant can be delegated", ErrRole)
	}
	return r.ask(ctx, by, w, Delegation, by.Login, starts)
}

func (r *Register) ask(ctx context.Context, by signin.Account, w Wanted, kind Kind, giver string, starts time.Time) (string, error) {
	reason, err := reasonable(w.Reason)
	if err != nil {
		return "", err
	}
	if !slices.Contains(Roles, w.Role) {
		return "", fmt.Errorf("%w: there is no role %q; roles are %s", ErrInput, w.Role, strings.Join(Roles, ", "))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	err = r.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		person, err := personOf(ctx, tx, w.Login)
		if err != nil {
			return err
		}
		if person == by.Person {
			return fmt.Errorf("%w: nobody asks for a role of their own", ErrPerson)
		}
		err = r.fits(ctx, tx, person, w.Role, kind, id.String())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO role_grant (id, login, role, kind, starts, until, reason, giver, asked_by, asked_person, asked_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, id.String(), w.Login, w.Role, string(kind), sqldb.Time(starts), sqldb.Time(w.Until),
			reason, giver, by.Login, by.Person, sqldb.Time(r.now()))
		if err != nil {
			return fmt.Errorf("people: ask: %w", err)
		}
		return audit.Append(ctx, tx, by.Login, "role.ask", w.Login, map[string]any{
			"grant": id.String(), "role": w.Role, "kind": kind, "until": w.Until, "reason": reason,
		})
	})
	return id.String(), err
}

// fits refuses a role that the person may not hold beside what they hold.
func (r *Register) fits(ctx context.Context, q sqldb.Querier, person, role string, kind Kind, id string) error {
	held, err := r.rolesOf(ctx, q, person, id)
	if err != nil {
		return err
	}
	other, found := counterpart(role, held)
	if kind == Delegation && found {
		return fmt.Errorf("%w: %s holds %s, the counterpart of %s", ErrTogether, person, other, role)
	}
	return Together(append(slices.Clone(held), role))
}

func personOf(ctx context.Context, q sqldb.Querier, login string) (string, error) {
	var person string
	err := q.QueryRowContext(ctx, `SELECT person FROM account WHERE login = $1`, login).Scan(&person)
	if errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("%w: there is no account %q", ErrNotFound, login)
	}
	return person, err
}

// one reads a grant for an act.
func (r *Register) one(ctx context.Context, tx *sql.Tx, id string) (Grant, error) {
	list, err := r.read(ctx, tx, `WHERE g.id = $1`, id)
	if err != nil {
		return Grant{}, err
	}
	if len(list) == 0 {
		return Grant{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return list[0], nil
}

// Approve is the second person's word. Neither who asked nor who will hold the role
// may give it, under whichever account.
func (r *Register) Approve(ctx context.Context, by signin.Account, id, reason string) error {
	reason, err := reasonable(reason)
	if err != nil {
		return err
	}
	var g Grant
	err = r.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		g, err = r.one(ctx, tx, id)
		if err != nil {
			return err
		}
		switch {
		case g.Status != Waiting:
			return fmt.Errorf("%w: it is %s already", ErrState, g.Status)
		case g.Kind == Emergency && len(by.Roles) == 0:
			return fmt.Errorf("%w: it takes any role", ErrRole)
		case g.Kind != Emergency && !by.Any(givers...):
			return fmt.Errorf("%w: it takes %s", ErrRole, strings.Join(givers, " or "))
		case by.Person == g.askedPerson:
			return fmt.Errorf("%w: %s has asked for it", ErrPerson, by.Person)
		case by.Person == g.Person:
			return fmt.Errorf("%w: nobody approves a role of their own", ErrPerson)
		}
		err = r.fits(ctx, tx, g.Person, g.Role, g.Kind, g.ID)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE role_grant SET given_by = $2, given_person = $3, given_at = $4, reviewed_at = $4 WHERE id = $1`,
			id, by.Login, by.Person, sqldb.Time(r.now()))
		if err == nil {
			err = r.write(ctx, tx, g.Login)
		}
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, by.Login, "role.grant", g.Login, map[string]any{
			"grant": id, "role": g.Role, "kind": g.Kind, "asked_by": g.AskedBy, "reason": reason,
		})
	})
	if err == nil && g.Kind == Emergency {
		r.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a role was given in an emergency: the auditor has to look at it",
			slog.String("login", g.Login), slog.String("role", g.Role), slog.String("asked_by", g.AskedBy), slog.String("given_by", by.Login))
	}
	return err
}

// Revoke ends a grant, or refuses one that waits. One person is enough to take a
// role away; a holder may lay down their own.
func (r *Register) Revoke(ctx context.Context, by signin.Account, id, reason string) error {
	reason, err := reasonable(reason)
	if err != nil {
		return err
	}
	return r.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		g, err := r.one(ctx, tx, id)
		if err != nil {
			return err
		}
		if !by.Any(givers...) && by.Person != g.Person && by.Login != g.Giver {
			return fmt.Errorf("%w: it takes %s, the holder, or who delegated it", ErrRole, strings.Join(givers, " or "))
		}
		return r.end(ctx, tx, &g, by.Login, reason)
	})
}

func (r *Register) end(ctx context.Context, tx *sql.Tx, g *Grant, by, reason string) error {
	if !g.EndedAt.IsZero() {
		return fmt.Errorf("%w: it has ended already", ErrState)
	}
	_, err := tx.ExecContext(ctx, `UPDATE role_grant SET ended_at = $2, ended_by = $3, ended_why = $4 WHERE id = $1`, g.ID, sqldb.Time(r.now()), by, reason)
	if err == nil {
		err = r.write(ctx, tx, g.Login)
	}
	if err != nil {
		return fmt.Errorf("people: end %s: %w", g.ID, err)
	}
	return audit.Append(ctx, tx, by, "role.revoke", g.Login, map[string]any{"grant": g.ID, "role": g.Role, "reason": reason})
}

// Review confirms that a standing grant is still needed, for another 90 days. An
// auditor reviews emergencies. Nobody reviews their own.
func (r *Register) Review(ctx context.Context, by signin.Account, id, reason string) error {
	reason, err := reasonable(reason)
	if err != nil {
		return err
	}
	return r.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		g, err := r.one(ctx, tx, id)
		if err != nil {
			return err
		}
		may := by.Any(givers...)
		if g.Kind == Emergency {
			may = by.Has("auditor")
		}
		switch {
		case !may:
			return fmt.Errorf("%w: it takes %s, and an auditor for an emergency", ErrRole, strings.Join(givers, " or "))
		case by.Person == g.Person:
			return fmt.Errorf("%w: nobody reviews a role of their own", ErrPerson)
		case g.GivenAt.IsZero() || !g.EndedAt.IsZero() && g.Kind == Standing:
			return fmt.Errorf("%w: it is not held", ErrState)
		}
		_, err = tx.ExecContext(ctx, `UPDATE role_grant SET reviewed_at = $2, reviewed_by = $3 WHERE id = $1`, id, sqldb.Time(r.now()), by.Login)
		if err != nil {
			return fmt.Errorf("people: review: %w", err)
		}
		return audit.Append(ctx, tx, by.Login, "role.review", g.Login, map[string]any{"grant": id, "role": g.Role, "reason": reason})
	})
}

// Train records until when a person's training is good; somebody else does it.
func (r *Register) Train(ctx context.Context, by signin.Account, person string, until time.Time) error {
	if !by.Any(givers...) {
		return fmt.Errorf("%w: it takes %s", ErrRole, strings.Join(givers, " or "))
	}
	if by.Person == person {
		return fmt.Errorf("%w: nobody records their own training", ErrPerson)
	}
	if until.Before(r.now().AddDate(-1, 0, 0)) || until.After(r.now().AddDate(3, 0, 0)) {
		return fmt.Errorf("%w: a training is good for three years at most", ErrInput)
	}
	return r.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		var n int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM account WHERE person = $1`, person).Scan(&n)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: there is no account of %q", ErrNotFound, person)
		}
		return r.train(ctx, tx, by.Login, person, until)
	})
}

func (r *Register) train(ctx context.Context, tx *sql.Tx, by, person string, until time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO training (person, until, by, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (person) DO UPDATE SET until = excluded.until, by = excluded.by, at = excluded.at`,
		person, sqldb.Time(until), by, sqldb.Time(r.now()))
	if err != nil {
		return fmt.Errorf("people: training: %w", err)
	}
	return audit.Append(ctx, tx, by, "person.train", person, map[string]any{"until": until})
}

// used writes the first use on a day of a role that is watched.
func (r *Register) used(ctx context.Context, g *Grant) error {
	day := r.now().Unix() / 86400
	if g.usedDay == day {
		return nil
	}
	return r.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE role_grant SET used_day = $2 WHERE id = $1 AND used_day <> $2`, g.ID, day)
		if err != nil {
			return fmt.Errorf("people: use: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		return audit.Append(ctx, tx, g.Login, "role.use", g.Login, map[string]any{"grant": g.ID, "role": g.Role, "kind": g.Kind, "giver": g.Giver, "given_by": g.GivenBy})
	})
}
