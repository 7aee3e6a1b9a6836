package release

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
)

var sue = signin.Account{Login: "sue", Person: "Sue", Roles: []string{"csp_security_officer"}, Scope: "alpha"}

// tell writes feedback of a provider for a run into the tables, as it is accepted.
func (w *world) tell(t *testing.T, provider string, run contract.ID, at time.Time, events contract.Bucket) {
	t.Helper()
	day := int64(contract.DayOf(at, 24*time.Hour))
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		w.exec(t, tx, `INSERT INTO feedback_window (provider, day, service, rules, body, received) VALUES ($1, $2, 1, 1, '', 0)`, provider, day)
		if events > 0 {
			w.exec(t, tx, `INSERT INTO feedback_cell (provider, day, service, number, item, category, sector, action, events, customers, wrong, first_day, last_day)
				VALUES ($1, $2, 1, 1, $3, 0, 0, $4, $5, 5, 0, $2, $2)`, provider, day, run.String(), int64(contract.Shadow), int64(events))
		}
		return nil
	}))
}

func TestShadowRun(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		to := []Target{{"alpha", contract.DNS}}
		origin := w.item(t, indicator.PendingFirst, nil)
		_, err := w.desk.ShadowRun(ctx, ann, Ref{ID: origin}, 4*time.Hour, to, why)
		if !errors.Is(err, ErrNoTarget) {
			t.Fatalf("a provider that never agreed: %v", err)
		}
		err = w.desk.AgreeShadow(ctx, sue, "beta", true, why)
		if !errors.Is(err, ErrRole) {
			t.Fatalf("for another provider: %v", err)
		}
		must(t, w.desk.AgreeShadow(ctx, sue, "alpha", true, why))
		for name, life := range map[string]time.Duration{"too short": 30 * time.Minute, "too long": 25 * time.Hour, "no hours": 90 * time.Minute} {
			_, err = w.desk.ShadowRun(ctx, ann, Ref{ID: origin}, life, to, why)
			if !errors.Is(err, ErrState) {
				t.Errorf("%s: %v", name, err)
			}
		}
		run, err := w.desk.ShadowRun(ctx, ann, Ref{ID: origin}, 4*time.Hour, to, why)
		must(t, err)
		err = w.desk.First(ctx, dave, Ref{ID: origin}, why)
		if !errors.As(err, new(*indicator.GuardError)) {
			t.Errorf("approved while it is being counted: %v", err)
		}
		_, err = w.desk.ShadowRun(ctx, dave, Ref{ID: origin}, time.Hour, to, why)
		if !errors.Is(err, ErrState) {
			t.Errorf("a second run: %v", err)
		}
		_, err = w.desk.ShadowStart(ctx, ann2, Ref{ID: run}, why)
		if !errors.Is(err, ErrSamePerson) {
			t.Errorf("started alone: %v", err)
		}
		_, err = w.desk.Second(ctx, bob, Ref{ID: run}, why, []Target{{"beta", contract.DNS}})
		if !errors.As(err, new(*indicator.GuardError)) {
			t.Errorf("sent to who never agreed: %v", err)
		}
		_, err = w.desk.ShadowStart(ctx, bob, Ref{ID: run}, why)
		must(t, err)
		alpha := w.node("alpha")
		alpha.load(t, 0)
		alpha.ack(t)
		x := alpha.objects[run]
		if x == nil || x.Action != contract.Shadow || x.Notify || time.Until(x.ValidUntil) > 4*time.Hour || alpha.objects[origin] != nil {
			t.Fatalf("%+v", x)
		}
		later := func(d time.Duration) {
			w.cfg.Now = func() time.Time { return time.Now().Add(d) }
			w.restart(t)
		}
		// The item ends by the hub's own clock.
		must(t, w.db.Write(ctx, func(tx *sql.Tx) error {
			w.exec(t, tx, `UPDATE item SET valid_until = 1 WHERE id = $1`, run.String())
			return nil
		}))
		_, err = w.desk.Expire(ctx)
		must(t, err)
		w.desk.tick(ctx)
		ss, err := Shadows(ctx, w.db, origin)
		must(t, err)
		if len(ss) != 1 || !ss[0].Closed.IsZero() || ss[0].State != indicator.Expired || len(ss[0].Targets) != 1 {
			t.Fatalf("closed before feedback came: %+v", ss)
		}
		w.tell(t, "alpha", run, ss[0].Ends, 250)
		w.desk.tick(ctx)
		fs, err := indicator.Findings(ctx, w.db, origin)
		must(t, err)
		if len(fs) != 1 || fs[0].Code != CodeShadow || fs[0].Severity != indicator.Warn || !strings.Contains(fs[0].Detail, "250-499") {
			t.Fatalf("%+v", fs)
		}
		must(t, w.desk.First(ctx, dave, Ref{ID: origin}, why))

		// Too many matches stop it, and nobody waits for a provider for ever.
		second := w.item(t, indicator.PendingFirst, nil)
		run, err = w.desk.ShadowRun(ctx, ann, Ref{ID: second}, time.Hour, to, why)
		must(t, err)
		_, err = w.desk.ShadowStart(ctx, bob, Ref{ID: run}, why)
		must(t, err)
		must(t, w.db.Write(ctx, func(tx *sql.Tx) error {
			w.exec(t, tx, `DELETE FROM feedback_cell`)
			w.exec(t, tx, `DELETE FROM feedback_window`)
			w.exec(t, tx, `UPDATE item SET valid_until = 1 WHERE id = $1`, run.String())
			return nil
		}))
		_, err = w.desk.Expire(ctx)
		must(t, err)
		w.tell(t, "alpha", run, time.Now().Add(-48*time.Hour), 25000)
		must(t, w.desk.settleShadows(ctx))
		counted, err := indicator.Counted(ctx, w.db, second)
		must(t, err)
		if !counted {
			t.Fatal("closed without the provider's word")
		}
		later(DefaultShadowPatience + 2*time.Hour)
		must(t, w.desk.settleShadows(ctx))
		err = w.desk.First(ctx, dave, Ref{ID: second}, why)
		if !errors.Is(err, ErrFindings) {
			t.Fatalf("approved in spite of 25,000 matches: %v", err)
		}

		// Called off before it began: no finding, and approvals go on.
		third := w.item(t, indicator.PendingFirst, func(it *indicator.Item) { it.ValidUntil = it.ValidUntil.Add(90 * 24 * time.Hour) })
		run, err = w.desk.ShadowRun(ctx, ann, Ref{ID: third}, time.Hour, to, why)
		must(t, err)
		must(t, w.desk.ShadowStop(ctx, bob, Ref{ID: run}, why))
		fs, err = indicator.Findings(ctx, w.db, third)
		must(t, err)
		if len(fs) != 0 {
			t.Fatalf("%+v", fs)
		}
		must(t, w.desk.First(ctx, dave, Ref{ID: third}, why))
	})
}
