package sqldb_test

import (
	"context"
	"testing"
	"testing/fstest"

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
