package search

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/observable"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv("ECS_TEST_INDEX"); dsn != "" { // the process that TestKilledInTheMiddle kills
		db, err := open(dsn)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = New(Config{DB: db, Poll: time.Millisecond, Yield: 2 * time.Millisecond, Gather: time.Millisecond, Many: 64}).Run(context.Background())
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// An indexer that is killed at any moment leaves an index that its successor brings
// to the same end, whatever arrives meanwhile.
func TestKilledInTheMiddle(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			at := dsn(t)
			db, err := open(at)
			must(t, err)
			defer func() { must(t, db.Close()) }()
			w := newWorld(t, db)
			for round := range 12 {
				for range 60 {
					n := len(w.docs)
					w.add(t, indicator.Item{Kind: observable.Domain, Value: fmt.Sprintf("n%d.example", n), Summary: fmt.Sprintf("kit k%d", n%7), Labels: fmt.Sprintf("family%d", n%5)})
				}
				w.mention(t, int64(1+round*40), mention{"dogwood", fmt.Sprintf("R-%d", round)})
				w.purge(t, int64(2+round*30))
				release(t, db) // the killed one's lease would last half a minute
				c := exec.CommandContext(t.Context(), os.Args[0])
				c.Env = append(os.Environ(), "ECS_TEST_INDEX="+at)
				must(t, c.Start())
				time.Sleep(time.Duration(30+round*17) * time.Millisecond)
				must(t, c.Process.Kill())
				_ = c.Wait() // it was killed
			}
			release(t, db)
			x := w.indexer(64)
			settle(t, x)
			for _, text := range []string{"k3", "label:family2", "n7*", "source:dogwood", "k1 -label:family1", `"R-4"`} {
				q, err := Parse(text)
				must(t, err)
				r := Reader{Values: true}
				if diff := cmp.Diff(w.naive(&r, q), pages(t, w, r, q, 100)); diff != "" {
					t.Errorf("%s: want -, got +\n%s", text, diff)
				}
			}
			var orphans int
			must(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM search_posting WHERE part NOT IN (SELECT part FROM search_part)`).Scan(&orphans))
			if orphans > 0 {
				t.Errorf("%d postings belong to no part", orphans)
			}
		})
	}
}

func release(t *testing.T, db *sqldb.DB) {
	t.Helper()
	var owner string
	must(t, db.QueryRowContext(t.Context(), `SELECT owner FROM search_state`).Scan(&owner))
	(&Index{cfg: New(Config{DB: db}).cfg, owner: owner}).release()
}

func TestOneIndexerAtATime(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	w := newWorld(t, db)
	a, b := w.indexer(1), w.indexer(1)
	settle(t, a)
	_, err := b.Step(t.Context())
	if !errors.Is(err, errLease) {
		t.Fatalf("the second indexer works beside the first: %v", err)
	}
	a.release()
	settle(t, b)
}

func TestRunEndsAndIndexes(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	w := newWorld(t, db)
	w.add(t, indicator.Item{Kind: observable.Domain, Value: "run.example"})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	x := w.indexer(1)
	go func() { done <- x.Run(ctx) }()
	for range 500 {
		p, err := State(t.Context(), db)
		must(t, err)
		if p.Lag() == 0 && p.Indexed == 1 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	must(t, <-done)
	p, err := State(t.Context(), db)
	must(t, err)
	if p.Indexed != 1 || p.Lag() != 0 {
		t.Errorf("indexed up to %d, %d behind", p.Indexed, p.Lag())
	}
}

// A full base becomes one part, and bitmaps are read as lists are.
func TestFullBase(t *testing.T) {
	if testing.Short() {
		t.Skip("65,536 items take seconds")
	}
	db := sqldbtest.Lite(t, open)
	for low := int64(1); low <= 70_000; low += 10_000 {
		must(t, fill(t.Context(), db, low, min(70_000, low+9_999)))
	}
	x := New(Config{DB: db, Yield: time.Nanosecond, Poll: time.Millisecond, Many: 20_000})
	settle(t, x)
	all, err := parts(t.Context(), db)
	must(t, err)
	if len(all) == 0 || all[len(all)-1].high != baseSize-1 {
		t.Errorf("parts %+v, want base 0 whole", all)
	}
	for text, want := range map[string]int{"label:family3": 5834, "tag1 tag2": 0, "source:cedar label:family4": 5834, "k:x": 0} {
		q, err := Parse(text)
		must(t, err)
		n, more, err := Count(t.Context(), db, Reader{}, q, 10_000)
		must(t, err)
		if n != want || more {
			t.Errorf("%s: %d, more %t; want %d", text, n, more, want)
		}
	}
}
