package release

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/decision"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/program"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

func both(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) { run(t, newWorld(t, db)) })
}

// One indicator's whole story: two approvals, in the log, loaded, recalled, gone.
func TestJourney(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		alpha := w.node("alpha")
		alpha.load(t, 0)
		alpha.ack(t)
		id := w.released(t, Target{"alpha", contract.AllServices}, Target{"beta", contract.DNS}, Target{"gone", contract.DNS})
		if got := w.state(t, id); got != indicator.Released {
			t.Fatalf("state %s", got)
		}
		statuses(t, w, id, map[string]Status{"alpha dns": Queued, "alpha smtp": Queued, "beta dns": Queued})
		alpha.load(t, 0)
		statuses(t, w, id, map[string]Status{"alpha dns": Delivered, "alpha smtp": Delivered, "beta dns": Queued})
		alpha.ack(t, contract.Refusal{ID: id, Services: contract.SMTP, Reason: contract.TooMany})
		statuses(t, w, id, map[string]Status{"alpha dns": Loaded, "alpha smtp": RefusedThere, "beta dns": Queued})
		if got := w.state(t, id); got != indicator.InForce {
			t.Fatalf("state %s", got)
		}
		loaded := time.Now()
		in, err := w.desk.InForce(t.Context(), "alpha", time.Time{}, contract.ID{}, 0)
		must(t, err)
		if len(in) != 1 || in[0].Services != contract.DNS || len(in[0].Approvals) != 2 || in[0].Approvals[1].Person != "Bob" {
			t.Fatalf("in force: %+v", in)
		}
		must(t, w.desk.Recall(t.Context(), bob, Ref{ID: id}, "the owner has cleaned it"))
		statuses(t, w, id, map[string]Status{"alpha dns": RemovalQueued, "alpha smtp": RefusedThere, "beta dns": Lapsed})
		alpha.load(t, 0)
		if len(alpha.objects) != 0 {
			t.Fatal("still in force at the node")
		}
		statuses(t, w, id, map[string]Status{"alpha dns": RemovalSent, "alpha smtp": RefusedThere, "beta dns": Lapsed})
		alpha.ack(t)
		statuses(t, w, id, map[string]Status{"alpha dns": RemovedThere, "alpha smtp": RefusedThere, "beta dns": Lapsed})
		if got := w.state(t, id); got != indicator.Revoked {
			t.Fatalf("state %s", got)
		}

		then, err := w.desk.Reconcile(t.Context(), "alpha", loaded)
		must(t, err)
		now, err := w.desk.Reconcile(t.Context(), "alpha", time.Time{})
		must(t, err)
		want := Balance{Provider: "alpha", At: loaded, Released: 2, Loaded: 1, Refused: 1, InForce: 1}
		if d := cmp.Diff(want, then); d != "" || !then.Holds() {
			t.Fatal(d)
		}
		want = Balance{Provider: "alpha", At: now.At, Released: 2, Loaded: 1, Refused: 1, Removed: 1}
		if d := cmp.Diff(want, now); d != "" || !now.Holds() {
			t.Fatal(d)
		}
		in, err = w.desk.InForce(t.Context(), "alpha", loaded, contract.ID{}, 0)
		must(t, err)
		if len(in) != 1 {
			t.Fatalf("in force at the time: %+v", in)
		}
		beta := w.node("beta") // never saw it: neither the release nor the recall concerns it
		beta.load(t, 0)
		beta.ack(t)
		_, err = audit.Verify(t.Context(), w.db)
		must(t, err)
		nodes, err := w.desk.Nodes(t.Context())
		must(t, err)
		if len(nodes) != 2 || nodes[0].Loaded != 2 || nodes[0].Head != 2 || nodes[0].Problem != "none" || nodes[0].Pending != 0 {
			t.Fatalf("nodes: %+v", nodes)
		}
	})
}

