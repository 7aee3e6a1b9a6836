package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

var schema = fstest.MapFS{"00001_first.sql": {Data: []byte(`-- +goose Up
CREATE TABLE thing (name text PRIMARY KEY, value bigint NOT NULL, flag boolean NOT NULL DEFAULT false);
INSERT INTO thing (name, value) VALUES ('zero', 0);
-- +goose Down
`)}}

func open(dsn string) (*sqldb.DB, error) {
	return sqldb.Open(context.Background(), dsn, schema)
}

// A driver that binds $2 as the second argument that appears would make every
// shared query silently wrong.
func TestPlaceholdersBindByNumber(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		var a, b string
		err := db.QueryRowContext(t.Context(), "select cast($2 as text), cast($1 as text)", "one", "two").Scan(&a, &b)
		if err != nil {
			t.Fatal(err)
		}
		if a != "two" || b != "one" {
			t.Fatalf("select $2, $1 gave %q, %q", a, b)
		}
	})
}

func TestMigrationsRunOnce(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			at := dsn(t)
			for range 2 {
				db, err := open(at)
				if err != nil {
					t.Fatal(err)
				}
				var n int
				err = db.QueryRowContext(t.Context(), "SELECT count(*) FROM thing").Scan(&n)
				if err != nil || n != 1 {
					t.Fatalf("%d rows, %v", n, err)
				}
				err = db.Close()
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Read-modify-write from many sides at once loses no step.
func TestWriteRetries(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		const writers, each = 8, 12
		var wg sync.WaitGroup
		errs := make(chan error, writers*each)
		for range writers {
			wg.Go(func() {
				for range each {
					errs <- db.Write(t.Context(), func(tx *sql.Tx) error {
						var v int64
						err := tx.QueryRowContext(t.Context(), "SELECT value FROM thing WHERE name = 'zero'").Scan(&v)
						if err != nil {
							return err
						}
						_, err = tx.ExecContext(t.Context(), "UPDATE thing SET value = $1 WHERE name = 'zero'", v+1)
						return err
					})
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		var v int64
		err := db.QueryRowContext(t.Context(), "SELECT value FROM thing WHERE name = 'zero'").Scan(&v)
		if err != nil || v != writers*each {
			t.Fatalf("counted to %d, %v", v, err)
		}
	})
}

func TestWriteRollsBack(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		no := errors.New("no")
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), "INSERT INTO thing (name, value) VALUES ('a', 1)")
			if err != nil {
				return err
			}
			return no
		})
		if !errors.Is(err, no) {
			t.Fatalf("got %v", err)
		}
		var n int
		err = db.QueryRowContext(t.Context(), "SELECT count(*) FROM thing").Scan(&n)
		if err != nil || n != 1 {
			t.Fatalf("%d rows, %v", n, err)
		}
	})
}

func TestIsUnique(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		insert := func(value any) error {
			return db.Write(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), "INSERT INTO thing (name, value) VALUES ('zero', $1)", value)
				return err
			})
		}
		err := insert(5)
		if !sqldb.IsUnique(fmt.Errorf("wrapped: %w", err)) {
			t.Fatalf("a second row of one key gave %v", err)
		}
		err = insert(nil)
		if err == nil || sqldb.IsUnique(err) || sqldb.IsUnique(nil) {
			t.Fatalf("a missing value counts as a double key: %v", err)
		}
	})
}

