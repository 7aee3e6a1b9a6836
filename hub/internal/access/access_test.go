package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/store"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/observable"
)

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

func must(t interface{ Fatal(args ...any) }, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// shelf is a database with items under many handlings, of two sources.
type shelf struct {
	db    *sqldb.DB
	items []indicator.Item
	by    map[contract.ID][]string // sources
}

var texts = []string{
	"TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED", "S//SI//REL TO USA, GBR", "TS", "PAP:RED", "CUI", `acs-marking:caveat="FISA"`, "no such marking at all",
}

// handling combines some of texts, as intake does for what a source delivers.
func handling(t interface{ Fatal(args ...any) }, which ...int) string {
	var marks []marking.Mark
	for _, i := range which {
		marks = append(marks, marking.Parse(texts[i]))
	}
	return marking.CombineOr(marking.OfTLP(contract.Green).Handling(), marks...).String()
}

func (s *shelf) add(t interface{ Fatal(args ...any) }, ctx context.Context, text string, sources ...string) indicator.Item {
	var it indicator.Item
	must(t, s.db.Write(ctx, func(tx *sql.Tx) error {
		h, err := indicator.Intern(ctx, tx, text)
		if err != nil {
			return err
		}
		id := contract.ID(uuid.New())
		now := time.Now().UTC().Truncate(time.Microsecond)
		it = indicator.Item{
			ID: id, State: indicator.PendingFirst, Version: 1, Pattern: "[domain-name:value = '" + id.String() + ".example']", Kind: observable.Domain,
			Value: id.String() + ".example", Services: contract.DNS, Handling: h, Display: true, Submitter: "ann",
			ValidFrom: now, ValidUntil: now.Add(time.Hour), Created: now, Modified: now,
		}
		err = indicator.Insert(ctx, tx, &it)
		if err != nil {
			return err
		}
		for _, source := range sources {
			m, err := indicator.Next(ctx, tx, "mention", 1)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO item_source (mention, number, batch, source, place, reference, credibility, confidence, handling, observed, original, at)
				VALUES ($1, $2, (SELECT number FROM batch WHERE source = $3), $3, '', '', 0, -1, $4, 0, '', 0)`, m, it.Number, source, h)
			if err != nil {
				return err
			}
		}
		return nil
	}))
	s.items = append(s.items, it)
	s.by[it.ID] = sources
	return it
}

func newShelf(t testing.TB, db *sqldb.DB) *shelf {
	t.Helper()
	ctx := t.Context()
	s := &shelf{db: db, by: map[contract.ID][]string{}}
	must(t, Prepare(ctx, db, marking.NewClearance(contract.Red, marking.Unclassified)))
	must(t, db.Write(ctx, func(tx *sql.Tx) error {
		for i, source := range []string{"cedar", "dogwood"} {
			_, err := tx.ExecContext(ctx, `INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created) VALUES ($1, $1, '', 'a', 0, 'p', 4, 'A', 0)`, source)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO batch (number, id, source, name, format, digest, bytes, submitter, received, finished, accepted, refused)
				VALUES ($1, $2, $2, 'a.csv', 'csv', $2, 99, 'gil', 1, 2, 7, 3)`, i+1, source)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO refusal (batch, number, place, code, reason, excerpt) VALUES ($1, 1, 'line 1', 'SYNTAX', 'no', 'secret')`, i+1)
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return s
}

// TestListingsGiveWhatTheDecisionPermits is the property that this package stands on:
// a query with what Narrow sets gives exactly the items that may be seen one by one,
// judged by the marking itself and by the rules.
func TestListingsGiveWhatTheDecisionPermits(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		s, ctx := newShelf(t, db), t.Context()
		judged := map[int64]marking.Handling{}
		rapid.Check(t, func(t *rapid.T) {
			for range rapid.IntRange(0, 3).Draw(t, "new items") {
				which := rapid.SliceOfNDistinct(rapid.IntRange(0, len(texts)-1), 0, 3, rapid.ID[int]).Draw(t, "marks")
				sources := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"cedar", "dogwood"}), 1, 2, rapid.ID[string]).Draw(t, "sources")
				it := s.add(t, ctx, handling(t, which...), sources...)
				all, err := indicator.Handlings(ctx, db)
				must(t, err)
				judged[it.Handling], err = marking.ParseHandling(all[it.Handling])
				must(t, err)
			}
			text := rapid.SampledFrom([]string{"", "U TLP:CLEAR", "U TLP:GREEN", "U TLP:AMBER", "U TLP:RED", "S//SI REL USA TLP:RED", "S//SI REL GBR TLP:AMBER", "S REL USA TLP:RED", "TS//SI REL USA ORG USA.DHS TLP:RED"}).Draw(t, "clearance")
			a := signin.Account{
				Login: "x", Clearance: text, Scope: rapid.SampledFrom([]string{"", "cedar", "dogwood"}).Draw(t, "scope"),
				Roles: rapid.SliceOfDistinct(rapid.SampledFrom(KnownRoles), rapid.ID[string]).Draw(t, "roles"),
			}
			c, err := ParseClearance(text)
			must(t, err)
			var want []contract.ID
			counts := int64(0)
			for _, it := range s.items {
				f := whole
				ok, _ := judged[it.Handling].Holds(c)
				if ok {
					f |= cleared
				}
				if slices.Contains(s.by[it.ID], a.Scope) {
					f |= own
				}
				may := slow(a.Roles, f, Indicators)
				if may {
					want = append(want, it.ID)
					counts++
				}
				_, err := Item(ctx, db, a, it.ID)
				var role *RoleError
				if (err == nil) != may || err != nil && !errors.Is(err, indicator.ErrNotFound) && !errors.As(err, &role) {
					t.Fatalf("item under %v: %v, may be seen: %v", judged[it.Handling], err, may)
				}
			}
			var got []contract.ID
			f := indicator.Filter{Limit: indicator.MaxLimit}
			must(t, Narrow(ctx, db, a, &f))
			for {
				page, err := indicator.List(ctx, db, f)
				must(t, err)
				for i := range page {
					got = append(got, page[i].ID)
					f.After = page[i].Number
				}
				if len(page) < indicator.MaxLimit {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("listing (-decision +query):\n%s", diff)
			}
			n, err := Count(ctx, db, a)
			must(t, err)
			if n[indicator.PendingFirst] != counts {
				t.Fatalf("%d are counted, %d may be seen", n[indicator.PendingFirst], counts)
			}
		})
	})
}

// counting is a database that counts what it is asked.
type counting struct {
	*sqldb.DB
	asked []string
}

func (c *counting) QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error) {
	c.asked = append(c.asked, q)
	return c.DB.QueryContext(ctx, q, args...)
}

func (c *counting) QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row {
	c.asked = append(c.asked, q)
	return c.DB.QueryRowContext(ctx, q, args...)
}

// TestHiddenCostsWhatAbsentCosts holds the ways of not finding to the same queries and
// the same words.
func TestHiddenCostsWhatAbsentCosts(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	s, ctx := newShelf(t, db), t.Context()
	high, other := s.add(t, ctx, handling(t, 4), "cedar"), s.add(t, ctx, handling(t, 1), "dogwood")
	for name, a := range map[string]signin.Account{
		"analyst": {Login: "ann", Roles: []string{"pmo_analyst"}},
		"officer": {Login: "gil", Roles: []string{"gfi_officer"}, Scope: "cedar"},
	} {
		ask := func(id string) (told string, asked []string) {
			q := &counting{DB: db}
			x, err := contract.ParseID(id)
			must(t, err)
			_, err = Item(ctx, q, a, x)
			if err == nil {
				t.Fatalf("%s sees %s", name, id)
			}
			e, ok := Explain(err)
			return fmt.Sprint(e, ok), q.asked
		}
		told, asked := ask("indicator--00000000-0000-4000-8000-000000000000")
		hidden := []string{high.ID.String()}
		if name == "officer" {
			hidden = append(hidden, other.ID.String())
		}
		for _, id := range hidden {
			told2, asked2 := ask(id)
			if told != told2 {
				t.Errorf("%s: absent: %s\nhidden: %s", name, told, told2)
			}
			if diff := cmp.Diff(asked, asked2); diff != "" {
				t.Errorf("%s: queries for what is absent and for what is hidden:\n%s", name, diff)
			}
		}
		for _, cursor := range []string{high.ID.String(), "indicator--00000000-0000-4000-8000-000000000000", "7", "x"} {
			_, err := After(ctx, db, a, cursor)
			if !errors.Is(err, ErrCursor) {
				t.Errorf("%s: place %q: %v", name, cursor, err)
			}
		}
	}
}

func TestClearancesFollow(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		must(t, db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO account (login, person, roles, password, created) VALUES ('ann', 'Ann', '', '', 0)`)
			return err
		}))
		effective := Effective(db)
		check := func(want string) {
			t.Helper()
			a, err := effective(ctx, signin.Account{Login: "ann", Roles: []string{"auditor"}})
			must(t, err)
			if a.Clearance != want || !a.Has("auditor") {
				t.Errorf("%+v, want the clearance %q", a, want)
			}
		}
		check("U TLP:AMBER+STRICT")
		must(t, Configure(ctx, db, "ann", "S//SI TLP:RED REL USA"))
		check("S//SI REL USA TLP:RED")
		must(t, Configure(ctx, db, "ann", ""))
		check("U TLP:AMBER+STRICT")
		c, err := ParseClearance("U TLP:RED")
		must(t, err)
		must(t, db.Write(ctx, func(tx *sql.Tx) error { return Grant(ctx, tx, "rory", "ann", c) }))
		must(t, Configure(ctx, db, "ann", "")) // the configuration does not speak of it
		check("U TLP:RED")
		if err := Configure(ctx, db, "ann", "X TLP:RED"); err == nil {
			t.Error("a clearance that is none was taken")
		}
		check("U TLP:RED")
		var n int
		must(t, db.QueryRowContext(ctx, `SELECT count(*) FROM audit WHERE action = 'clearance.set' AND subject = 'ann'`).Scan(&n))
		if n != 3 {
			t.Errorf("%d changes in the audit log, want 3", n)
		}
		must(t, db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE clearance SET text = 'nonsense'`)
			return err
		}))
		_, err = effective(ctx, signin.Account{Login: "ann"})
		if err == nil {
			t.Error("an account whose clearance cannot be read was let in")
		}
	})
}

func TestWhole(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	ctx := t.Context()
	analyst := signin.Account{Roles: []string{"auditor"}, Clearance: "U TLP:AMBER"}
	ask := func() bool {
		t.Helper()
		ok, err := Whole(ctx, db, analyst)
		must(t, err)
		return ok
	}
	if ask() {
		t.Error("somebody is cleared for everything before it is known what there may be")
	}
	must(t, Prepare(ctx, db, marking.NewClearance(contract.Amber, marking.Unclassified)))
	if !ask() {
		t.Error("TLP:AMBER is not enough for a hub that may hold TLP:AMBER")
	}
	must(t, Enter(ctx, db, analyst, Audit))
	must(t, Prepare(ctx, db, marking.NewClearance(contract.Red, marking.Unclassified)))
	if ask() {
		t.Error("TLP:AMBER is enough for a hub that may hold TLP:RED")
	}
	err := Enter(ctx, db, analyst, Audit)
	var short *ClearanceError
	if !errors.As(err, &short) {
		t.Errorf("the audit log: %v", err)
	}
	must(t, Enter(ctx, db, analyst, Providers))
	_, err = Whole(ctx, db, signin.Account{Clearance: "no"})
	if err == nil {
		t.Error("a clearance that is none was read")
	}
}

// TestNothingIsRememberedOfATransactionThatEnds keeps numbers that are given again from
// being judged by what they had meant before.
func TestNothingIsRememberedOfATransactionThatEnds(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		s, ctx := newShelf(t, db), t.Context()
		a := signin.Account{Login: "ann", Roles: []string{"pmo_analyst"}}
		stop := errors.New("stop")
		err := db.Write(ctx, func(tx *sql.Tx) error {
			_, err := indicator.Intern(ctx, tx, handling(t, 0))
			if err != nil {
				return err
			}
			held, err := Handlings(ctx, tx, a)
			if err != nil || len(held) != 1 {
				t.Errorf("in the transaction: %v, %v", held, err)
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
		it := s.add(t, ctx, handling(t, 4), "cedar") // gets the number that was given back
		_, err = Item(ctx, db, a, it.ID)
		if !errors.Is(err, indicator.ErrNotFound) {
			t.Errorf("TLP:RED is judged as TLP:CLEAR: %v", err)
		}
	})
}

func TestDeliveriesArePartial(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		s, ctx := newShelf(t, db), t.Context()
		s.add(t, ctx, handling(t, 4), "cedar")
		low := signin.Account{Login: "ann", Roles: []string{"pmo_analyst"}}
		got, err := Batches(ctx, db, low, "", time.Time{}, 10)
		must(t, err)
		if len(got) != 0 {
			t.Errorf("deliveries that brought nothing for the reader are listed: %+v", got)
		}
		s.add(t, ctx, handling(t, 1), "cedar")
		b, err := Delivery(ctx, db, low, "cedar")
		must(t, err)
		want := Batch{Partial: true, Batch: intake.Batch{Number: 1, ID: "cedar", Source: "cedar", Name: "a.csv", Format: "csv", Submitter: "gil", Received: sqldb.FromTime(1), Finished: sqldb.FromTime(2), Accepted: 1}}
		if diff := cmp.Diff(want, b); diff != "" {
			t.Error(diff)
		}
		refused, err := Refusals(ctx, db, b, 0, 10)
		if err != nil || len(refused) != 0 {
			t.Errorf("refusals: %v, %v", refused, err)
		}
		for _, whole := range []signin.Account{{Login: "abe", Roles: []string{"pmo_analyst"}, Clearance: "U TLP:RED"}, {Login: "gil", Roles: []string{"gfi_officer"}, Scope: "cedar"}} {
			b, err = Delivery(ctx, db, whole, "cedar")
			must(t, err)
			refused, err = Refusals(ctx, db, b, 0, 10)
			if err != nil || b.Partial || b.Accepted != 7 || len(refused) != 1 {
				t.Errorf("%s: %+v, %v, %v", whole.Login, b, refused, err)
			}
		}
		_, err = Delivery(ctx, db, signin.Account{Login: "gus", Roles: []string{"gfi_officer"}, Scope: "dogwood", Clearance: "U TLP:RED"}, "cedar")
		if !errors.Is(err, intake.ErrNoBatch) {
			t.Errorf("another source's delivery: %v", err)
		}
	})
}

func TestFindingsThatNameOthers(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	s, ctx := newShelf(t, db), t.Context()
	it, high, low := s.add(t, ctx, handling(t, 1), "cedar"), s.add(t, ctx, handling(t, 4), "cedar"), s.add(t, ctx, handling(t, 1), "dogwood")
	must(t, db.Write(ctx, func(tx *sql.Tx) error {
		for code, detail := range map[string]string{"V2-WARNING-LIST": "a list", "V8-SUBSUMED": "covered by " + high.ID.String(), "V8-SUBSUMES": "covers " + low.ID.String()} {
			err := indicator.AddFinding(ctx, tx, indicator.Finding{Item: it.ID, Code: code, Severity: indicator.Warn, Detail: detail})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	for name, tt := range map[string]struct {
		who  signin.Account
		want []string
	}{
		"cleared": {signin.Account{Roles: []string{"auditor"}, Clearance: "U TLP:RED"}, []string{"V2-WARNING-LIST", "V8-SUBSUMED", "V8-SUBSUMES"}},
		"not":     {signin.Account{Roles: []string{"auditor"}}, []string{"V2-WARNING-LIST", "V8-SUBSUMES"}},
		"officer": {signin.Account{Roles: []string{"gfi_officer"}, Scope: "cedar", Clearance: "U TLP:RED"}, []string{"V2-WARNING-LIST", "V8-SUBSUMED"}},
	} {
		found, err := Findings(ctx, db, tt.who, it.ID)
		must(t, err)
		var got []string
		for _, f := range found {
			got = append(got, f.Code)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func BenchmarkNarrow(b *testing.B) {
	db, err := open(filepath.Join(b.TempDir(), "hub.db"))
	must(b, err)
	b.Cleanup(func() { _ = db.Close() })
	s := newShelf(b, db)
	for i := range texts {
		s.add(b, b.Context(), handling(b, i), "cedar")
	}
	a := signin.Account{Roles: []string{"pmo_analyst"}, Clearance: "U TLP:AMBER"}
	b.ReportAllocs()
	for b.Loop() {
		var f indicator.Filter
		must(b, Narrow(b.Context(), db, a, &f))
	}
}