func statuses(t *testing.T, w *world, id contract.ID, want map[string]Status) {
	t.Helper()
	rows, err := w.desk.Ledger(t.Context(), w.db, Filter{Item: id})
	must(t, err)
	got := map[string]Status{}
	for _, r := range rows {
		got[r.Provider+" "+r.Service.String()] = r.Status
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestPeopleAndRoles(t *testing.T) {
	to := []Target{{"alpha", contract.DNS}}
	tests := []struct {
		name  string
		state indicator.State
		act   func(t *testing.T, w *world, ref Ref) error
		want  error
	}{
		{"first by another analyst", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error { return w.desk.First(t.Context(), ann, r, why) }, nil},
		{"first by the submitter", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error { return w.desk.First(t.Context(), subs, r, why) }, ErrSamePerson},
		{"first by an administrator", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error { return w.desk.First(t.Context(), root, r, why) }, ErrRole},
		{"first without a reason", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error { return w.desk.First(t.Context(), ann, r, " ok ") }, ErrReason},
		{"first on a stale view", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error {
			return w.desk.First(t.Context(), ann, Ref{ID: r.ID, Version: 7}, why)
		}, ErrVersion},
		{"first twice", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error {
			must(t, w.desk.First(t.Context(), ann, r, why))
			return w.desk.First(t.Context(), dave, r, why)
		}, ErrState},
		{"second by the first approver's other account", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error {
			must(t, w.desk.First(t.Context(), ann, r, why))
			_, err := w.desk.Second(t.Context(), ann2, r, why, to)
			return err
		}, ErrSamePerson},
		{"second by a privacy officer's other account", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error {
			must(t, w.desk.First(t.Context(), ann, r, why))
			_, err := w.desk.Second(t.Context(), carl2, r, why, to)
			return err
		}, ErrRole},
		{"second without the first", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error {
			_, err := w.desk.Second(t.Context(), bob, r, why, to)
			return err
		}, ErrState},
		{"privacy, then both approvals", indicator.PrivacyGate, func(t *testing.T, w *world, r Ref) error {
			must(t, w.desk.Privacy(t.Context(), carol, r, indicator.NotPresent, "no personal data in the name"))
			must(t, w.desk.First(t.Context(), ann, r, why))
			_, err := w.desk.Second(t.Context(), bob, r, why, to)
			return err
		}, nil},
		{"privacy by an analyst", indicator.PrivacyGate, func(t *testing.T, w *world, r Ref) error {
			return w.desk.Privacy(t.Context(), ann, r, indicator.NotPresent, why)
		}, ErrRole},
		{"necessary without a sentence", indicator.PrivacyGate, func(t *testing.T, w *world, r Ref) error {
			return w.desk.Privacy(t.Context(), carol, r, indicator.Necessary, "necessary")
		}, ErrReason},
		{"held items need new approvals", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error {
			must(t, w.desk.First(t.Context(), ann, r, why))
			must(t, w.desk.Hold(t.Context(), carol, r, "the local part may be a name"))
			must(t, w.desk.Privacy(t.Context(), carol, r, indicator.NotPresent, "it is a role account after all"))
			_, err := w.desk.Second(t.Context(), bob, r, why, to)
			return err
		}, ErrState},
		{"recall by an officer of a source that named it", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error {
			must(t, w.desk.First(t.Context(), ann, r, why))
			_, err := w.desk.Second(t.Context(), bob, r, why, to)
			must(t, err)
			return w.desk.Recall(t.Context(), gil, r, why)
		}, nil},
		{"recall by an officer of another source", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error {
			must(t, w.desk.First(t.Context(), ann, r, why))
			_, err := w.desk.Second(t.Context(), bob, r, why, to)
			must(t, err)
			other := gil
			other.Scope = "elsewhere"
			return w.desk.Recall(t.Context(), other, r, why)
		}, ErrRole},
		{"recall of what is not released", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error { return w.desk.Recall(t.Context(), bob, r, why) }, ErrState},
		{"reject by the privacy officer", indicator.PendingFirst, func(t *testing.T, w *world, r Ref) error { return w.desk.Reject(t.Context(), carol, r, why) }, nil},
		{"return by the analyst", indicator.PendingSecond, func(t *testing.T, w *world, r Ref) error { return w.desk.Return(t.Context(), ann, r, why) }, nil},
	}
	both(t, func(t *testing.T, w *world) {
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				id := w.item(t, c.state, func(it *indicator.Item) {
					if c.state == indicator.PrivacyGate {
						it.Privacy = indicator.Undetermined
					}
				})
				err := c.act(t, w, Ref{ID: id})
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
			})
		}
	})
}

