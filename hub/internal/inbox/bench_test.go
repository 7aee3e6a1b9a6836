package inbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ecs/internal/sqldb/sqldbtest"
)

// BenchmarkPush posts 10,000 indicators of 490 bytes in one request over loopback to
// an inbox on SQLite: until the answer, and until every object has its status.
func BenchmarkPush(b *testing.B) {
	const n = 10_000
	var answered time.Duration
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b, sqldbtest.Lite(b, openStore))
		in := w.inbox(b)
		root := serve(b, in) + Root
		stop := run(b, in)
		objects := make([]json.RawMessage, n)
		for i := range objects {
			o := indicator(i, fmt.Sprintf("n%d.example", i))
			o = o[:len(o)-1]
			objects[i] = fmt.Appendf(nil, `%s,"description":"%s"}`, o, strings.Repeat("x", 490-len(o)-18))
		}
		b.StartTimer()
		start := time.Now()
		st, err := as("one-officer").Add(b.Context(), root, "deliveries", objects)
		answered += time.Since(start)
		if err == nil {
			st, err = as("one-officer").Await(b.Context(), root, st)
		}
		if err != nil || st.Success != n {
			b.Fatal(st.Success, st.Failure, err)
		}
		b.StopTimer()
		stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(answered.Milliseconds())/float64(b.N), "ms/answer")
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}
