package release

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
)

// A provider is suspended with one item loaded, one handed out, one waiting, and
// one loaded for DNS that was just extended to mail: what it was not handed yet
// never reaches it, a recall does, and the ledger reconciles at each moment.
func TestFreeze(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		to := Target{"alpha", contract.DNS | contract.SMTP}
		loaded := w.released(t, to)
		wider := w.released(t, Target{"alpha", contract.DNS})
		alpha := w.node("alpha")
		alpha.load(t, 0)
		alpha.ack(t)
		handed := w.released(t, to)
		alpha.load(t, 0)
		waiting := w.released(t, to)
		_, err := w.desk.Extend(ctx, bob, Ref{ID: wider}, why, []Target{to})
		must(t, err)
		before := reconciled(t, w, "alpha")

		w.setState(t, "alpha", "SUSPENDED")
		w.restart(t) // the hub died right after the move: the next one does what is left
		alpha.load(t, 0)
		if alpha.objects[waiting] != nil || alpha.services[wider] != contract.DNS || alpha.objects[loaded] == nil || alpha.objects[handed] == nil {
			t.Fatalf("a suspended provider has %v", alpha.services)
		}
		must(t, w.desk.withholdAll(ctx))
		statuses(t, w, waiting, map[string]Status{"alpha dns": Lapsed, "alpha smtp": Lapsed})
		statuses(t, w, wider, map[string]Status{"alpha dns": Loaded, "alpha smtp": Lapsed})
		statuses(t, w, loaded, map[string]Status{"alpha dns": Loaded, "alpha smtp": Loaded})
		reconciled(t, w, "alpha")
		again, err := w.desk.Reconcile(ctx, "alpha", before.At)
		must(t, err)
		if diff := cmp.Diff(before, again); diff != "" {
			t.Errorf("the past has changed: %s", diff)
		}

		head, err := w.desk.head(ctx, "alpha")
		must(t, err)
		must(t, w.desk.withholdAll(ctx))
		w.restart(t)
		must(t, w.desk.withholdAll(ctx))
		now, err := w.desk.head(ctx, "alpha")
		must(t, err)
		if now != head {
			t.Fatalf("withheld again: the log went from %d to %d", head, now)
		}

		must(t, w.desk.Recall(ctx, bob, Ref{ID: loaded}, why))
		alpha.load(t, 0)
		alpha.ack(t)
		if alpha.objects[loaded] != nil || len(alpha.objects) != 2 {
			t.Fatalf("after the recall: %v", alpha.services)
		}
		statuses(t, w, loaded, map[string]Status{"alpha dns": RemovedThere, "alpha smtp": RemovedThere})

		w.setState(t, "alpha", "OPERATIONAL")
		alpha.load(t, 0)
		if alpha.objects[waiting] != nil {
			t.Fatal("reinstating brought back what was withheld")
		}
		out, err := w.desk.Extend(ctx, bob, Ref{ID: waiting}, why, []Target{to})
		must(t, err)
		if len(out.Released) != 1 {
			t.Fatalf("%+v", out)
		}
		alpha.load(t, 0)
		alpha.ack(t)
		if alpha.services[waiting] != to.Services {
			t.Fatalf("sent again: %v", alpha.services)
		}
		b := reconciled(t, w, "alpha")
		if b.Loaded != 7 || b.Lapsed != 3 || b.Pending != 0 {
			t.Fatalf("%+v", b)
		}
		other := w.node("alpha") // one that begins anew gets the same
		other.load(t, 0)
		if diff := cmp.Diff(alpha.services, other.services); diff != "" {
			t.Error(diff)
		}
	})
}

func reconciled(t *testing.T, w *world, provider string) Balance {
	t.Helper()
	b, err := w.desk.Reconcile(t.Context(), provider, time.Time{})
	must(t, err)
	if !b.Holds() {
		t.Errorf("does not reconcile: %s", b.String())
	}
	return b
}

// A suspension while a page is being made: the page that comes has nothing new.
func TestFreezeBetween(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		id := w.released(t, Target{"alpha", contract.DNS})
		_, err := w.desk.Changes(t.Context(), "alpha", 0, 0)
		must(t, err)
		w.released(t, Target{"alpha", contract.DNS})
		done := make(chan struct{})
		w.desk.cfg.Now, w.desk.clock.wall = nil, func() time.Time { // called between the look at the state and the page
			select {
			case <-done:
			default:
				close(done)
				w.setState(t, "alpha", "SUSPENDED")
			}
			return time.Now()
		}
		alpha := w.node("alpha")
		alpha.load(t, 0)
		if len(alpha.objects) != 1 || alpha.objects[id] == nil {
			t.Fatalf("%v", alpha.services)
		}
	})
}

func TestWithdraw(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ids := w.many(t, 2*portion)
		_, err := w.desk.FirstAll(ctx, ann, ids, why, nil)
		must(t, err)
		_, err = w.desk.SecondAll(ctx, bob, ids, why, []Target{{"alpha", contract.DNS | contract.SMTP}, {"beta", contract.DNS}}, nil)
		must(t, err)
		alpha, beta := w.node("alpha"), w.node("beta")
		alpha.load(t, 0)
		alpha.ack(t)
		beta.load(t, 0)
		_, err = w.desk.Withdraw(ctx, olga, "alpha", why)
		if !errors.Is(err, ErrState) {
			t.Errorf("withdrawn from an operational provider: %v", err)
		}
		w.setState(t, "alpha", "SUSPENDED")
		_, err = w.desk.Withdraw(ctx, bob, "alpha", why)
		if !errors.Is(err, ErrRole) {
			t.Errorf("withdrawn by a release authority: %v", err)
		}
		n, err := w.desk.Withdraw(ctx, olga, "alpha", why)
		must(t, err)
		if n != len(ids) {
			t.Errorf("%d withdrawn, want %d", n, len(ids))
		}
		alpha.load(t, 0)
		alpha.ack(t)
		beta.load(t, 0)
		if alpha.list.Len() != 0 || beta.list.Len() != len(ids) {
			t.Errorf("alpha has %d, beta %d", alpha.list.Len(), beta.list.Len())
		}
		b := reconciled(t, w, "alpha")
		if b.Removed != int64(2*len(ids)) {
			t.Errorf("%s", b.String())
		}
		w.setState(t, "beta", "TERMINATING")
		beta.load(t, 0)
		if beta.list.Len() != 0 {
			t.Errorf("a leaving provider has %d", beta.list.Len())
		}
		w.setState(t, "alpha", "OPERATIONAL")
		_, err = w.desk.ExtendAll(ctx, bob, ids[:3], why, []Target{{"alpha", contract.DNS}}, nil)
		must(t, err)
		alpha.load(t, 0)
		alpha.ack(t)
		if alpha.list.Len() != 3 {
			t.Errorf("%d after the return", alpha.list.Len())
		}
		must(t, w.desk.Recall(ctx, bob, Ref{ID: ids[0]}, why))
		alpha.load(t, 0)
		if alpha.list.Len() != 2 {
			t.Errorf("%d after a recall", alpha.list.Len())
		}
		reconciled(t, w, "alpha")
	})
}
