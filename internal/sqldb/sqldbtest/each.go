// Package sqldbtest runs a store's tests on both engines: SQLite in a temporary
// directory, and a real PostgreSQL server that the test binary starts for
// itself from Debian's package. It is for tests only.
//
// A test on PostgreSQL is skipped, with the reason printed, where there is no
// server to start; with CI=true it fails instead.
package sqldbtest

import (
	"path/filepath"
	"testing"

	"ecs/internal/sqldb"
)

// Opener opens the database that dsn names, with the schema of its house.
type Opener func(dsn string) (*sqldb.DB, error)

// Each runs the test twice, as the subtests "sqlite" and "postgres", each time
// on a new database of its own that is closed at the end.
func Each(t *testing.T, open func(dsn string) (*sqldb.DB, error), run func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { run(t, opened(t, open, SQLite(t))) })
	t.Run("postgres", func(t *testing.T) { run(t, opened(t, open, PostgreSQL(t))) })
}

// Lite opens a new SQLite database for tests whose subject is not the store.
func Lite(t testing.TB, open func(dsn string) (*sqldb.DB, error)) *sqldb.DB {
	t.Helper()
	return opened(t, open, SQLite(t))
}

// SQLite gives the dsn of a database that does not exist yet, in a directory
// that goes with the test.
func SQLite(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "test.db")
}

func opened(t testing.TB, open Opener, dsn string) *sqldb.DB {
	t.Helper()
	db, err := open(dsn)
	if err != nil {
		t.Fatalf("open the test's database: %v", err)
	}
	t.Cleanup(func() {
		err := db.Close()
		if err != nil {
			t.Errorf("close the test's database: %v", err)
		}
	})
	return db
}
