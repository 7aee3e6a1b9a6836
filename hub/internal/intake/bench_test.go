package intake_test

import (
	"fmt"
	"io"
	"testing"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb/sqldbtest"
)

// BenchmarkSubmit takes in 50,000 rows of CSV a time and says how many items a
// second that is.
func BenchmarkSubmit(b *testing.B) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.PostgreSQL} {
		b.Run(name, func(b *testing.B) {
			db, err := open(dsn(b))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			addSources(b, db)
			in := newIntake(b, db)
			const rows = 50_000
			for i := 0; b.Loop(); i++ {
				r, w := io.Pipe()
				go func() {
					_, _ = io.WriteString(w, "value,category,confidence,summary,reference\n")
					for n := range rows {
						_, _ = fmt.Fprintf(w, "host%d-%d.evil%d.example,c2,70,\"Command and control of family %d\",REF-%d\n", i, n, n%999, n%50, n)
					}
					_ = w.Close()
				}()
				rep, err := in.Submit(b.Context(), intake.Delivery{Source: "one", Name: "big.csv", Format: intake.CSV, Submitter: "gfi"}, r, nil)
				if err != nil || rep.Accepted != rows {
					b.Fatal(rep, err)
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "items/s")
		})
	}
}
