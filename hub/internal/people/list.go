package people

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

// Person is one human being with all accounts and grants.
type Person struct {
	Name     string    `json:"person"`
	Training time.Time `json:"training,omitzero"`
	Logins   []string  `json:"logins"`
	Grants   []Grant   `json:"grants"` // the newest first, ended ones included
}

// List gives all people in the order of their names.
func (r *Register) List(ctx context.Context) ([]Person, error) {
	rows, err := r.cfg.DB.QueryContext(ctx, `SELECT a.login, a.person, coalesce(t.until, 0) FROM account a
		LEFT JOIN training t ON t.person = a.person WHERE NOT a.disabled ORDER BY a.person, a.login`)
	if err != nil {
		return nil, fmt.Errorf("people: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Person
	for rows.Next() {
		var login, person string
		var until int64
		err = rows.Scan(&login, &person, &until)
		if err != nil {
			return nil, err
		}
		if len(out) == 0 || out[len(out)-1].Name != person {
			out = append(out, Person{Name: person, Training: sqldb.FromTime(until), Grants: []Grant{}})
		}
		p := &out[len(out)-1]
		p.Logins = append(p.Logins, login)
	}
	err = rows.Err()
	if err != nil {
		return nil, err
	}
	_ = rows.Close()
	grants, err := r.read(ctx, r.cfg.DB, ``)
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		i := slices.IndexFunc(out, func(p Person) bool { return p.Name == g.Person })
		if i >= 0 {
			out[i].Grants = append(out[i].Grants, g)
		}
	}
	return out, nil
}

// Attention counts what people have to look at: grants that wait for a second
// person, reviews that are due, emergencies that no auditor has looked at.
type Attention struct{ Waiting, Due, Emergencies int64 }

// Attention gives the counts of this moment.
func (r *Register) Attention(ctx context.Context) (Attention, error) {
	var out Attention
	grants, err := r.read(ctx, r.cfg.DB, `WHERE g.ended_at = 0 OR g.kind = $1`, string(Emergency))
	if err != nil {
		return out, err
	}
	now := r.now()
	for _, g := range grants {
		switch {
		case g.Status == Waiting:
			out.Waiting++
		case g.Kind == Emergency && !g.GivenAt.IsZero() && !g.Reviewed.After(g.GivenAt):
			out.Emergencies++
		case g.Kind == Standing && g.EndedAt.IsZero() && !g.Due.IsZero() && !now.Before(g.Due):
			out.Due++
		}
	}
	return out, nil
}

// machine is who acts for the configuration file.
const machine = "configuration"

// Bootstrap brings the accounts of the configuration file into the register. The
// roles of an account that has none yet are granted at once: at a first start there
// is nobody to approve. A role that a changed file adds to an account that is
// known waits for somebody; one that it no longer lists is revoked.
func (r *Register) Bootstrap(ctx context.Context, accounts []signin.Account) error {
	byPerson := map[string][]string{}
	for _, a := range accounts {
		byPerson[a.Person] = append(byPerson[a.Person], a.Roles...)
	}
	for person, roles := range byPerson {
		slices.Sort(roles)
		err := Together(slices.Compact(roles))
		if err != nil {
			return fmt.Errorf("people: configuration: accounts of %s: %w", person, err)
		}
	}
	for _, a := range accounts {
		err := r.cfg.DB.Write(ctx, func(tx *sql.Tx) error { return r.adopt(ctx, tx, a) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Register) adopt(ctx context.Context, tx *sql.Tx, a signin.Account) error {
	have, err := r.read(ctx, tx, `WHERE g.login = $1`, a.Login)
	if err != nil {
		return err
	}
	first := len(have) == 0
	now := r.now()
	for _, role := range a.Roles {
		if !slices.Contains(Roles, role) {
			return fmt.Errorf("people: configuration: account %s: there is no role %q", a.Login, role)
		}
		if slices.ContainsFunc(have, func(g Grant) bool { return g.Role == role && g.EndedAt.IsZero() }) {
			continue
		}
		if !first && slices.ContainsFunc(have, func(g Grant) bool { return g.Role == role && g.EndedBy != machine }) {
			continue // somebody has revoked or refused it: the file does not bring it back
		}
		given := now
		by := machine
		if !first {
			given, by = time.Time{}, ""
		}
		id := fmt.Sprintf("%s.%s.%d", a.Login, role, now.UnixMicro())
		_, err = tx.ExecContext(ctx, `INSERT INTO role_grant (id, login, role, kind, starts, until, reason, asked_by, asked_person, asked_at,
			given_by, given_person, given_at, reviewed_at) VALUES ($1, $2, $3, $4, $5, 0, 'listed in the configuration file', $6, $6, $5, $7, $7, $8, $8)`,
			id, a.Login, role, string(Standing), sqldb.Time(now), machine, by, sqldb.Time(given))
		if err != nil {
			return fmt.Errorf("people: configuration: %w", err)
		}
		err = audit.Append(ctx, tx, machine, "role.ask", a.Login, map[string]any{"grant": id, "role": role, "granted": first})
		if err != nil {
			return err
		}
	}
	for i := range have {
		g := &have[i]
		if g.AskedBy == machine && g.EndedAt.IsZero() && !slices.Contains(a.Roles, g.Role) {
			err = r.end(ctx, tx, g, machine, "no longer listed in the configuration file")
			if err != nil {
				return err
			}
		}
	}
	if first && len(a.Roles) > 0 {
		err = r.train(ctx, tx, machine, a.Person, now.AddDate(1, 0, 0))
		if err != nil {
			return err
		}
	}
	return r.write(ctx, tx, a.Login)
}

// Recertify reviews everything that an account holds and renews the training of its
// person for 90 days: for whoever runs the machine, when nobody is left who could
// by the console. Two people are named, neither of them the holder; the audit log
// has both.
func (r *Register) Recertify(ctx context.Context, login string, persons [2]string) error {
	return r.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		person, err := personOf(ctx, tx, login)
		if err != nil {
			return err
		}
		if persons[0] == "" || persons[1] == "" || persons[0] == persons[1] || slices.Contains(persons[:], person) {
			return fmt.Errorf("%w: name two people, neither of them %s", ErrPerson, person)
		}
		now := r.now()
		_, err = tx.ExecContext(ctx, `UPDATE role_grant SET reviewed_at = $2, reviewed_by = $3 WHERE login = $1 AND ended_at = 0 AND given_at > 0`,
			login, sqldb.Time(now), machine)
		if err == nil {
			err = r.train(ctx, tx, machine, person, now.Add(DefaultReview))
		}
		if err == nil {
			err = r.write(ctx, tx, login)
		}
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, machine, "role.recertify", login, map[string]any{"persons": persons[:]})
	})
}
