package rehearsal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/decision"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/program"
	"ecs/hub/internal/store"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/observable"
)

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	ann  = signin.Account{Login: "ann", Person: "Ann", Roles: []string{"pmo_analyst"}, Clearance: "S//SI TLP:RED"}
	low  = signin.Account{Login: "lou", Person: "Lou", Roles: []string{"pmo_analyst"}}
	root = signin.Account{Login: "root", Person: "Rita", Roles: []string{"system_admin"}}
	now  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// furnish makes a hub with one provider and these items.
func furnish(t testing.TB, db *sqldb.DB) map[string]contract.ID {
	t.Helper()
	ids := map[string]contract.ID{}
	clearance, err := marking.ParseClearance("TS//SI TLP:RED")
	must(t, err)
	must(t, access.Prepare(t.Context(), db, clearance))
	must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		exec := func(query string, args ...any) {
			_, err := tx.ExecContext(t.Context(), query, args...)
			must(t, err)
		}
		exec(`INSERT INTO provider (id, name, state, services, ceiling, not_before, not_after, created) VALUES ('alder', 'Alder', 'OPERATIONAL', 3, 2, 0, 0, 0)`)
		exec(`INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created) VALUES ('cedar', 'C', 'C', 'a', 0, 'p', 4, 'A', 0)`)
		exec(`INSERT INTO batch (number, id, source, name, format, digest, bytes, submitter, received) VALUES (1, 'b', 'cedar', 'f', 'csv', 'd', 1, 'sam', 0)`)
		for i, x := range []struct {
			name, handling string
			state          indicator.State
			display        bool
		}{
			{"open.example", "U TLP:GREEN", indicator.InForce, true},
			{"sealed.example", "U TLP:GREEN acs-dsply", indicator.Released, false},
			{"alert.example", "U TLP:GREEN PAP:AMBER", indicator.PendingFirst, true},
			{"strict.example", "U TLP:AMBER+STRICT", indicator.Released, true},
			{"secret.example", "S//SI TLP:GREEN", indicator.Released, true},
			{"gone.example", "U TLP:GREEN", indicator.Revoked, true},
		} {
			h, err := marking.ParseHandling(x.handling)
			must(t, err)
			n, err := indicator.Intern(t.Context(), tx, x.handling)
			must(t, err)
			it := indicator.Item{
				Number: int64(i + 1), ID: contract.NewID(), State: x.state, Version: 1, Pattern: "[domain-name:value = '" + x.name + "']", Kind: observable.Domain,
				Value: x.name, Atoms: 1, Services: contract.DNS | contract.SMTP, TLP: h.TLP(), Handling: n, Enforce: true, Display: x.display, Notify: true,
				Privacy: indicator.NotPresent, Submitter: "sam", ValidFrom: now.Add(-time.Hour), ValidUntil: now.Add(time.Hour), Created: now, Modified: now,
			}
			if x.state.Ended() {
				it.Ended = now
			}
			must(t, indicator.Insert(t.Context(), tx, &it))
			ids[x.name] = it.ID
			exec(`INSERT INTO item_source (mention, number, batch, source, place, reference, credibility, confidence, handling, observed, original, at)
				VALUES ($1, $1, 1, 'cedar', '1', '', 0, -1, $2, 0, '', 0)`, it.Number, n)
			if x.state == indicator.InForce || x.name == "strict.example" { // strict is still there: nobody has lowered it yet
				exec(`INSERT INTO delivery (item, provider, service, add_seq, until, queued) VALUES ($1, 'alder', 1, $2, $3, 0)`, it.ID.String(), int64(i), sqldb.Time(it.ValidUntil))
			}
		}
		return nil
	}))
	return ids
}

