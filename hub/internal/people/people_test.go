package people

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ecs/hub/internal/store"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

const why = "needed for the new shift"

// world is a register with a clock that the test moves.
type world struct {
	t   testing.TB
	db  *sqldb.DB
	at  time.Time
	reg *Register
}

func newWorld(t testing.TB, db *sqldb.DB) *world {
	t.Helper()
	w := &world{t: t, db: db, at: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	w.reg = New(Config{DB: db, Now: func() time.Time { return w.at }})
	return w
}

// accounts makes accounts and lets the configuration list them.
func (w *world) accounts(list ...signin.Account) {
	w.t.Helper()
	for _, a := range list {
		err := w.db.Write(w.t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(w.t.Context(), `INSERT INTO account (login, person, roles, scope, password, created) VALUES ($1, $2, '', '', 'x', 1)
				ON CONFLICT DO NOTHING`, a.Login, a.Person)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	must(w.t, w.reg.Bootstrap(w.t.Context(), list))
}

// now gives the account as it counts at this moment.
func (w *world) now(login, person string) signin.Account {
	w.t.Helper()
	a, err := w.reg.Effective(w.t.Context(), signin.Account{Login: login, Person: person, Roles: []string{"whatever is on record"}})
	must(w.t, err)
	return a
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func acct(login, person string, roles ...string) signin.Account {
	return signin.Account{Login: login, Person: person, Roles: roles}
}

func people() []signin.Account {
	return []signin.Account{
		acct("root", "Rory", "system_admin"), acct("carl", "Carl", "accrediting_official"), acct("dora", "Dora", "accrediting_official"),
		acct("ann", "Ann", "pmo_analyst"), acct("rob", "Rob", "release_authority"), acct("priya", "Priya", "privacy_officer"),
		acct("omar", "Omar", "auditor"), acct("new", "Nina"),
	}
}

func TestTwoPersons(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.accounts(people()...)
		ctx := t.Context()
		carl, dora, ann := w.now("carl", "Carl"), w.now("dora", "Dora"), w.now("ann", "Ann")
		if !carl.Has("accrediting_official") || !ann.Has("pmo_analyst") {
			t.Fatalf("accounts of the configuration: %+v %+v", carl, ann)
		}
		_, err := w.reg.Request(ctx, ann, Wanted{Login: "new", Role: "pmo_analyst", Reason: why})
		refused(t, err, ErrRole)
		_, err = w.reg.Request(ctx, carl, Wanted{Login: "carl", Role: "ssa_officer", Reason: why})
		refused(t, err, ErrPerson)
		_, err = w.reg.Request(ctx, carl, Wanted{Login: "nobody", Role: "ssa_officer", Reason: why})
		refused(t, err, ErrNotFound)
		_, err = w.reg.Request(ctx, carl, Wanted{Login: "new", Role: "king", Reason: why})
		refused(t, err, ErrInput)
		id, err := w.reg.Request(ctx, carl, Wanted{Login: "new", Role: "pmo_analyst", Reason: why})
		must(t, err)
		if w.now("new", "Nina").Has("pmo_analyst") {
			t.Error("a role counts before the second person")
		}
		refused(t, w.reg.Approve(ctx, carl, id, why), ErrPerson)
		refused(t, w.reg.Approve(ctx, acct("carl2", "Carl", "system_admin"), id, why), ErrPerson) // the same person under another account
		refused(t, w.reg.Approve(ctx, acct("x", "Nina", "system_admin"), id, why), ErrPerson)
		refused(t, w.reg.Approve(ctx, ann, id, why), ErrRole)
		must(t, w.reg.Approve(ctx, dora, id, why))
		refused(t, w.reg.Approve(ctx, dora, id, why), ErrState)
		nina := w.now("new", "Nina")
		if nina.Has("pmo_analyst") {
			t.Error("a role counts without training")
		}
		refused(t, w.reg.Train(ctx, acct("new", "Nina", "system_admin"), "Nina", w.at.AddDate(1, 0, 0)), ErrPerson)
		must(t, w.reg.Train(ctx, carl, "Nina", w.at.AddDate(0, 6, 0)))
		nina = w.now("new", "Nina")
		if !slices.Equal(nina.Roles, []string{"pmo_analyst"}) {
			t.Errorf("roles %v", nina.Roles)
		}
		must(t, w.reg.Revoke(ctx, carl, id, why)) // one person is enough to take away
		if len(w.now("new", "Nina").Roles) != 0 {
			t.Error("a revoked role counts")
		}
		n, err := audit.Verify(ctx, db)
		if err != nil || n == 0 {
			t.Errorf("audit: %d, %v", n, err)
		}
	})
}

func TestReviewAndTraining(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	w := newWorld(t, db)
	w.accounts(people()...)
	ctx := t.Context()
	start := w.at
	w.at = start.AddDate(0, 0, 91)
	att, err := w.reg.Attention(ctx)
	must(t, err)
	if att.Due != 7 || !w.now("ann", "Ann").Has("pmo_analyst") {
		t.Errorf("after 91 days: %+v, %v", att, w.now("ann", "Ann"))
	}
	carl := w.now("carl", "Carl")
	list, err := w.reg.List(ctx)
	must(t, err)
	var anns string
	for _, p := range list {
		if p.Name == "Ann" {
			anns = p.Grants[0].ID
		}
	}
	must(t, w.reg.Review(ctx, carl, anns, why))
	w.at = start.AddDate(0, 0, 105)
	if w.now("rob", "Rob").Has("release_authority") || !w.now("ann", "Ann").Has("pmo_analyst") {
		t.Error("who was not reviewed keeps the role, or who was loses it")
	}
	if len(w.now("carl", "Carl").Roles) != 0 {
		t.Error("the official was not reviewed either")
	}
	// Nobody is left who could review: the machine's administrator names two people.
	refused(t, w.reg.Recertify(ctx, "carl", [2]string{"Carl", "Ann"}), ErrPerson)
	refused(t, w.reg.Recertify(ctx, "carl", [2]string{"Ann", "Ann"}), ErrPerson)
	must(t, w.reg.Recertify(ctx, "carl", [2]string{"Ann", "Rob"}))
	if !w.now("carl", "Carl").Has("accrediting_official") {
		t.Error("recertified in vain")
	}
	w.at = start.AddDate(1, 0, 1) // Ann's training was good for a year
	if w.now("ann", "Ann").Has("pmo_analyst") {
		t.Error("a role counts after the training has run out")
	}
}

func TestTogether(t *testing.T) {
	tests := []struct {
		roles []string
		ok    bool
	}{
		{nil, true},
		{[]string{"pmo_analyst", "release_authority"}, true}, // counted item by item (SOD-1)
		{[]string{"assessor", "accrediting_official"}, false},
		{[]string{"gfi_officer", "pmo_analyst"}, false},
		{[]string{"gfi_officer", "release_authority"}, false},
		{[]string{"privacy_officer", "release_authority"}, false},
		{[]string{"privacy_officer", "pmo_analyst"}, false},
		{[]string{"system_admin", "pmo_analyst"}, false},
		{[]string{"auditor", "ssa_officer"}, false},
		{[]string{"auditor", "system_admin"}, false},
		{[]string{"ssa_officer", "pmo_analyst"}, true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.roles), func(t *testing.T) {
			err := Together(tt.roles)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrTogether) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDelegation(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		w.accounts(people()...)
		w.accounts(append(people(), acct("eve", "Eve", "ssa_officer"))...)
		must(t, w.reg.Train(t.Context(), w.now("carl", "Carl"), "Nina", w.at.AddDate(1, 0, 0)))
		ctx := t.Context()
		rob, carl, dora := w.now("rob", "Rob"), w.now("carl", "Carl"), w.now("dora", "Dora")
		week := Wanted{Login: "new", Role: "release_authority", Until: w.at.AddDate(0, 0, 7), Reason: why}
		far := week
		far.Until = w.at.AddDate(0, 0, 31)
		_, err := w.reg.Delegate(ctx, rob, far, w.at)
		refused(t, err, ErrInput)
		_, err = w.reg.Delegate(ctx, carl, week, w.at)
		refused(t, err, ErrRole) // does not hold it
		to := week
		to.Login = "ann"
		_, err = w.reg.Delegate(ctx, rob, to, w.at)
		refused(t, err, ErrTogether) // the counterpart
		to.Login = "priya"
		_, err = w.reg.Delegate(ctx, rob, to, w.at)
		refused(t, err, ErrTogether)
		id, err := w.reg.Delegate(ctx, rob, week, w.at)
		must(t, err)
		refused(t, w.reg.Approve(ctx, rob, id, why), ErrRole)
		must(t, w.reg.Approve(ctx, dora, id, why))
		nina := w.now("new", "Nina")
		if !nina.Has("release_authority") {
			t.Fatalf("roles %v", nina.Roles)
		}
		on := week
		on.Login = "eve"
		_, err = w.reg.Delegate(ctx, nina, on, w.at)
		refused(t, err, ErrRole) // not on
		var uses int
		must(t, db.QueryRowContext(ctx, `SELECT count(*) FROM audit WHERE action = 'role.use' AND subject = 'new'`).Scan(&uses))
		_ = w.now("new", "Nina")
		var again int
		must(t, db.QueryRowContext(ctx, `SELECT count(*) FROM audit WHERE action = 'role.use' AND subject = 'new'`).Scan(&again))
		if uses != 1 || again != 1 {
			t.Errorf("uses in the audit log: %d, then %d, want 1 for the day", uses, again)
		}
		w.at = w.at.AddDate(0, 0, 8)
		if w.now("new", "Nina").Has("release_authority") {
			t.Error("a delegation outlives its end")
		}
	})
}

func TestEmergency(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	w := newWorld(t, db)
	w.accounts(people()...)
	ctx := t.Context()
	ann, rob, omar := w.now("ann", "Ann"), w.now("rob", "Rob"), w.now("omar", "Omar")
	must(t, w.reg.Train(ctx, w.now("carl", "Carl"), "Nina", w.at.AddDate(1, 0, 0)))
	long := Wanted{Login: "new", Role: "release_authority", Until: w.at.Add(5 * time.Hour), Reason: why}
	_, err := w.reg.Emergency(ctx, ann, long)
	refused(t, err, ErrInput)
	long.Until = w.at.Add(4 * time.Hour)
	_, err = w.reg.Emergency(ctx, acct("new", "Nina"), long)
	refused(t, err, ErrRole)
	id, err := w.reg.Emergency(ctx, ann, long)
	must(t, err)
	refused(t, w.reg.Approve(ctx, ann, id, why), ErrPerson)
	must(t, w.reg.Approve(ctx, rob, id, why))
	if !w.now("new", "Nina").Has("release_authority") {
		t.Error("an approved emergency gives no role")
	}
	att, err := w.reg.Attention(ctx)
	must(t, err)
	if att.Emergencies != 1 {
		t.Errorf("the auditor is not told: %+v", att)
	}
	w.at = w.at.Add(4 * time.Hour)
	if w.now("new", "Nina").Has("release_authority") {
		t.Error("an emergency outlives its four hours")
	}
	refused(t, w.reg.Review(ctx, ann, id, why), ErrRole)
	must(t, w.reg.Review(ctx, omar, id, why))
	att, err = w.reg.Attention(ctx)
	must(t, err)
	if att.Emergencies != 0 {
		t.Errorf("reviewed, and still counted: %+v", att)
	}
}

func TestConfigurationChanges(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	w := newWorld(t, db)
	w.accounts(people()...)
	ctx := t.Context()
	next := people()
	next[3].Roles = []string{"release_authority", "pmo_analyst"} // Ann gets one more
	next[4].Roles = nil                                          // Rob loses his
	w.accounts(next...)
	if w.now("ann", "Ann").Has("release_authority") || !w.now("ann", "Ann").Has("pmo_analyst") {
		t.Errorf("a role that the file adds counts at once: %v", w.now("ann", "Ann").Roles)
	}
	if len(w.now("rob", "Rob").Roles) != 0 {
		t.Error("a role that the file drops still counts")
	}
	att, err := w.reg.Attention(ctx)
	must(t, err)
	if att.Waiting != 1 {
		t.Errorf("waiting: %+v", att)
	}
	w.accounts(next...) // a further start asks no second time
	att, err = w.reg.Attention(ctx)
	must(t, err)
	if att.Waiting != 1 {
		t.Errorf("waiting after another start: %+v", att)
	}
	bad := people()
	bad[0].Roles = []string{"system_admin", "pmo_analyst"}
	refused(t, w.reg.Bootstrap(ctx, bad), ErrTogether)
}

// TestNoRoleByOnePerson lets random people, who hold nothing but what they were
// given, try everything: no role ever counts for which there are not two different
// persons, neither of them the holder; and nobody holds what may not be held
// together.
func TestNoRoleByOnePerson(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	rapid.Check(t, func(t2 *rapid.T) {
		w := newWorld(t, db)
		ctx := t.Context()
		run := rapid.IntRange(0, 1<<30).Draw(t2, "run")
		names := make([]signin.Account, 6)
		for i := range names {
			names[i] = acct(fmt.Sprintf("u%d-%d", run, i), fmt.Sprintf("P%d-%d", run, i/2*2+i%2)) // six persons
		}
		names[5].Person = names[4].Person // two accounts of one person
		names[0].Roles = []string{"system_admin"}
		names[1].Roles = []string{"accrediting_official"}
		w.accounts(names...)
		var ids []string
		for range rapid.IntRange(1, 25).Draw(t2, "acts") {
			by := names[rapid.IntRange(0, 5).Draw(t2, "by")]
			by = w.now(by.Login, by.Person)
			to := names[rapid.IntRange(0, 5).Draw(t2, "to")].Login
			role := rapid.SampledFrom(Roles).Draw(t2, "role")
			var id string
			var err error
			switch rapid.IntRange(0, 6).Draw(t2, "act") {
			case 0:
				id, err = w.reg.Request(ctx, by, Wanted{Login: to, Role: role, Reason: why})
			case 1:
				id, err = w.reg.Emergency(ctx, by, Wanted{Login: to, Role: role, Reason: why, Until: w.at.Add(time.Hour)})
			case 2:
				id, err = w.reg.Delegate(ctx, by, Wanted{Login: to, Role: role, Reason: why, Until: w.at.AddDate(0, 0, 3)}, w.at)
			case 3, 4:
				if len(ids) > 0 {
					_ = w.reg.Approve(ctx, by, rapid.SampledFrom(ids).Draw(t2, "id"), why)
				}
			case 5:
				if len(ids) > 0 {
					_ = w.reg.Review(ctx, by, rapid.SampledFrom(ids).Draw(t2, "id"), why)
				}
			case 6:
				_ = w.reg.Train(ctx, by, names[rapid.IntRange(0, 5).Draw(t2, "who")].Person, w.at.AddDate(1, 0, 0))
			}
			if err == nil && id != "" {
				ids = append(ids, id)
			}
			w.at = w.at.Add(time.Minute)
		}
		for _, a := range names {
			grants, err := w.reg.read(ctx, db, `WHERE g.login = $1`, a.Login)
			must(t, err)
			for _, g := range grants {
				if g.Status != Active || g.AskedBy == machine {
					continue
				}
				if g.askedPerson == g.givenPerson || g.askedPerson == g.Person || g.givenPerson == g.Person || g.givenPerson == "" {
					t2.Fatalf("%s holds %s by %s and %s", g.Person, g.Role, g.askedPerson, g.givenPerson)
				}
			}
			held, err := w.reg.rolesOf(ctx, db, a.Person, "")
			must(t, err)
			err = Together(held)
			if err != nil {
				t2.Fatalf("%s: %v", a.Person, err)
			}
		}
	})
}
