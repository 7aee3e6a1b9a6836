package search

import (
	"context"
	"database/sql"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
	"ecs/observable"
)

var (
	benchItems = flag.Int64("search.items", 20_000, "items to search among")
	benchFile  = flag.String("search.db", "", "SQLite database to make, or to go on with; a temporary one when empty")
)

// fill makes items: names of three labels, of which 200,000 different ones, three
// labels, a summary of some words, and a mention by one of two sources.
func fill(ctx context.Context, db *sqldb.DB, low, high int64) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		var items, mentions []any
		flush := func() error {
			err := insert(ctx, tx, "item ("+indicator.Columns+")", 34, items, "")
			if err == nil {
				err = insert(ctx, tx, "item_source (mention, number, batch, source, place, reference, reference_key, credibility, confidence, handling, observed, original, at)", 13, mentions, "")
			}
			items, mentions = items[:0], mentions[:0]
			return err
		}
		for n := low; n <= high; n++ {
			it := indicator.Item{
				Number: n, Version: 1, Kind: observable.Domain, Value: name(n), Atoms: 1, Handling: 1 + n%3, TLP: contract.TLP(n % 5), Category: contract.Category(n % 6),
				State: indicator.PendingFirst, Labels: fmt.Sprintf("family%d\ncampaign%d\ntag%d", n%12, n%4001, n%7), Summary: fmt.Sprintf("seen as c%d of kit k%d", n%311, n%89),
				Submitter: "gil", Display: true, Created: time.Unix(1_700_000_000, n*100_000_000).UTC(), Pivot: fmt.Sprintf("d%d.example", n%1_000_003), Services: contract.DNS,
			}
			binary.BigEndian.PutUint64(it.ID[8:], uint64(n)) //nolint:gosec // positive
			it.ID[6], it.ID[8] = 0x40, 0x80
			if n%4 == 0 {
				it.Kind, it.Value = observable.URL, fmt.Sprintf("http://%s/p%d", name(n), n%997)
			}
			switch n % 50 {
			case 0:
				it.State = indicator.InForce
			case 1:
				it.State, it.Ended = indicator.Rejected, it.Created
			}
			it.Pattern = observable.Pattern(observable.Atom{Kind: it.Kind, Value: it.Value})
			items = append(items, it.Values()...)
			mentions = append(mentions, n, n, 1+n/100_000, []string{"cedar", "dogwood"}[n%2], "", "", 0, 0, -1, it.Handling, 0, "{}", 1)
			if len(mentions) == 13*1000 || n == high {
				err := flush()
				if err != nil {
					return err
				}
			}
		}
		for _, text := range []string{
			`UPDATE counter SET value = $1 WHERE name IN ('item', 'mention')`,
			`DELETE FROM item_count WHERE n <> -$1`,
			`INSERT INTO handling (number, digest, text) SELECT 1, 'a', 'a' WHERE $1 > 0 UNION SELECT 2, 'b', 'b' UNION SELECT 3, 'c', 'c' ON CONFLICT DO NOTHING`,
			`INSERT INTO item_count VALUES ('IN_FORCE', 1, $1 / 50), ('REJECTED', 1, $1 / 50), ('PENDING_FIRST', 1, $1 - $1 / 25)`,
		} {
			_, err := tx.ExecContext(ctx, text, high)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func name(n int64) string { return fmt.Sprintf("h%x.w%d.d%d.example", n, n*7919%200_000, n%1_000_003) }

// processor gives what this process has used of processors: on a busy machine that
// says more than the clock.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFind prints how long searches take, and how long the index took to make:
//
//	go test -run xxx -bench Find -benchtime 1x ./hub/internal/search -search.items 10000000 -search.db /var/tmp/search.db
func BenchmarkFind(b *testing.B) {
	file := *benchFile
	if file == "" {
		file = filepath.Join(b.TempDir(), "hub.db")
	}
	db, err := open(file)
	must(b, err)
	defer func() { _ = db.Close() }()
	p, err := State(b.Context(), db)
	must(b, err)
	begun := time.Now()
	for low := p.Newest + 1; low <= *benchItems; low += 100_000 {
		must(b, fill(b.Context(), db, low, min(*benchItems, low+99_999)))
	}
	fmt.Fprintf(os.Stderr, "%d items made in %s\n", *benchItems-p.Newest, time.Since(begun).Round(time.Second))
	begun = time.Now()
	x := New(Config{DB: db, Yield: time.Microsecond})
	for {
		worked, err := x.Step(b.Context())
		must(b, err)
		if !worked {
			break
		}
	}
	fmt.Fprintf(os.Stderr, "indexed in %s\n", time.Since(begun).Round(time.Millisecond))
	x.release()
	r := rand.New(rand.NewPCG(1, 2))
	n := func() int64 { return 1 + r.Int64N(*benchItems) }
	for _, k := range []struct {
		name string
		text func() string
	}{
		{"value", func() string { return name(n()&^3 + 1) }},
		{"id", func() string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012x", n()) }},
		{"absent value", func() string { return fmt.Sprintf("absent%d.example", n()) }},
		{"rare word", func() string { return fmt.Sprintf("w%d", n()%200000) }},
		{"word and label", func() string { return fmt.Sprintf("c%d label:family%d", n()%311, n()%12) }},
		{"three filters", func() string {
			return fmt.Sprintf("kind:url category:c2 tlp:green source:cedar label:family%d", n()%12)
		}},
		{"state and campaign", func() string { return fmt.Sprintf("state:in_force label:campaign%d", n()%4001) }},
		{"beginning", func() string { return fmt.Sprintf("w%d* label:tag%d", n()%20000, n()%7) }},
		{"phrase", func() string { return fmt.Sprintf(`"seen as c%d"`, n()%311) }},
		{"nothing in common", func() string { return "label:family1 label:family2" }},
		{"without", func() string { return fmt.Sprintf("label:family1 -label:tag%d", n()%7) }},
		{"old", func() string { return fmt.Sprintf("until:2023-11-%02d label:family%d", 15+n()%10, n()%12) }},
		{"below a name", func() string { return fmt.Sprintf("under:d%d.example", n()%1000003) }},
	} {
		for _, reader := range []Reader{{Values: true}, {Values: true, Handlings: []int64{1, 3}}} {
			var took, busy []time.Duration
			var found, stopped int
			for range 200 {
				q, err := Parse(k.text())
				must(b, err)
				at, used := time.Now(), processor()
				res, err := Find(b.Context(), db, reader, q, Options{})
				must(b, err)
				took, busy = append(took, time.Since(at)), append(busy, processor()-used)
				found += len(res.Items)
				if res.Stopped {
					stopped++
				}
			}
			slices.Sort(took)
			slices.Sort(busy)
			round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
			fmt.Fprintf(os.Stderr, "%-20s cleared for some %-5t p50 %8s p99 %8s, processor p50 %8s p99 %8s, %5.1f found, %d of 200 stopped\n", k.name,
				reader.Handlings != nil, round(took[100]), round(took[197]), round(busy[100]), round(busy[197]), float64(found)/200, stopped)
		}
	}
	for b.Loop() {
		q, err := Parse("label:family1 c7")
		must(b, err)
		_, err = Find(b.Context(), db, Reader{}, q, Options{})
		must(b, err)
	}
}
