package release

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
)

// Each kind of decision that can be taken back leads to where the item was, and
// leaves both decisions on record.
func TestUndo(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		stop := func(id contract.ID) {
			t.Helper()
			must(t, w.db.Write(ctx, func(tx *sql.Tx) error {
				return indicator.AddFinding(ctx, tx, indicator.Finding{Item: id, Code: "V2-WARNING-LIST", Severity: indicator.Stop, Detail: "on a list"})
			}))
		}
		overridden := func(persons int) contract.ID {
			t.Helper()
			id := w.item(t, indicator.TechValidation, nil)
			stop(id)
			must(t, w.desk.Override(ctx, ann, Ref{ID: id}, why))
			if persons == 2 {
				must(t, w.desk.Override(ctx, bob, Ref{ID: id}, why))
			}
			return id
		}
		done := func(from indicator.State, act func(Ref) error) contract.ID {
			t.Helper()
			id := w.item(t, from, func(it *indicator.Item) {
				if from == indicator.PrivacyGate {
					it.Privacy = indicator.Undetermined
				}
			})
			must(t, act(Ref{ID: id}))
			return id
		}
		for name, c := range map[string]struct {
			id   contract.ID
			by   func(Ref) error
			want indicator.State
		}{
			"first approval": {
				done(indicator.PendingFirst, func(r Ref) error { return w.desk.First(ctx, ann, r, why) }),
				func(r Ref) error { return w.desk.Undo(ctx, ann2, r, why) }, indicator.PendingFirst,
			}, // another account of hers
			"asked override": {overridden(1), func(r Ref) error { return w.desk.Undo(ctx, ann, r, why) }, indicator.TechValidation},
			"override":       {overridden(2), func(r Ref) error { return w.desk.Undo(ctx, bob, r, why) }, indicator.TechValidation},
			"return": {
				done(indicator.PendingSecond, func(r Ref) error { return w.desk.ReturnFor(ctx, bob, r, Why{Code: Incomplete}) }),
				func(r Ref) error { return w.desk.Undo(ctx, bob, r, why) }, indicator.PendingSecond,
			},
			"reject": {
				done(indicator.TechValidation, func(r Ref) error { return w.desk.RejectFor(ctx, ann, r, Why{Code: FalsePositive}) }),
				func(r Ref) error { return w.desk.Undo(ctx, ann, r, why) }, indicator.TechValidation,
			},
			"determination": {
				done(indicator.PrivacyGate, func(r Ref) error { return w.desk.Privacy(ctx, carol, r, indicator.NotPresent, why) }),
				func(r Ref) error { return w.desk.Undo(ctx, carol, r, why) }, indicator.PrivacyGate,
			},
		} {
			err := w.desk.Undo(ctx, gil, Ref{ID: c.id}, why)
			if !errors.Is(err, ErrUndo) {
				t.Errorf("%s: by somebody else: %v", name, err)
			}
			must(t, c.by(Ref{ID: c.id}))
			it, err := indicator.Get(ctx, w.db, c.id)
			must(t, err)
			if it.State != c.want || !it.Ended.IsZero() || c.want == indicator.PrivacyGate && it.Privacy != indicator.Undetermined {
				t.Errorf("%s: %+v, want %s", name, it, c.want)
			}
			var key string
			must(t, w.db.QueryRowContext(ctx, `SELECT pattern_key FROM item WHERE id = $1`, c.id.String()).Scan(&key))
			if key != indicator.PatternKey(it.Pattern) {
				t.Errorf("%s: it does not own its pattern", name)
			}
			ds, err := indicator.Decisions(ctx, w.db, c.id)
			must(t, err)
			last := ds[len(ds)-1]
			if last.Kind != indicator.KindUndo || len(indicator.Standing(ds)) != len(ds)-2 {
				t.Errorf("%s: decisions %+v", name, ds)
			}
			log, err := audit.List(ctx, w.db, audit.Filter{Subject: c.id.String(), Limit: 5})
			must(t, err)
			if log[0].Action != "item.undo" {
				t.Errorf("%s: audit %+v", name, log[0])
			}
			err = c.by(Ref{ID: c.id})
			if name != "override" && !errors.Is(err, ErrUndo) {
				t.Errorf("%s twice: %v", name, err)
			}
		}
		n, err := indicator.Count(ctx, w.db, nil)
		must(t, err)
		if n[indicator.Returned]+n[indicator.Rejected] != 0 || n[indicator.TechValidation] != 3 {
			t.Errorf("counts: %v", n)
		}
	})
}

