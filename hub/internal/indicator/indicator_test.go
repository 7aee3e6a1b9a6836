package indicator_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/store"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/observable"
)

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

func write(t *testing.T, db *sqldb.DB, f func(tx *sql.Tx) error) {
	t.Helper()
	err := db.Write(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
}

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func item(n int, state indicator.State) indicator.Item {
	return indicator.Item{
		ID: contract.ID{0: 1, 15: byte(n)}, State: state, Version: 1, Pattern: fmt.Sprintf("[domain-name:value = 'h%d.example']", n),
		Kind: observable.Domain, Value: fmt.Sprintf("h%d.example", n), Atoms: 1, Services: contract.DNS | contract.SMTP,
		Category: contract.Phishing, Action: contract.Sinkhole, Confidence: 60, TLP: contract.Amber, Enforce: true, Notify: true, Disclosure: 2,
		Summary: "s", Context: "c", Submitter: "gfi", ValidFrom: begin, ValidUntil: time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond),
		Observed: begin, Created: begin.Add(time.Duration(n/2) * time.Second), Modified: begin,
	}
}

func add(t *testing.T, db *sqldb.DB, it *indicator.Item) {
	t.Helper()
	write(t, db, func(tx *sql.Tx) error {
		h, err := indicator.Intern(t.Context(), tx, "TLP:AMBER")
		if err != nil {
			return err
		}
		it.Handling = h
		return indicator.Insert(t.Context(), tx, it)
	})
}

