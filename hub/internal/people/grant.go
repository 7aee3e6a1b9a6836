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

	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Config of a [Register].
type Config struct {
	// DB is the hub's database. Needed.
	DB *sqldb.DB
	// Review is how often a standing grant has to be confirmed; 90 days when 0. After
	// it and Grace (14 days when 0) the role rests until somebody reviews it.
	Review, Grace time.Duration
	// Now is the clock; [time.Now] when nil.
	Now func() time.Time
	// Log receives what the auditor should know at once; discarded when nil.
	Log *slog.Logger
}

// Register keeps grants. It is safe for concurrent use.
type Register struct {
	cfg Config
}

// New makes a register.
func New(cfg Config) *Register {
	if cfg.Review <= 0 {
		cfg.Review = DefaultReview
	}
	if cfg.Grace <= 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Register{cfg: cfg}
}

func (r *Register) now() time.Time { return r.cfg.Now().UTC().Truncate(time.Microsecond) }

// Grant is one role of one account, a row of table role_grant. Zero times mean
// never.
type Grant struct {
	ID       string    `json:"id"`
	Login    string    `json:"login"`
	Person   string    `json:"person"`
	Role     string    `json:"role"`
	Kind     Kind      `json:"kind"`
	Starts   time.Time `json:"starts"`
	Until    time.Time `json:"until,omitzero"`
	Reason   string    `json:"reason"`
	Giver    string    `json:"giver,omitempty"` // of a delegation
	AskedBy  string    `json:"asked_by"`
	AskedAt  time.Time `json:"asked_at"`
	GivenBy  string    `json:"given_by,omitempty"`
	GivenAt  time.Time `json:"given_at,omitzero"`
	Reviewed time.Time `json:"reviewed,omitzero"`
	EndedAt  time.Time `json:"ended_at,omitzero"`
	EndedBy  string    `json:"ended_by,omitempty"`
	EndedWhy string    `json:"ended_why,omitempty"`
	// Status is what it is worth at this moment, and Why, when it is worth nothing.
	Status Status    `json:"status"`
	Why    string    `json:"why,omitempty"`
	Due    time.Time `json:"due,omitzero"` // when a standing grant has to be reviewed

	askedPerson, givenPerson string
	usedDay                  int64
}

// Status is what a grant is worth at a moment.
type Status string

// The states of a grant.
const (
	Waiting Status = "waiting" // for the second person
	Active  Status = "active"
	Resting Status = "resting" // needs a review, or training
	Over    Status = "over"    // ended, revoked, refused, not begun
)

const grantColumns = `g.id, g.login, coalesce(a.person, g.login), g.role, g.kind, g.starts, g.until, g.reason, g.giver, g.asked_by, g.asked_person,
	g.asked_at, g.given_by, g.given_person, g.given_at, g.reviewed_at, g.ended_at, g.ended_by, g.ended_why, g.used_day`

const grantTables = ` FROM role_grant g LEFT JOIN account a ON a.login = g.login `

// read gives the grants that a condition selects, the newest first, judged at now.
func (r *Register) read(ctx context.Context, q sqldb.Querier, where string, args ...any) ([]Grant, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+grantColumns+grantTables+where+` ORDER BY g.asked_at DESC, g.id`, args...)
	if err != nil {
		return nil, fmt.Errorf("people: grants: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Grant
	for rows.Next() {
		var g Grant
		var starts, until, asked, given, reviewed, ended int64
		err = rows.Scan(&g.ID, &g.Login, &g.Person, &g.Role, &g.Kind, &starts, &until, &g.Reason, &g.Giver, &g.AskedBy, &g.askedPerson,
			&asked, &g.GivenBy, &g.givenPerson, &given, &reviewed, &ended, &g.EndedBy, &g.EndedWhy, &g.usedDay)
		if err != nil {
			return nil, err
		}
		g.Starts, g.Until, g.AskedAt, g.GivenAt = sqldb.FromTime(starts), sqldb.FromTime(until), sqldb.FromTime(asked), sqldb.FromTime(given)
		g.Reviewed, g.EndedAt = sqldb.FromTime(reviewed), sqldb.FromTime(ended)
		out = append(out, g)
	}
	err = rows.Err()
	if err != nil {
		return nil, err
	}
	_ = rows.Close()
	return out, r.judge(ctx, q, out)
}

// judge fills in what the grants are worth now.
func (r *Register) judge(ctx context.Context, q sqldb.Querier, grants []Grant) error {
	now := r.now()
	trainings := map[string]time.Time{}
	for i := range grants {
		g := &grants[i]
		until, known := trainings[g.Person]
		if !known {
			var at int64
			err := q.QueryRowContext(ctx, `SELECT until FROM training WHERE person = $1`, g.Person).Scan(&at)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("people: training: %w", err)
			}
			until = sqldb.FromTime(at)
			trainings[g.Person] = until
		}
		r.status(g, until, now)
	}
	return nil
}