func TestUndoIsRefused(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		to := []Target{{"alpha", contract.DNS}}
		released := w.released(t, to...)
		since := w.item(t, indicator.PendingFirst, nil)
		must(t, w.desk.First(ctx, ann, Ref{ID: since}, why))
		must(t, w.desk.Return(ctx, bob, Ref{ID: since}, why))
		moved := w.item(t, indicator.PendingFirst, nil)
		must(t, w.desk.First(ctx, ann, Ref{ID: moved}, why))
		must(t, w.desk.Hold(ctx, carol, Ref{ID: moved}, why))
		taken := w.item(t, indicator.PendingFirst, func(it *indicator.Item) { it.Pattern = "[domain-name:value = 'twice.example']" })
		must(t, w.desk.RejectFor(ctx, ann, Ref{ID: taken}, Why{Code: Duplicate}))
		w.item(t, indicator.PendingFirst, func(it *indicator.Item) { it.Pattern = "[domain-name:value = 'twice.example']" })
		late := w.item(t, indicator.PendingFirst, nil)
		must(t, w.desk.First(ctx, ann, Ref{ID: late}, why))
		for name, c := range map[string]struct {
			id   contract.ID
			want error
		}{
			"a release": {released, ErrUndo}, "somebody decided since": {since, ErrUndo}, "held since": {moved, ErrUndo},
			"the pattern came back": {taken, indicator.ErrTaken},
			"nothing was decided":   {w.item(t, indicator.PendingFirst, nil), ErrUndo},
		} {
			for _, acct := range []struct{ a func() error }{{func() error { return w.desk.Undo(ctx, ann, Ref{ID: c.id}, why) }}} {
				err := acct.a()
				if !errors.Is(err, c.want) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		err := w.desk.Undo(ctx, ann, Ref{ID: late, Version: 1}, why)
		if !errors.Is(err, ErrVersion) {
			t.Errorf("a stale look: %v", err)
		}
		w.cfg.Now = func() time.Time { return time.Now().Add(DefaultUndoWithin + time.Minute) }
		w.restart(t)
		err = w.desk.Undo(ctx, ann, Ref{ID: late}, why)
		if !errors.Is(err, ErrUndo) {
			t.Errorf("too late: %v", err)
		}
	})
}

func TestUndoAll(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ids := w.many(t, portion+7)
		b, err := w.desk.FirstAll(ctx, ann, ids, why, nil)
		must(t, err)
		must(t, w.desk.Return(ctx, bob, Ref{ID: ids[3]}, why))
		mine, err := w.desk.Mine(ctx, w.db, "Ann", time.Time{}, 10)
		must(t, err)
		if len(mine) != 10 || mine[0].Until.IsZero() || mine[0].Bulk != b.ID {
			t.Fatalf("%+v", mine[0])
		}
		_, err = w.desk.UndoAll(ctx, ann, "none", why, nil)
		if !errors.Is(err, ErrUndo) {
			t.Errorf("no such bulk act: %v", err)
		}
		u, err := w.desk.UndoAll(ctx, ann, b.ID, why, nil)
		must(t, err)
		if u.Done != len(ids)-1 || u.Failed != 1 || u.Failures[0].ID != ids[3] || !errors.Is(u.Failures[0].Err, ErrUndo) {
			t.Fatalf("%+v", u)
		}
		r, err := w.desk.RejectAll(ctx, bob, ids[:3], Why{Code: FalsePositive}, nil)
		must(t, err)
		ds, err := indicator.Decisions(ctx, w.db, ids[0])
		must(t, err)
		last := ds[len(ds)-1]
		if r.Done != 3 || last.Kind != indicator.KindReject || last.Verdict != "false-positive" || last.Reason != FalsePositive.Text() {
			t.Fatalf("%+v %+v", r, last)
		}
		recalled := w.released(t, Target{"alpha", contract.DNS})
		must(t, w.desk.RecallFor(ctx, bob, Ref{ID: recalled}, Why{Code: FalsePositive, Text: why}))
		ds, err = indicator.Decisions(ctx, w.db, recalled)
		must(t, err)
		if ds[2].Verdict != "false-positive" {
			t.Fatalf("%+v", ds)
		}
		err = w.desk.RejectFor(ctx, ann, Ref{ID: ids[9]}, Why{Code: Other})
		if !errors.Is(err, ErrReason) {
			t.Errorf("other, without words: %v", err)
		}
		err = w.desk.RecallFor(ctx, bob, Ref{ID: ids[9]}, Why{Code: Incomplete})
		if !errors.Is(err, ErrReason) {
			t.Errorf("no code of a recall: %v", err)
		}
	})
}
