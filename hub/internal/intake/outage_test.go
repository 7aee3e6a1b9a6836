package intake_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

// outage delivers a file by a request's body and breaks the database after the
// second portion. The delivery ends with an error that is not its own fault,
// keeps what was committed, and goes on, once mended, without anything twice.
func outage(t *testing.T, db *sqldb.DB, away, mend func()) {
	t.Helper()
	addSources(t, db)
	const n = 3000
	file := csvOf(n)
	spool := filepath.Join(t.TempDir(), "spool")
	small := func(c *intake.Config) { c.Portion, c.Spool = 100, spool }
	d := intake.Delivery{Source: "one", Name: "x.csv", Format: intake.CSV, Submitter: "gfi"}
	portions := 0
	_, err := newIntake(t, db, small).Submit(t.Context(), d, onlyReader{strings.NewReader(file)}, func(intake.Progress) {
		portions++
		if portions == 2 {
			away()
		}
	})
	if err == nil || errors.As(err, new(*intake.Refused)) {
		t.Fatalf("the database went away and the delivery says %v", err)
	}
	t.Logf("said: %v", err)
	waiting, err := os.ReadDir(spool)
	if err != nil || len(waiting) != 1 {
		t.Fatalf("the spool holds %v, %v; want the delivery", waiting, err)
	}

	in := filepath.Join(t.TempDir(), "in")
	watched := filepath.Join(in, "two", "y.csv")
	err = os.MkdirAll(filepath.Dir(watched), 0o750)
	if err == nil {
		err = os.WriteFile(watched, []byte(csvOf(n/2)+"#\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	watch := func(until func() bool, limit time.Duration) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- newIntake(t, db, small).Watch(ctx, in) }()
		for ctx.Err() == nil && !until() {
			time.Sleep(50 * time.Millisecond)
		}
		cancel()
		err := <-done
		if err != nil {
			t.Error(err)
		}
	}
	watch(func() bool { return false }, 4*time.Second)
	_, err = os.Stat(watched)
	if err != nil {
		t.Errorf("the watched file was moved although it could not be taken: %v", err)
	}

	mend()
	next := newIntake(t, db, small)
	err = next.Resume(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rep, err := next.Submit(t.Context(), d, onlyReader{strings.NewReader(file)}, nil)
	if err != nil || !rep.Same || rep.Position != n+n/10 || rep.Accepted != n || rep.Refused != n/10 || rep.Error != "" {
		t.Errorf("resumed: %+v, %v", rep.Batch, err)
	}
	taken := filepath.Join(in, "two", "done", "y.csv")
	watch(func() bool { _, err := os.Stat(taken); return err == nil }, time.Minute)
	for query, want := range map[string]int{
		`SELECT count(*) FROM item`:                                 n,
		`SELECT count(*) FROM item_source`:                          n + n/2,
		`SELECT count(*) FROM refusal`:                              n/10 + n/20,
		`SELECT count(*) FROM batch WHERE finished > 0`:             2,
		`SELECT count(*) FROM audit WHERE action = 'intake.finish'`: 2,
	} {
		var got int
		err = db.QueryRowContext(t.Context(), query).Scan(&got)
		if err != nil || got != want {
			t.Errorf("%s: %d, want %d (%v)", query, got, want, err)
		}
	}
}

// A full disk, as SQLite tells it: no page more.
func TestDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("the watched folder takes some seconds; left out by -short")
	}
	db := sqldbtest.Lite(t, open)
	limit := func(pages string) func() {
		return func() {
			err := db.Write(t.Context(), func(tx *sql.Tx) error {
				var n int
				return tx.QueryRowContext(t.Context(), `PRAGMA max_page_count = `+pages).Scan(&n)
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	outage(t, db, limit("1"), limit("1000000000")) // below what is used: no page may be added
}

// PostgreSQL goes away: its connections are cut and no new one is let in.
func TestDatabaseAway(t *testing.T) {
	if testing.Short() {
		t.Skip("the watched folder takes some seconds; left out by -short")
	}
	dsn := sqldbtest.PostgreSQL(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	admin, err := sql.Open("pgx", u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	do := func(statement string) {
		_, err := admin.ExecContext(t.Context(), statement)
		if err != nil {
			t.Error(err)
		}
	}
	db, err := open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	outage(t, db, func() {
		do(fmt.Sprintf(`ALTER DATABASE "%s" ALLOW_CONNECTIONS false`, name))
		do(fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'`, name))
	}, func() {
		do(fmt.Sprintf(`ALTER DATABASE "%s" ALLOW_CONNECTIONS true`, name))
	})
}

// A spool without room: the sender is told, nothing of the delivery is left, and
// it is taken when there is room.
func TestSpoolFull(t *testing.T) {
	spool := t.TempDir()
	err := syscall.Mount("tmpfs", spool, "tmpfs", 0, "size=64k")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("a small file system cannot be mounted: %v", err)
	}
	if err != nil {
		t.Skip("a small file system cannot be mounted here (it takes root): " + err.Error())
	}
	defer func() {
		err := syscall.Unmount(spool, 0)
		if err != nil {
			t.Error(err)
		}
	}()
	db := sqldbtest.Lite(t, open)
	addSources(t, db)
	in := newIntake(t, db, func(c *intake.Config) { c.Spool = spool })
	d := intake.Delivery{Source: "one", Name: "x.csv", Format: intake.CSV, Submitter: "gfi"}
	_, err = in.Submit(t.Context(), d, onlyReader{strings.NewReader(csvOf(10_000))}, nil)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("no room for the delivery: %v", err)
	}
	left, err := os.ReadDir(spool)
	if err != nil || len(left) != 0 || len(items(t, db)) != 0 {
		t.Errorf("left behind: %v, %d items, %v", left, len(items(t, db)), err)
	}
	rep, err := in.Submit(t.Context(), d, onlyReader{strings.NewReader(csvOf(100))}, nil)
	if err != nil || rep.Accepted != 100 {
		t.Errorf("%+v, %v", rep, err)
	}
}
