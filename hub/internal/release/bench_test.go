package release

import (
	"database/sql"
	"runtime"
	"slices"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb/sqldbtest"
)

// BenchmarkDesk measures the desk with 100,000 indicators in force at one
// provider: bulk approval and release, the first load of a node with its
// receipt, and then single releases and recalls from the act to the page with
// its checkpoint. Run it with -benchtime=1x; every figure is a metric of its own.
func BenchmarkDesk(b *testing.B) {
	const n, singles = 100_000, 300
	for _, engine := range []struct {
		name string
		dsn  func(testing.TB) string
	}{{"sqlite", sqldbtest.SQLite}, {"postgres", sqldbtest.PostgreSQL}} {
		b.Run(engine.name, func(b *testing.B) {
			for range b.N {
				db, err := openStore(engine.dsn(b))
				must(b, err)
				w := newWorld(b, db)
				ids := w.many(b, n+singles)
				to := []Target{{"alpha", contract.DNS | contract.SMTP}}
				ctx := b.Context()

				timed(b, "first-s", func() {
					got, err := w.desk.FirstAll(ctx, ann, ids, why, nil)
					must(b, err)
					if got.Done != len(ids) {
						b.Fatalf("%+v", got)
					}
				})
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				peak := uint64(0)
				timed(b, "second-s", func() {
					got, err := w.desk.SecondAll(ctx, bob, ids[:n], why, to, func(done, _ int) {
						if done%10_000 == 0 {
							runtime.ReadMemStats(&after)
							peak = max(peak, after.HeapAlloc)
						}
					})
					must(b, err)
					if got.Done != n {
						b.Fatalf("%+v", got)
					}
				})
				b.ReportMetric(float64(peak-min(peak, before.HeapAlloc))/(1<<20), "second-heap-MiB")
				alpha := w.node("alpha")
				timed(b, "load-s", func() { alpha.load(b, 0) })
				timed(b, "ack-s", func() { alpha.ack(b) })
				timed(b, "settle-s", func() { must(b, w.desk.settle(ctx)) })
				w.restart(b)
				timed(b, "rebuild-s", func() { alpha.load(b, 0) })

				var release, recall []time.Duration
				for _, id := range ids[n:] {
					release = append(release, took(func() {
						_, err := w.desk.Second(ctx, bob, Ref{ID: id}, why, to)
						must(b, err)
						alpha.load(b, 0)
					}))
					alpha.ack(b)
				}
				for _, id := range ids[n:] {
					recall = append(recall, took(func() {
						must(b, w.desk.Recall(ctx, bob, Ref{ID: id}, why))
						alpha.load(b, 0)
					}))
					alpha.ack(b)
				}
				report(b, "release", release)
				report(b, "recall", recall)
				timed(b, "reconcile-s", func() {
					got, err := w.desk.Reconcile(ctx, "alpha", time.Time{})
					must(b, err)
					if !got.Holds() || got.InForce != 2*n || got.Removed != 2*singles {
						b.Fatalf("%+v", got)
					}
				})
				must(b, db.Close())
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// many stores items that wait for their first approval.
func (w *world) many(t testing.TB, n int) []contract.ID {
	t.Helper()
	ids := make([]contract.ID, 0, n)
	for len(ids) < n {
		must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
			for range min(1000, n-len(ids)) {
				ids = append(ids, w.put(t, tx, indicator.PendingFirst, "nsa", nil))
			}
			return nil
		}))
	}
	return ids
}

func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func timed(b *testing.B, name string, f func()) {
	b.Helper()
	b.ReportMetric(took(f).Seconds(), name)
}

func report(b *testing.B, name string, d []time.Duration) {
	b.Helper()
	slices.Sort(d)
	at := func(p int) float64 { return float64(d[len(d)*p/100].Microseconds()) / 1000 }
	b.ReportMetric(at(50), name+"-p50-ms")
	b.ReportMetric(at(99), name+"-p99-ms")
	b.ReportMetric(float64(d[len(d)-1].Microseconds())/1000, name+"-max-ms")
}