// A reader neither waits for a writer nor sees half of its work.
func TestReadIsOneSnapshot(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		count := func(q sqldb.Querier) (n int) {
			err := q.QueryRowContext(t.Context(), "SELECT count(*) FROM thing").Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		err := db.Write(t.Context(), func(w *sql.Tx) error {
			_, err := w.ExecContext(t.Context(), "INSERT INTO thing (name, value) VALUES ('a', 1)")
			if err != nil {
				return err
			}
			return db.Read(t.Context(), func(r *sql.Tx) error {
				if n := count(r); n != 1 {
					return fmt.Errorf("a reader sees %d rows of an open transaction", n)
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(t.Context(), func(r *sql.Tx) error {
			before := count(r)
			err := db.Write(t.Context(), func(w *sql.Tx) error {
				_, err := w.ExecContext(t.Context(), "INSERT INTO thing (name, value) VALUES ('b', 1)")
				return err
			})
			if err != nil {
				return err
			}
			if after := count(r); after != before {
				return fmt.Errorf("a snapshot changed from %d to %d rows", before, after)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestReadRefusesToWrite(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		err := db.Read(t.Context(), func(r *sql.Tx) error {
			_, err := r.ExecContext(t.Context(), "INSERT INTO thing (name, value) VALUES ('a', 1)")
			return err
		})
		if err == nil {
			t.Fatal("a reading transaction wrote")
		}
	})
}

func TestTimes(t *testing.T) {
	moment := time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.FixedZone("x", 3600))
	got := sqldb.FromTime(sqldb.Time(moment))
	if !got.Equal(moment) || got.Location() != time.UTC {
		t.Fatalf("got %v", got)
	}
	if sqldb.Time(time.Time{}) != 0 || !sqldb.FromTime(0).IsZero() {
		t.Fatal("zero is not never")
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	_, err := open(filepath.Join(t.TempDir(), "missing", "x.db"))
	if err == nil {
		t.Fatal("a database in a missing directory opened")
	}
	bad := fstest.MapFS{"00001_bad.sql": {Data: []byte("-- +goose Up\nCREATE TABEL x;\n")}}
	_, err = sqldb.Open(t.Context(), sqldbtest.SQLite(t), bad)
	if err == nil || !strings.Contains(err.Error(), "migrate") {
		t.Fatalf("got %v", err)
	}
	goleak.VerifyNone(t)
}

// With the disk full (here: a limit on the size of files, in a process of its
// own) a write fails with an error, and what was committed before is intact.
func TestFullDisk(t *testing.T) {
	const in = "ECS_TEST_FULL_DISK"
	if path := os.Getenv(in); path != "" {
		fillDisk(path)
		return
	}
	path := sqldbtest.SQLite(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
	cmd.Env = append(os.Environ(), in+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var committed int
	_, err = fmt.Sscanf(string(out), "committed %d, then:", &committed)
	if err != nil || committed == 0 {
		t.Fatalf("the process said %q", out)
	}
	db, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var n int
	err = db.QueryRowContext(t.Context(), "SELECT count(*) FROM thing").Scan(&n)
	if err != nil || n != committed+1 {
		t.Fatalf("%d rows after %d commits, %v", n, committed, err)
	}
	var check string
	err = db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&check)
	if err != nil || check != "ok" {
		t.Fatalf("integrity check: %q, %v", check, err)
	}
	err = db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "INSERT INTO thing (name, value) VALUES ('after', 1)")
		return err
	})
	if err != nil {
		t.Fatalf("with room again: %v", err)
	}
}

func fillDisk(path string) {
	db, err := open(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	// The kernel answers EFBIG where a full disk answers ENOSPC.
	most := uint64(1 << 20)
	err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	big := strings.Repeat("x", 10_000)
	for i := 0; ; i++ {
		err = db.Write(context.Background(), func(tx *sql.Tx) error {
			_, err := tx.Exec("INSERT INTO thing (name, value) VALUES ($1, 1)", fmt.Sprint(i, big))
			return err
		})
		if err != nil {
			fmt.Printf("committed %d, then: %v\n", i, err)
			os.Exit(0)
		}
		if i > 100_000 {
			fmt.Println("the limit was never met")
			os.Exit(1)
		}
	}
}

// Several hubs may start on one new database at the same time.
func TestMigrateTogether(t *testing.T) {
	dsn := sqldbtest.PostgreSQL(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := open(dsn)
			if err != nil {
				t.Error(err)
				return
			}
			_ = db.Close()
		})
	}
	wg.Wait()
}
