package release

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
)

// Two persons approve what both have on their screens: exactly one of them does, the
// other is told plainly that somebody was there before, and one decision stands.
func TestRacingApprovers(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		to := []Target{{"alpha", contract.DNS}}
		mia := signin.Account{Login: "mia", Person: "Mia", Roles: []string{"release_authority"}}
		for turn := range 20 {
			id := w.item(t, indicator.PendingFirst, nil)
			it, err := indicator.Get(t.Context(), w.db, id)
			must(t, err)
			kind := indicator.KindFirst
			acts := []func(ctx context.Context) error{
				func(ctx context.Context) error { return w.desk.First(ctx, ann, Ref{id, it.Version}, why) },
				func(ctx context.Context) error { return w.desk.First(ctx, dave, Ref{id, it.Version}, why) },
			}
			if turn%2 == 1 {
				must(t, w.desk.First(t.Context(), ann, Ref{ID: id}, why))
				it, err = indicator.Get(t.Context(), w.db, id)
				must(t, err)
				kind = indicator.KindSecond
				second := func(a signin.Account) func(ctx context.Context) error {
					return func(ctx context.Context) error {
						_, err := w.desk.Second(ctx, a, Ref{id, it.Version}, why, to)
						return err
					}
				}
				acts = []func(ctx context.Context) error{second(bob), second(mia)}
			}
			errs := make([]error, len(acts))
			var g sync.WaitGroup
			begin := make(chan struct{})
			for i, act := range acts {
				g.Go(func() { <-begin; errs[i] = act(t.Context()) })
			}
			close(begin)
			g.Wait()
			won := 0
			for _, err := range errs {
				switch {
				case err == nil:
					won++
				case !errors.Is(err, ErrVersion) && !errors.Is(err, ErrState) && !errors.Is(err, indicator.ErrVersion):
					t.Errorf("turn %d: no clear conflict: %v", turn, err)
				}
			}
			ds, err := indicator.Decisions(t.Context(), w.db, id)
			must(t, err)
			n := 0
			for _, d := range ds {
				if d.Kind == kind {
					n++
				}
			}
			if won != 1 || n != 1 {
				t.Fatalf("turn %d: %d won, %d decisions stand, errors %v", turn, won, n, errs)
			}
		}
	})
}

// A recall does not wait for a bulk release to end: it gets its turn between two
// portions, and its removal is in the log before the bulk's last portions.
func TestRecallOutranksBulk(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		to := []Target{{"alpha", contract.DNS}}
		ids := w.many(t, 6*portion)
		_, err := w.desk.FirstAll(t.Context(), ann, ids, why, nil)
		must(t, err)
		id := w.released(t, to...)
		recalled := make(chan error, 1)
		var once sync.Once
		b, err := w.desk.SecondAll(t.Context(), bob, ids, why, to, func(done, _ int) {
			once.Do(func() {
				go func() { recalled <- w.desk.Recall(t.Context(), bob, Ref{ID: id}, why) }()
				time.Sleep(50 * time.Millisecond) // the recall is waiting for the writer now
			})
		})
		must(t, err)
		select {
		case err = <-recalled:
			must(t, err)
		case <-time.After(10 * time.Second):
			t.Fatal("the recall still waits though the bulk release is over")
		}
		if b.Done != len(ids) {
			t.Fatalf("%+v", b)
		}
		var at, last int64
		must(t, w.db.QueryRowContext(t.Context(), `SELECT remove_seq, (SELECT max(seq) FROM entry WHERE provider = 'alpha') FROM delivery WHERE item = $1`, id.String()).Scan(&at, &last))
		if at == 0 || at > last-portion {
			t.Fatalf("removed at entry %d of %d: it came after the bulk", at, last)
		}
	})
}
