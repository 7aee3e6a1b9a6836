// Package store holds the hub's schema. The queries live with the packages that
// own the tables (indicator, release, program, feedback, audit ...): this
// package only opens the database and brings it up to date.
package store

import (
	"context"
	"embed"
	"io/fs"

	"ecs/internal/sqldb"
)

//go:embed migrations/*.sql
var files embed.FS

// Open opens the hub's database and migrates it. For dsn see [sqldb.Open].
func Open(ctx context.Context, dsn string) (*sqldb.DB, error) {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, err
	}
	return sqldb.Open(ctx, dsn, sub)
}
