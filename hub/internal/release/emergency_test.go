package release

import (
	"errors"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
)

func TestEmergency(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		to := []Target{{"alpha", contract.DNS}}
		urgent := func() contract.ID {
			t.Helper()
			id := w.item(t, indicator.PendingFirst, nil)
			_, err := w.desk.Emergency(ctx, bob, Ref{ID: id}, why, to, 2*time.Hour)
			must(t, err)
			return id
		}
		kept, left := urgent(), urgent()
		alpha := w.node("alpha")
		alpha.load(t, 0)
		alpha.ack(t)
		it, err := indicator.Get(ctx, w.db, kept)
		must(t, err)
		if it.State != indicator.InForce || it.ValidUntil.After(time.Now().Add(2*time.Hour)) || len(alpha.objects) != 2 {
			t.Fatalf("%+v, %d loaded", it, len(alpha.objects))
		}
		for name, c := range map[string]struct {
			act  func() error
			want error
		}{
			"too long": {func() error {
				_, err := w.desk.Emergency(ctx, bob, Ref{ID: w.item(t, indicator.PendingFirst, nil)}, why, to, 5*time.Hour)
				return err
			}, ErrLife},
			"by an analyst": {func() error {
				_, err := w.desk.Emergency(ctx, ann, Ref{ID: w.item(t, indicator.PendingFirst, nil)}, why, to, time.Hour)
				return err
			}, ErrRole},
			"past the privacy gate": {func() error {
				_, err := w.desk.Emergency(ctx, bob, Ref{ID: w.item(t, indicator.PrivacyGate, nil)}, why, to, time.Hour)
				return err
			}, ErrState},
			"by the submitter": {func() error {
				_, err := w.desk.Emergency(ctx, subs, Ref{ID: w.item(t, indicator.PendingFirst, nil)}, why, to, time.Hour)
				return err
			}, ErrSamePerson},
			"extended before it is ratified": {func() error {
				_, err := w.desk.Extend(ctx, ann2, Ref{ID: kept}, why, []Target{{"beta", contract.DNS}})
				return err
			}, ErrState},
			"ratified by the same person":     {func() error { return w.desk.Ratify(ctx, bob, Ref{ID: kept}, why) }, ErrSamePerson},
			"ratified by the submitter":       {func() error { return w.desk.Ratify(ctx, subs, Ref{ID: kept}, why) }, ErrSamePerson},
			"ratified by the privacy officer": {func() error { return w.desk.Ratify(ctx, carl2, Ref{ID: kept}, why) }, ErrRole},
			"ratified without need":           {func() error { return w.desk.Ratify(ctx, ann, Ref{ID: w.released(t, to...)}, why) }, ErrState},
		} {
			err := c.act()
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		must(t, w.desk.Ratify(ctx, ann, Ref{ID: kept}, why))
		err = w.desk.Ratify(ctx, ann, Ref{ID: kept}, why)
		if !errors.Is(err, ErrState) {
			t.Errorf("ratified twice: %v", err)
		}

		w.cfg.Now = func() time.Time { return time.Now().Add(RatifyWithin - time.Minute) }
		w.restart(t)
		must(t, w.desk.recallUnratified(ctx))
		if got := w.state(t, left); got != indicator.InForce {
			t.Fatalf("recalled before its hour: %s", got)
		}
		w.cfg.Now = func() time.Time { return time.Now().Add(RatifyWithin + time.Second) }
		w.restart(t)
		err = w.desk.Ratify(ctx, ann, Ref{ID: left}, why)
		if !errors.Is(err, ErrState) {
			t.Errorf("ratified too late: %v", err)
		}
		w.desk.tick(ctx)
		w.desk.tick(ctx)
		if a, b := w.state(t, left), w.state(t, kept); a != indicator.Revoked || b != indicator.InForce {
			t.Errorf("the one nobody ratified is %s, the other %s", a, b)
		}
		alpha.load(t, 0)
		alpha.ack(t)
		if alpha.objects[left] != nil || alpha.objects[kept] == nil {
			t.Errorf("alpha has %v", alpha.services)
		}
		reconciled(t, w, "alpha")
		log, err := audit.List(ctx, w.db, audit.Filter{Subject: left.String(), Limit: 20})
		must(t, err)
		var recalls int
		for _, e := range log {
			if e.Action == "item.move" && e.Actor == "system" {
				recalls++
			}
		}
		if recalls != 1 {
			t.Errorf("recalled %d times by the system", recalls)
		}
	})
}