func accounts(t *testing.T, db *sqldb.DB) {
	t.Helper()
	write(t, db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO account (login, person, roles, password, created) VALUES
			('gfi', 'Gina', 'gfi_officer', 'x', 1), ('ana', 'Ann', 'pmo_analyst', 'x', 1), ('ana2', 'Ann', 'release_authority', 'x', 1),
			('rel', 'Rob', 'release_authority', 'x', 1), ('prv', 'Pat', 'privacy_officer', 'x', 1)`)
		return err
	})
}

func decide(t *testing.T, db *sqldb.DB, id contract.ID, kind, verdict, login, person string) {
	t.Helper()
	write(t, db, func(tx *sql.Tx) error {
		return indicator.AddDecision(t.Context(), tx, indicator.Decision{Item: id, Kind: kind, Verdict: verdict, Login: login, Person: person, Reason: "because"})
	})
}

func move(t *testing.T, db *sqldb.DB, it *indicator.Item, to indicator.State) error {
	t.Helper()
	return db.Write(t.Context(), func(tx *sql.Tx) error { return indicator.Move(t.Context(), tx, it, to, "ana", "because") })
}

func TestRoundTrip(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		want := item(1, indicator.PendingFirst)
		add(t, db, &want)
		got, err := indicator.Get(t.Context(), db, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		_, err = indicator.Get(t.Context(), db, contract.ID{9})
		if !errors.Is(err, indicator.ErrNotFound) {
			t.Errorf("missing item: %v", err)
		}
	})
}

// TestLife walks the whole life of an item, with each wrong step on the way.
func TestLife(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		accounts(t, db)
		it := item(1, indicator.PrivacyGate)
		add(t, db, &it)
		write(t, db, func(tx *sql.Tx) error {
			err := indicator.AddFinding(t.Context(), tx, indicator.Finding{Item: it.ID, Code: "V3-PROTECTED-NAME", Severity: indicator.Stop, Detail: "d"})
			return errors.Join(err, indicator.AddFinding(t.Context(), tx, indicator.Finding{Item: it.ID, Code: "PII-NAME", Severity: indicator.Stop, Detail: "d"}))
		})
		guarded := func(to indicator.State) {
			t.Helper()
			var g *indicator.GuardError
			err := move(t, db, &it, to)
			if !errors.As(err, &g) {
				t.Fatalf("to %s: %v, want a guard", to, err)
			}
		}
		must := func(to indicator.State) {
			t.Helper()
			err := move(t, db, &it, to)
			if err != nil || it.State != to {
				t.Fatalf("to %s: %v, is %s", to, err, it.State)
			}
		}
		var tr *indicator.TransitionError
		err := move(t, db, &it, indicator.Released)
		if !errors.As(err, &tr) {
			t.Fatalf("from the gate to release: %v", err)
		}
		guarded(indicator.Marked)
		it.Privacy, it.PrivacyNote = indicator.Necessary, "needed"
		guarded(indicator.Marked)
		it.PrivacyNote = "The sender's address is the indicator itself and cannot be removed."
		decide(t, db, it.ID, indicator.KindPrivacy, string(indicator.Necessary), "prv", "Pat")
		advance := func() {
			t.Helper()
			write(t, db, func(tx *sql.Tx) error { return indicator.Advance(t.Context(), tx, &it, "prv", "because") })
		}
		advance()
		if it.State != indicator.TechValidation {
			t.Fatalf("stopped at %s, want TECH_VALIDATION", it.State)
		}
		decide(t, db, it.ID, indicator.KindOverride, indicator.Approve, "ana", "Ann")
		decide(t, db, it.ID, indicator.KindOverride, indicator.Approve, "ana2", "Ann") // the same human being
		guarded(indicator.PendingFirst)
		decide(t, db, it.ID, indicator.KindOverride, indicator.Approve, "rel", "Rob")
		advance()
		if it.State != indicator.PendingFirst {
			t.Fatalf("stopped at %s, want PENDING_FIRST", it.State)
		}
		guarded(indicator.PendingSecond)
		decide(t, db, it.ID, indicator.KindFirst, indicator.Approve, "ana", "Ann")
		must(indicator.PendingSecond)
		guarded(indicator.Approved)

		// Back through the gate: the first approval is void.
		must(indicator.PrivacyGate)
		if it.Privacy != indicator.Undetermined {
			t.Fatal("the old determination stands")
		}
		it.Privacy = indicator.Removed
		decide(t, db, it.ID, indicator.KindPrivacy, string(indicator.Removed), "prv", "Pat")
		advance()
		guarded(indicator.PendingSecond)
		decide(t, db, it.ID, indicator.KindFirst, indicator.Approve, "ana", "Ann")
		must(indicator.PendingSecond)

		stale := it
		decide(t, db, it.ID, indicator.KindSecond, indicator.Approve, "rel", "Rob")
		must(indicator.Approved)
		err = db.Write(t.Context(), func(tx *sql.Tx) error { return indicator.Update(t.Context(), tx, &stale, "ana", "late") })
		if !errors.Is(err, indicator.ErrVersion) {
			t.Errorf("a write on an old version: %v", err)
		}
		guarded(indicator.Released) // nobody to release to
		write(t, db, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO provider (id, name, state, services, ceiling, not_before, not_after, created) VALUES ('p', 'P', 'OPERATIONAL', 7, 4, 1, 2, 1)`)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(t.Context(), `INSERT INTO target (item, provider, services) VALUES ($1, 'p', 1)`, it.ID.String())
			return err
		})
		must(indicator.Released)
		must(indicator.InForce)
		guarded(indicator.Expired)
		must(indicator.Revoked)
		again := item(2, indicator.PendingFirst)
		again.Pattern = it.Pattern
		add(t, db, &again) // the ended item has given its pattern up
		must(indicator.Purged)
		got, err := indicator.Get(t.Context(), db, it.ID)
		if err != nil || got.Pattern != "" || got.Value != "" || got.Summary != "" || got.Context != "" || got.PrivacyNote != "" {
			t.Errorf("tombstone still tells: %+v, %v", got, err)
		}
		log, err := audit.List(t.Context(), db, audit.Filter{Subject: it.ID.String(), Limit: 100})
		if err != nil || len(log) != 14 {
			t.Errorf("%d audit entries, want one for each of 14 moves (%v)", len(log), err)
		}
		_, err = audit.Verify(t.Context(), db)
		if err != nil {
			t.Error(err)
		}
	})
}

