// Package storetest gives tests of the provider house a database, on both
// engines.
package storetest

import (
	"context"
	"testing"

	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/provider/internal/store"
)

// Each runs a test on a fresh database of each engine.
func Each(t *testing.T, f func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	sqldbtest.Each(t, func(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }, f)
}
