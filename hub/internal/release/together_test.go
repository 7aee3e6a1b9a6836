package release

import (
	"context"
	"sync"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
)

// Two hubs on one database release and recall at once, bulk and single, while
// nodes read from either: the logs have no gap, every checkpoint fits, and
// nobody waits for ever.
func TestTwoHubsTogether(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		one := w.desk
		w.restart(t)
		two := w.desk
		to := []Target{{"alpha", contract.DNS | contract.SMTP}, {"beta", contract.DNS}}
		ids := w.many(t, 60)
		_, err := one.FirstAll(ctx, ann, ids, why, nil)
		must(t, err)

		var g sync.WaitGroup
		failed := make(chan error, 100)
		run := func(f func() error) {
			g.Add(1)
			go func() {
				defer g.Done()
				err := f()
				if err != nil {
					failed <- err
				}
			}()
		}
		run(func() error { // recalls half of what it releases
			for i, id := range ids[:20] {
				_, err := one.Second(ctx, bob, Ref{ID: id}, why, to)
				if err == nil && i%2 == 0 {
					err = one.Recall(ctx, bob, Ref{ID: id}, why)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		run(func() error {
			for _, id := range ids[20:40] {
				_, err := two.Second(ctx, bob, Ref{ID: id}, why, to)
				if err != nil {
					return err
				}
			}
			return nil
		})
		run(func() error {
			_, err := two.SecondAll(ctx, bob, ids[40:], why, to, nil)
			return err
		})
		done := make(chan struct{})
		go func() { g.Wait(); close(done) }()
		nodes := []*node{w.node("alpha"), w.node("beta")}
		for turn := 0; ; turn++ {
			w.desk = []*Desk{one, two}[turn%2]
			for _, n := range nodes {
				n.load(t, 7)
				n.ack(t)
			}
			select {
			case <-done:
			case err := <-failed:
				t.Fatal(err)
			default:
				continue
			}
			break
		}
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
		for _, n := range nodes {
			n.load(t, 7)
			n.ack(t)
			if n.list.Len() != 50 || n.seq != 70 {
				t.Fatalf("%s: %d in force at entry %d, want 50 at 70", n.provider, n.list.Len(), n.seq)
			}
			b, err := w.desk.Reconcile(t.Context(), n.provider, time.Time{})
			must(t, err)
			if !b.Holds() || b.Pending != 0 || b.Overdue != 0 || b.Removing != 0 {
				t.Fatalf("%+v", b)
			}
		}
		n, err := indicator.Count(t.Context(), w.db, nil)
		must(t, err)
		if n[indicator.InForce] != 50 || n[indicator.Revoked] != 10 {
			t.Fatalf("states: %v", n)
		}
	})
}