func TestLook(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		ids := furnish(t, db)
		v, err := Look(t.Context(), db, ann, "alder", "open.example", now)
		must(t, err)
		current, waiting, over := v.Stages[0], v.Stages[1], v.Stages[2]
		if current.N != 4 || current.May != 2 || current.MayNot != 2 || waiting.N != 1 || waiting.May != 1 || over.N != 1 || over.May != 0 {
			t.Errorf("%+v", v.Stages)
		}
		why := map[decision.Code]Cause{}
		for _, c := range current.Why {
			why[c.Code] = c
		}
		if c := why[decision.CodeCeiling]; c.N != 1 || len(c.Examples) != 1 || c.Examples[0].Value != "strict.example" || c.Text != "the marking TLP:AMBER+STRICT is above the provider's ceiling TLP:AMBER" {
			t.Errorf("ceiling: %+v", c)
		}
		if c := why[decision.CodeClearance]; c.N != 1 || len(c.Examples) != 1 || c.Examples[0].ID != ids["secret.example"] {
			t.Errorf("clearance: %+v", c)
		}
		if len(current.Limits) != 1 || current.Limits[0].Action != "show" || current.Limits[0].Examples[0].Value != "" {
			t.Errorf("limits: %+v", current.Limits)
		}
		if len(waiting.Limits) != 1 || waiting.Limits[0].Action != "enforce" || !strings.Contains(waiting.Limits[0].Text, "PAP:AMBER") {
			t.Errorf("limits of what waits: %+v", waiting.Limits)
		}
		if len(v.Shelves) != 1 || v.Shelves[0] != (Shelf{contract.DNS, 1}) {
			t.Errorf("collections: %+v", v.Shelves)
		}
		if len(v.Found) != 1 || v.Found[0].ID != ids["open.example"] || v.Found[0].InList != contract.DNS {
			t.Fatalf("found: %+v", v.Found)
		}
		for _, s := range v.Found[0].Services {
			for _, a := range s.Actions {
				if want := s.Service != contract.NetFlow; a.Allowed != want || a.Allowed == (len(a.Reasons) > 0) {
					t.Errorf("%s for %s: %+v", a.Action, s.Service, a)
				}
			}
		}
		for asked, want := range map[string]int{"OPEN.example.": 1, ids["alert.example"].String(): 1, "nothing.example": 0, "indicator--00000000-0000-4000-8000-000000000000": 0} {
			v, err := Look(t.Context(), db, ann, "alder", asked, now)
			must(t, err)
			if len(v.Found) != want {
				t.Errorf("%s: %+v", asked, v.Found)
			}
		}
	})
}

// What the reader is not cleared for leaves no trace.
func TestLookBelow(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		ids := furnish(t, db)
		for _, asked := range []string{"", "secret.example", ids["secret.example"].String()} {
			v, err := Look(t.Context(), db, low, "alder", asked, now)
			must(t, err)
			v.Asked = ""
			text, err := json.Marshal(v)
			must(t, err)
			if v.Stages[0].N != 3 || len(v.Found) != 0 || strings.Contains(string(text), "secret") || strings.Contains(string(text), "//SI") || strings.Contains(string(text), ids["secret.example"].String()) {
				t.Errorf("%q: %s", asked, text)
			}
		}
		_, err := Look(t.Context(), db, root, "alder", "", now)
		if !errors.As(err, new(*access.RoleError)) {
			t.Errorf("for an administrator: %v", err)
		}
		_, err = Look(t.Context(), db, ann, "nobody", "", now)
		if !errors.Is(err, program.ErrNotFound) {
			t.Errorf("no such provider: %v", err)
		}
	})
}

// A provider that is suspended is said to be so once, and the rest is told as it
// would be.
func TestLookAtSuspended(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	furnish(t, db)
	must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE provider SET state = 'SUSPENDED'`)
		return err
	}))
	v, err := Look(t.Context(), db, ann, "alder", "open.example", now)
	must(t, err)
	if len(v.Standing) != 1 || !strings.Contains(v.Standing[0], "SUSPENDED") || v.Stages[0].May != 2 {
		t.Errorf("%+v", v)
	}
	if a := v.Found[0].Services[0].Actions; a[0].Allowed || !a[1].Allowed {
		t.Errorf("receive and hold: %+v", a[:2])
	}
}
