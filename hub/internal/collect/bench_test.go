package collect

import (
	"fmt"
	"testing"

	"ecs/internal/sqldb/sqldbtest"
)

// BenchmarkPoll reads 20,000 indicators in pages of 1,000 over loopback into a real
// intake on SQLite: how fast a collection comes in, checks and all.
func BenchmarkPoll(b *testing.B) {
	const objects = 20_000
	l := &library{}
	for n := range objects {
		l.add(n)
	}
	f := serveLibrary(b, l, 1000, nil)
	for b.Loop() {
		b.StopTimer()
		db := sqldbtest.Lite(b, openStore)
		c := newCollector(b, db, realIntake(b, db), f)
		b.StartTimer()
		got, err := c.Poll(b.Context(), "one", "main")
		if err != nil || got.Accepted != objects {
			b.Fatal(fmt.Sprintf("%+v", got), err)
		}
	}
	b.ReportMetric(objects*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}