// status is pure: what a grant is worth at a moment, given the holder's training.
func (r *Register) status(g *Grant, training, now time.Time) {
	if g.Kind == Standing {
		last := g.GivenAt
		if g.Reviewed.After(last) {
			last = g.Reviewed
		}
		if !last.IsZero() {
			g.Due = last.Add(r.cfg.Review)
		}
	}
	g.Status, g.Why = Active, ""
	switch {
	case !g.EndedAt.IsZero():
		g.Status, g.Why = Over, g.EndedWhy
	case !g.Until.IsZero() && !now.Before(g.Until):
		g.Status, g.Why = Over, "its time has run out"
	case g.GivenAt.IsZero():
		g.Status, g.Why = Waiting, "a second person has to approve it"
	case now.Before(g.Starts):
		g.Status, g.Why = Over, "it has not begun yet"
	case !g.Due.IsZero() && !now.Before(g.Due.Add(r.cfg.Grace)):
		g.Status, g.Why = Resting, "nobody has reviewed it in time: ask for a review"
	case trained(g.Role) && training.IsZero():
		g.Status, g.Why = Resting, "no training of its holder is on record: have it recorded"
	case trained(g.Role) && !now.Before(training):
		g.Status, g.Why = Resting, "the training of its holder ended on "+training.Format(time.DateOnly)+": have a new one recorded"
	}
}

// Effective gives the account with the roles that count now: those of its active
// grants. It is the hook of [signin.Config.Effective]. The first use on a day of a
// delegated or an emergency role is written to the audit log with both names.
func (r *Register) Effective(ctx context.Context, a signin.Account) (signin.Account, error) {
	grants, err := r.read(ctx, r.cfg.DB, `WHERE g.login = $1 AND g.ended_at = 0`, a.Login)
	if err != nil {
		return a, err
	}
	a.Roles = nil
	for i := range grants {
		g := &grants[i]
		if g.Status != Active {
			continue
		}
		a.Roles = append(a.Roles, g.Role)
		if g.Kind != Standing {
			err = r.used(ctx, g)
			if err != nil {
				return a, err
			}
		}
	}
	slices.Sort(a.Roles)
	a.Roles = slices.Compact(a.Roles)
	return a, nil
}

// rolesOf gives the roles that a person holds or has been asked for, under all
// accounts, but for one grant.
func (r *Register) rolesOf(ctx context.Context, q sqldb.Querier, person, but string) ([]string, error) {
	grants, err := r.read(ctx, q, `WHERE coalesce(a.person, g.login) = $1 AND g.ended_at = 0 AND g.id <> $2`, person, but)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, g := range grants {
		if g.Status != Over && g.Status != Waiting {
			out = append(out, g.Role)
		}
	}
	return out, nil
}

// write brings account.roles up to date, which other packages read when they count
// all roles of a person: everything that is granted, resting or not.
func (r *Register) write(ctx context.Context, tx *sql.Tx, login string) error {
	grants, err := r.read(ctx, tx, `WHERE g.login = $1 AND g.ended_at = 0`, login)
	if err != nil {
		return err
	}
	var roles []string
	for _, g := range grants {
		if g.Status == Active || g.Status == Resting {
			roles = append(roles, g.Role)
		}
	}
	slices.Sort(roles)
	_, err = tx.ExecContext(ctx, `UPDATE account SET roles = $2 WHERE login = $1`, login, strings.Join(slices.Compact(roles), ","))
	if err != nil {
		return fmt.Errorf("people: roles of %s: %w", login, err)
	}
	return nil
}