func TestOverride(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		id := w.item(t, indicator.TechValidation, nil)
		stop := func(code string) {
			must(t, w.db.Write(ctx, func(tx *sql.Tx) error {
				return indicator.AddFinding(ctx, tx, indicator.Finding{Item: id, Code: code, Severity: indicator.Stop, Detail: "popular"})
			}))
		}
		check := func(err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
		}
		stop("V2-POPULAR")
		r := Ref{ID: id}
		check(w.desk.First(ctx, ann, r, why), ErrState)
		check(w.desk.Override(ctx, subs, r, why), ErrSamePerson)
		check(w.desk.Override(ctx, dave, r, why), nil)
		check(w.desk.Override(ctx, dave, r, why), ErrSamePerson)
		check(w.desk.Override(ctx, ann, r, why), ErrRole) // the second has to be a release authority
		check(w.desk.Override(ctx, bob, r, why), nil)
		if got := w.state(t, id); got != indicator.PendingFirst {
			t.Fatalf("state %s", got)
		}
		check(w.desk.Override(ctx, bob, r, why), ErrState)
		check(w.desk.First(ctx, ann, r, why), nil)
		stop("V4-SHARED") // found later: the old overrides do not speak of it
		_, err := w.desk.Second(ctx, bob, r, why, []Target{{"alpha", contract.DNS}})
		check(err, ErrFindings)
		check(w.desk.Override(ctx, dave, r, why), nil)
		check(w.desk.Override(ctx, bob, r, why), nil)
		_, err = w.desk.Second(ctx, bob, r, why, []Target{{"alpha", contract.DNS}})
		check(err, nil)
	})
}

func TestTargets(t *testing.T) {
	now := time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)
	good := decision.Provider{
		ID: "good", State: program.Operational, Services: contract.AllServices, Ceiling: contract.Red,
		Clearance: marking.NewClearance(contract.Red, marking.Unclassified),
	}
	change := func(f func(*decision.Provider)) decision.Provider { p := good; f(&p); return p }
	providers := map[string]decision.Provider{
		"good":      good,
		"suspended": change(func(p *decision.Provider) { p.State = "SUSPENDED" }),
		"early":     change(func(p *decision.Provider) { p.From = now.Add(time.Hour) }),
		"late":      change(func(p *decision.Provider) { p.To = now }),
		"low":       change(func(p *decision.Provider) { p.Ceiling = contract.Green }),
		"mail":      change(func(p *decision.Provider) { p.Services = contract.SMTP }),
	}
	it := decision.Object{
		State: indicator.Approved, Handling: marking.OfTLP(contract.Amber).Handling(), Services: contract.DNS | contract.SMTP,
		Until: now.Add(time.Hour), Authority: true, Privacy: indicator.NotPresent,
	}
	tests := []struct {
		name    string
		target  Target
		ok      contract.Services
		refused int
	}{
		{"all of it", Target{"good", contract.DNS}, contract.DNS, 0},
		{"what no service can see", Target{"good", contract.AllServices}, contract.DNS | contract.SMTP, 1},
		{"flow only", Target{"good", contract.NetFlow}, 0, 1},
		{"suspended", Target{"suspended", contract.DNS}, 0, 1},
		{"before the accreditation", Target{"early", contract.DNS}, 0, 1},
		{"on the day after", Target{"late", contract.DNS}, 0, 1},
		{"above the ceiling", Target{"low", contract.DNS}, 0, 1},
		{"part of it accredited", Target{"mail", contract.AllServices}, contract.SMTP, 2},
		{"unknown", Target{"nobody", contract.DNS}, 0, 1},
		{"no service named", Target{"good", 0}, 0, 1},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			ok, refused := judge(it, []Target{c.target}, providers, now)
			var got contract.Services
			for _, o := range ok {
				got |= o.Services
			}
			if got != c.ok || len(refused) != c.refused {
				t.Fatalf("released for %s, refused %+v", got, refused)
			}
		})
	}
}

func TestAuthorityHasLapsed(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		var id contract.ID
		must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
			id = w.put(t, tx, indicator.PendingFirst, "lapsed", nil)
			return nil
		}))
		must(t, w.desk.First(t.Context(), ann, Ref{ID: id}, why))
		out, err := w.desk.Second(t.Context(), bob, Ref{ID: id}, why, []Target{{"alpha", contract.DNS}})
		if !errors.Is(err, ErrNoTarget) || len(out.Refused) != 1 {
			t.Fatalf("%+v %v", out, err)
		}
		if got := w.state(t, id); got != indicator.PendingSecond {
			t.Fatalf("state %s", got)
		}
	})
}
