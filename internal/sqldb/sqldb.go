// Package sqldb opens the two databases that the houses run on, SQLite (the
// default) and PostgreSQL, behind one dialect: every query is written once, in
// their common subset, with $1 placeholders, RETURNING and ON CONFLICT. Times
// are integers (microseconds since 1970, UTC), identifiers and digests text.
//
// It is not an abstraction of SQL: callers write SQL. It is the one place that
// knows how the two differ: how to open them, how to begin a writing
// transaction, what to retry, and how to migrate.
package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// DB is one open database. Reads go through [DB.Query] and its siblings and
// never wait for a writer; every write goes through [DB.Write].
type DB struct {
	read  *sql.DB
	write *sql.DB
	lite  bool
}

// Querier is what a read or a transaction offers. *sql.Tx and *DB satisfy it.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Open opens the database that dsn names and brings its schema up to the newest
// migration in migrations. A dsn is a file's path (SQLite) or begins with
// "postgres://" or "postgresql://".
func Open(ctx context.Context, dsn string, migrations fs.FS) (*DB, error) {
	db, err := open(dsn)
	if err != nil {
		return nil, fmt.Errorf("sqldb: open: %w", err)
	}
	err = migrate(ctx, db, migrations)
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("sqldb: migrate: %w", err)
	}
	return db, nil
}

func migrate(ctx context.Context, db *DB, migrations fs.FS) error {
	dialect, options := goose.DialectSQLite3, []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if db.lite {
		migrations = liteFS{migrations}
	} else {
		// Several hubs may start at once: one migrates, the others wait a minute.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
		if err != nil {
			return err
		}
		dialect, options = goose.DialectPostgres, append(options, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, db.write, migrations, options...)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

func open(dsn string) (*DB, error) {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		pool, err := sql.Open("pgx", dsn)
		if err != nil {
			return nil, err
		}
		pool.SetMaxOpenConns(16)
		return &DB{read: pool, write: pool}, nil
	}
	// Unknown parameters are ignored by the driver in silence: keep to these.
	uri := "file:" + (&url.URL{Path: dsn}).EscapedPath() +
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"
	// The writer keeps the pages of its indexes (the driver's allocator takes twice
	// the memory that is stated here, 112 MB), and moves the log into the database
	// every 200 MB: the same pages are written by one portion of an import after the
	// other. What a statement may have to take back is kept in memory. Readers share
	// what the operating system keeps.
	write, err := openLite(uri + "&_pragma=cache_size(-114688)&_pragma=wal_autocheckpoint(50000)&_pragma=temp_store(2)")
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	read, err := openLite(uri + "&_pragma=cache_size(-16384)&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(8)
	return &DB{read: read, write: write, lite: true}, nil
}

// Close closes the database.
func (db *DB) Close() error {
	if db.read == db.write {
		return db.write.Close()
	}
	return errors.Join(db.read.Close(), db.write.Close())
}

// QueryContext implements [Querier] outside of any transaction.
func (db *DB) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return db.read.QueryContext(ctx, query, args...)
}

// QueryRowContext implements [Querier] outside of any transaction.
func (db *DB) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return db.read.QueryRowContext(ctx, query, args...)
}

// Read runs f on one snapshot of the database.
func (db *DB) Read(ctx context.Context, f func(*sql.Tx) error) error {
	opts := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	if db.lite {
		// _txlock=immediate would take the write lock; the read pool is query-only,
		// where SQLite's own snapshot isolation is what we want.
		opts = &sql.TxOptions{ReadOnly: true}
	}
	tx, err := db.read.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return f(tx)
}

// patience bounds for how long a transaction is tried again.
const patience = 15 * time.Second

// Write runs f in a serializable transaction and commits. f may run several
// times, when PostgreSQL asks for a retry or goes away before the commit, as it
// does when it is restarted: it must not touch anything outside the transaction
// that it cannot repeat. A commit whose answer is lost is not tried again: it may
// have happened.
func (db *DB) Write(ctx context.Context, f func(*sql.Tx) error) error {
	start := time.Now()
	for try := 1; ; try++ {
		err := db.once(ctx, f)
		if err == nil || !db.retryable(err) || time.Since(start) > patience {
			return err
		}
		// A random pause of up to 4, 8, 16 ... 128 ms, and later of 512: writers that
		// met once should not meet again, nor hurry a server that is starting.
		pause := rand.N(2 * time.Millisecond << min(try, 8))
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

func (db *DB) once(ctx context.Context, f func(*sql.Tx) error) error {
	opts := &sql.TxOptions{Isolation: sql.LevelSerializable}
	if db.lite {
		opts = nil
	}
	tx, err := db.write.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	err = f(tx)
	if err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	err = tx.Commit()
	if !db.lite && away(err) {
		return &uncertain{err}
	}
	return err
}

// uncertain is the error of a commit that may have happened.
type uncertain struct{ error }

// Unwrap gives the cause.
func (u *uncertain) Unwrap() error { return u.error }

// ignoreDone leaves away what a rollback says when the database has rolled back by
// itself, as SQLite does when the disk is full.
func ignoreDone(err error) error {
	var lite *sqlite.Error
	if errors.Is(err, sql.ErrTxDone) || errors.Is(err, driver.ErrBadConn) || errors.As(err, &lite) && lite.Code() == sqlite3.SQLITE_ERROR {
		return nil
	}
	return err
}

// away reports whether the connection to PostgreSQL was lost, or refused by a
// server that stops or starts.
func away(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "57P0") || strings.HasPrefix(pg.Code, "08")
	}
	return errors.As(err, new(*pgconn.ConnectError)) || errors.As(err, new(*net.OpError)) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// IsFull reports whether err says that the database has no room left on its disk.
func IsFull(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "53100"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_FULL
}

func (db *DB) retryable(err error) bool {
	var pg *pgconn.PgError
	if !db.lite && away(err) {
		return !errors.As(err, new(*uncertain))
	}
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_BUSY
}

// IsUnique reports whether err says that a row with the same key exists.
func IsUnique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) &&
		(lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// Time gives t as it is stored: microseconds since 1970, zero for the zero time.
func Time(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// FromTime reads a stored time.
func FromTime(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}