func TestDuties(t *testing.T) {
	d := func(kind, person string) indicator.Decision { return indicator.Decision{Kind: kind, Person: person} }
	tests := []struct {
		name string
		ev   indicator.Evidence
		bad  bool
	}{
		{"all different", indicator.Evidence{Submitter: "S", Editor: "E", Decisions: []indicator.Decision{d("privacy", "P"), d("first", "A"), d("second", "B")}}, false},
		{"submitter edits", indicator.Evidence{Submitter: "S", Editor: "S", Decisions: []indicator.Decision{d("first", "A"), d("second", "B")}}, false},
		{"submitter approves", indicator.Evidence{Submitter: "S", Decisions: []indicator.Decision{d("first", "S")}}, true},
		{"editor approves", indicator.Evidence{Submitter: "S", Editor: "E", Decisions: []indicator.Decision{d("first", "A"), d("second", "E")}}, true},
		{"one approves twice", indicator.Evidence{Submitter: "S", Decisions: []indicator.Decision{d("first", "A"), d("second", "A")}}, true},
		{"privacy reviewer approves", indicator.Evidence{Submitter: "S", Decisions: []indicator.Decision{d("privacy", "P"), d("first", "P")}}, true},
		{"submitter reviews", indicator.Evidence{Submitter: "S", Decisions: []indicator.Decision{d("privacy", "S")}}, true},
		{"void approval", indicator.Evidence{Submitter: "S", Decisions: []indicator.Decision{d("first", "A"), d("privacy", "P"), d("first", "B"), d("second", "A")}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := indicator.Duties(tt.ev)
			var same *indicator.SamePersonError
			if errors.As(err, &same) != tt.bad {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestTransitions holds the table against what must never be possible.
func TestTransitions(t *testing.T) {
	reach := map[indicator.State]bool{indicator.Received: true}
	for range indicator.States {
		for _, from := range indicator.States {
			for _, to := range from.Next() {
				reach[to] = reach[to] || reach[from]
				if from.Ended() && to != indicator.Purged {
					t.Errorf("%s comes back to life as %s", from, to)
				}
				if to == indicator.Released && from != indicator.Approved || to == indicator.Approved && from != indicator.PendingSecond ||
					to == indicator.PendingSecond && from != indicator.PendingFirst || to == indicator.PendingFirst && from != indicator.TechValidation {
					t.Errorf("%s is reached from %s, past a check", to, from)
				}
			}
		}
	}
	for _, s := range indicator.States {
		if !reach[s] {
			t.Errorf("%s cannot be reached", s)
		}
		if s != indicator.Purged && len(s.Next()) == 0 {
			t.Errorf("%s is a dead end", s)
		}
	}
}

func TestList(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		for n := range 7 {
			s := indicator.PendingFirst
			if n%3 == 0 {
				s = indicator.Rejected
			}
			x := item(n, s)
			if s.Ended() {
				x.Ended = begin
			}
			add(t, db, &x)
		}
		pages := func(f indicator.Filter) (out []string) {
			f.Limit = 2
			for {
				page, err := indicator.List(t.Context(), db, f)
				if err != nil {
					t.Fatal(err)
				}
				for i := range page {
					out = append(out, page[i].Value[:2])
				}
				if len(page) < 2 {
					return out
				}
				f.After = page[1].Number
			}
		}
		tests := []struct {
			name string
			f    indicator.Filter
			want []string
		}{
			{"all", indicator.Filter{}, []string{"h0", "h1", "h2", "h3", "h4", "h5", "h6"}},
			{"newest first", indicator.Filter{Newest: true}, []string{"h6", "h5", "h4", "h3", "h2", "h1", "h0"}},
			{"state", indicator.Filter{States: []indicator.State{indicator.Rejected}}, []string{"h0", "h3", "h6"}},
			{"text", indicator.Filter{Text: "H4[.]Example"}, []string{"h4"}},
			{"part of a value", indicator.Filter{Text: "4.exa"}, nil},
			{"wild characters mean themselves", indicator.Filter{Text: "h%"}, nil},
			{"identifier", indicator.Filter{Text: contract.ID{0: 1, 15: 2}.String()}, []string{"h2"}},
			{"value", indicator.Filter{Value: "h4.example"}, []string{"h4"}},
			{"value of an ended item", indicator.Filter{Value: "h3.example"}, []string{"h3"}},
			{"value with a filter", indicator.Filter{Value: "h3.example", States: []indicator.State{indicator.PendingFirst}}, nil},
			{"provider", indicator.Filter{Provider: "nobody"}, nil},
			{"kind", indicator.Filter{Kind: observable.Addr}, nil},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				if diff := cmp.Diff(tt.want, pages(tt.f)); diff != "" {
					t.Error(diff)
				}
				n, more, err := indicator.CountMatching(t.Context(), db, tt.f)
				if err != nil || more || n != int64(len(tt.want)) {
					t.Errorf("count %d, %v, want %d", n, err, len(tt.want))
				}
			})
		}
		counts, err := indicator.Count(t.Context(), db, nil)
		if err != nil || counts[indicator.Rejected] != 3 || counts[indicator.PendingFirst] != 4 || len(counts) != len(indicator.States) {
			t.Errorf("counts %v, %v", counts, err)
		}
	})
}
