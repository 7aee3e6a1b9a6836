package intake_test

import (
	"bufio"
	"fmt"
	"io"
	"testing"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb/sqldbtest"
)

// BenchmarkSubmit takes in 50,000 indicators a time, as CSV and as STIX, and says
// how many items a second that is. bench/desk measures a million.
func BenchmarkSubmit(b *testing.B) {
	const rows = 50_000
	formats := map[string]func(w io.Writer, run int){
		intake.CSV: func(w io.Writer, run int) {
			_, _ = io.WriteString(w, "value,category,confidence,summary,reference\n")
			for n := range rows {
				_, _ = fmt.Fprintf(w, "host%d-%d.evil%d.example,c2,70,\"Command and control of family %d\",REF-%d\n", run, n, n%999, n%50, n)
			}
		},
		intake.STIX: func(w io.Writer, run int) {
			_, _ = io.WriteString(w, stixHead)
			for n := range rows {
				if n > 0 {
					_, _ = io.WriteString(w, ",\n")
				}
				_, _ = fmt.Fprintf(w, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-0000-4000-8000-%012x","created":"2026-11-01T00:00:00.000Z","modified":"2026-11-01T00:00:00.000Z","name":"Command and control of family %d","indicator_types":["malicious-activity"],"pattern":"[domain-name:value = 'host%d-%d.evil%d.example']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z","confidence":70,"labels":["family-%d"],"object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]}`,
					run, n, n%50, run, n, n%999, n%50)
			}
			_, _ = io.WriteString(w, "]}")
		},
	}
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.PostgreSQL} {
		for format, write := range formats {
			b.Run(name+"/"+format, func(b *testing.B) {
				db, err := open(dsn(b))
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = db.Close() }()
				addSources(b, db)
				in := newIntake(b, db)
				for i := 0; b.Loop(); i++ {
					r, w := io.Pipe()
					go func() {
						buf := bufio.NewWriterSize(w, 1<<20)
						write(buf, i)
						_ = buf.Flush()
						_ = w.Close()
					}()
					rep, err := in.Submit(b.Context(), intake.Delivery{Source: "one", Name: "big", Format: format, Submitter: "gfi"}, r, nil)
					if err != nil || rep.Accepted != rows {
						b.Fatal(rep, err)
					}
				}
				b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "items/s")
			})
		}
	}
}
