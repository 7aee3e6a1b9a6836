package release

import (
	"errors"
	"testing"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
)

// A new version goes through both approvals and takes the old one's place in one
// step of each provider's log; no page that a node can believe has neither.
func TestSupersede(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		alpha, beta := w.node("alpha"), w.node("beta")
		old := w.released(t, Target{"alpha", contract.DNS | contract.SMTP}, Target{"beta", contract.DNS})
		for _, n := range []*node{alpha, beta} {
			n.load(t, 0)
			n.ack(t)
		}
		c2, text := contract.CommandAndControl, "command and control of a botnet"
		next, err := w.desk.Replace(ctx, ann, Ref{ID: old}, Edit{Category: &c2, Summary: &text}, why)
		must(t, err)
		_, err = w.desk.Replace(ctx, dave, Ref{ID: old}, Edit{Category: &c2}, why)
		if !errors.Is(err, ErrState) {
			t.Errorf("a second draft beside the first: %v", err)
		}
		err = w.desk.First(ctx, ann, Ref{ID: next}, why)
		if !errors.Is(err, ErrSamePerson) {
			t.Errorf("the editor approves: %v", err)
		}
		must(t, w.desk.First(ctx, dave, Ref{ID: next}, why))
		all, err := w.desk.SecondAll(ctx, bob, []contract.ID{next}, why, []Target{{"alpha", contract.DNS}}, nil)
		if err != nil || all.Done != 0 || all.Failed != 1 {
			t.Errorf("released in bulk beside the old one: %+v, %v", all, err)
		}
		_, err = w.desk.Supersede(ctx, ann2, Ref{ID: next}, why, nil)
		if !errors.Is(err, ErrSamePerson) {
			t.Errorf("the editor's other account releases: %v", err)
		}
		out, err := w.desk.Second(ctx, bob, Ref{ID: next}, why, nil) // is the same as Supersede
		must(t, err)
		if len(out.Released) != 2 || out.Released[0].Services != contract.DNS|contract.SMTP {
			t.Fatalf("%+v", out)
		}
		for _, n := range []*node{alpha, beta} {
			for n.page(t, 1) { // entry by entry: the new one is there before the old one goes
				if len(n.objects) == 0 {
					t.Fatalf("%s has neither", n.provider)
				}
			}
			n.ack(t)
			if n.objects[old] != nil || n.objects[next] == nil || n.objects[next].Category != c2 || n.objects[next].Summary != text {
				t.Fatalf("%s: %+v", n.provider, n.objects)
			}
			reconciled(t, w, n.provider)
		}
		if a, b := w.state(t, old), w.state(t, next); a != indicator.Superseded || b != indicator.InForce {
			t.Fatalf("%s, %s", a, b)
		}
		o, err := indicator.OriginOf(ctx, w.db, next)
		must(t, err)
		made, err := indicator.MadeOf(ctx, w.db, old)
		must(t, err)
		if o.Of != old || o.Kind != indicator.Supersedes || len(made) != 1 || made[0].Item != next {
			t.Fatalf("%+v %+v", o, made)
		}
		var key string
		must(t, w.db.QueryRowContext(ctx, `SELECT pattern_key FROM item WHERE id = $1`, next.String()).Scan(&key))
		it, err := indicator.Get(ctx, w.db, next)
		must(t, err)
		if key != indicator.PatternKey(it.Pattern) {
			t.Error("the new version does not own the pattern")
		}
	})
}

func TestSupersedeIsRefused(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		to := Target{"alpha", contract.DNS}
		gone := w.released(t, to)
		draft, err := w.desk.Replace(ctx, ann, Ref{ID: gone}, Edit{}, why)
		must(t, err)
		must(t, w.desk.First(ctx, dave, Ref{ID: draft}, why))
		must(t, w.desk.Recall(ctx, bob, Ref{ID: gone}, why))
		_, err = w.desk.Supersede(ctx, bob, Ref{ID: draft}, why, nil)
		if !errors.Is(err, ErrState) {
			t.Errorf("what it replaces was recalled: %v", err)
		}
		id := w.released(t, to)
		mail := "write to jane.roe@mail.example"
		for name, c := range map[string]struct {
			e    Edit
			want error
		}{
			"a pattern without a checker": {Edit{Pattern: "[domain-name:value = 'other.example']"}, ErrState},
			"no pattern":                  {Edit{Pattern: "domain"}, ErrText},
		} {
			_, err = w.desk.Replace(ctx, ann, Ref{ID: id}, c.e, why)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, by := range map[string]func() error{
			"by an authority": func() error { _, err := w.desk.Replace(ctx, bob, Ref{ID: id}, Edit{}, why); return err },
			"by the gate":     func() error { _, err := w.desk.Replace(ctx, carol, Ref{ID: id}, Edit{}, why); return err },
		} {
			err = by()
			if !errors.Is(err, ErrRole) {
				t.Errorf("%s: %v", name, err)
			}
		}
		held, err := w.desk.Replace(ctx, ann, Ref{ID: w.released(t, to)}, Edit{Summary: &mail}, why)
		must(t, err)
		if got := w.state(t, held); got != indicator.PrivacyGate {
			t.Errorf("a mail address passed the gate: %s", got)
		}
		var key string
		must(t, w.db.QueryRowContext(ctx, `SELECT pattern_key FROM item WHERE id = $1`, held.String()).Scan(&key))
		if key != held.String() {
			t.Error("a draft owns the pattern of what is in force")
		}

		// With a checker, a new pattern is checked as a delivered one is.
		checker, err := policy.New(policy.Config{SamplePercent: -1, Demonstration: true})
		must(t, err)
		w.cfg.Checker = func() *policy.Checker { return checker }
		w.restart(t)
		next, err := w.desk.Replace(ctx, ann, Ref{ID: w.released(t, to)}, Edit{Pattern: "[domain-name:value = 'com']"}, why)
		must(t, err)
		if got := w.state(t, next); got != indicator.TechValidation {
			t.Errorf("a top-level domain passed the checks: %s", got)
		}
	})
}
