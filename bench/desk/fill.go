package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// benchKey is indicator.PatternKey for SQLite's SQL. A search by value that finds
// nothing would tell that it is not the same any more.
const benchKey = "bench_key"

func init() {
	sqlite.MustRegisterDeterministicScalarFunction(benchKey, 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		s, _ := args[0].(string)
		sum := sha256.Sum256([]byte(s))
		return base64.RawURLEncoding.EncodeToString(sum[:16]), nil
	})
}

// fill brings the number of stored indicators to a size, by copying those that were
// taken in with other values, identifiers and states, in the database itself: going
// through intake would take hours on two cores, and the tables would be the same.
func fill(ctx context.Context, database, dsn string, want int) error {
	db, err := raw(database, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	began := time.Now()
	var have, last, mention int64
	err = db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM item), (SELECT max(number) FROM item), (SELECT max(mention) FROM item_source)`).Scan(&have, &last, &mention)
	if err != nil || have >= int64(want) {
		return err
	}
	f := filler{ctx: ctx, db: db, key: benchKey + "(%s)"}
	before := []string{`PRAGMA foreign_keys = 0`, `PRAGMA synchronous = 0`, `PRAGMA journal_mode = OFF`, `PRAGMA cache_size = -1500000`, `PRAGMA temp_store = MEMORY`}
	if database != "sqlite" {
		f.key = `rtrim(translate(encode(substring(sha256(convert_to(%s, 'UTF8')) FROM 1 FOR 16), 'base64'), '+/', '-_'), '=')`
		before = []string{`SET session_replication_role = replica`, `SET maintenance_work_mem = '1GB'`, `SET synchronous_commit = off`}
	}
	err = f.do(before...)
	if err != nil {
		return err
	}
	again, err := f.dropIndexes(database)
	if err != nil {
		return err
	}
	k := 0
	for ; have < int64(want); k++ {
		part := min(last, int64(want)-have) // the first numbers of the originals
		n, err := f.copy(k+1, part, last*int64(k+1), mention*int64(k+1))
		if err != nil {
			return err
		}
		have += n
		if n == 0 {
			return errors.New("nothing more was copied")
		}
	}
	err = f.do(again...)
	if err == nil {
		err = f.do(
			`UPDATE counter SET value = (SELECT max(number) FROM item) WHERE name = 'item'`,
			`UPDATE counter SET value = (SELECT max(mention) FROM item_source) WHERE name = 'mention'`,
			`DELETE FROM item_count`,
			`INSERT INTO item_count (state, handling, n) SELECT state, handling, count(*) FROM item GROUP BY state, handling`,
		)
	}
	if err == nil { // PostgreSQL would analyze by itself, a little later; the hub never does on SQLite
		err = f.do(map[bool]string{true: `PRAGMA journal_mode = WAL`, false: `ANALYZE`}[database == "sqlite"])
	}
	line(fmt.Sprintf("%d stored, %d times copied in the tables themselves", have, k), number(time.Since(began).Seconds())+" s", "")
	return err
}

type filler struct {
	ctx context.Context
	db  *sql.DB
	key string
}

func (f *filler) do(statements ...string) error {
	for _, s := range statements {
		_, err := f.db.ExecContext(f.ctx, s)
		if err != nil {
			return fmt.Errorf("%w: %s", err, s)
		}
	}
	return nil
}

// dropIndexes drops the indexes of the big tables that are no constraints, and
// gives the statements that make them again.
func (f *filler) dropIndexes(database string) (again []string, err error) {
	query := `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('item', 'item_source')`
	if database != "sqlite" {
		query = `SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('item', 'item_source') AND indexname NOT IN (SELECT conname FROM pg_constraint)`
	}
	rows, err := f.db.QueryContext(f.ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var drop []string
	for rows.Next() {
		var name, text string
		err = rows.Scan(&name, &text)
		if err != nil {
			return nil, err
		}
		drop, again = append(drop, `DROP INDEX `+name), append(again, text)
	}
	err = errors.Join(rows.Err(), rows.Close())
	if err == nil {
		err = f.do(drop...)
	}
	return again, err
}

// columns lists the columns of a table.
func (f *filler) columns(table string) ([]string, error) {
	rows, err := f.db.QueryContext(f.ctx, `SELECT * FROM `+table+` LIMIT 0`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	return names, errors.Join(err, rows.Err())
}

// copy copies the items up to a number, and what was said of them, as the k-th set.
// Of ten sets, six wait for their first approval, three are in force, and one has
// ended.
func (f *filler) copy(k int, upTo, number, mention int64) (int64, error) {
	// Another value of the same kind: another registrable domain, prefix or digest.
	value := func(column string) string {
		other := fmt.Sprintf(`replace(replace(%s, '.evil', '.evil%dx'), '2001:db8:1:', '2001:db8:%x:')`, column, k, k+1)
		return fmt.Sprintf(`CASE WHEN kind = 'sha256' THEN replace(%s, substr(value, 1, 12), '%012x') ELSE %s END`, column, k, other)
	}
	state := []string{"", "PENDING_FIRST", "IN_FORCE", "PENDING_FIRST", "EXPIRED", "PENDING_FIRST", "IN_FORCE", "PENDING_FIRST", "IN_FORCE", "PENDING_FIRST"}[k%10]
	id := fmt.Sprintf(`'indicator--%04x' || substr(id, 16)`, k)
	changed := map[string]string{
		"number": fmt.Sprintf("number + %d", number), "id": id, "pattern": value("pattern"), "value": value("value"),
		"pivot": value("pivot"), "pattern_key": fmt.Sprintf(f.key, value("pattern")),
	}
	switch state {
	case "EXPIRED":
		changed["state"], changed["ended"], changed["released"], changed["pattern_key"] = "'EXPIRED'", "created + 2", "created + 1", id
	case "IN_FORCE":
		changed["state"], changed["released"] = "'IN_FORCE'", "created + 1"
	}
	n, err := f.insert("item", "number", upTo, changed)
	if err != nil {
		return 0, err
	}
	_, err = f.insert("item_source", "number", upTo, map[string]string{
		"mention": fmt.Sprintf("mention + %d", mention), "number": fmt.Sprintf("number + %d", number),
		"reference":     fmt.Sprintf("substr(reference, 1, 11) || '%04x' || substr(reference, 16)", k),
		"reference_key": fmt.Sprintf("reference_key / 2 + %d", k*2+1),
	})
	if err == nil {
		_, err = f.insert("finding", "number", upTo, map[string]string{"number": fmt.Sprintf("number + %d", number)})
	}
	return n, err
}

func (f *filler) insert(table, key string, upTo int64, changed map[string]string) (int64, error) {
	columns, err := f.columns(table)
	if err != nil {
		return 0, err
	}
	values := slices.Clone(columns)
	for i, c := range columns {
		if changed[c] != "" {
			values[i] = changed[c]
		}
	}
	res, err := f.db.ExecContext(f.ctx, fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM %s WHERE %s <= %d`,
		table, strings.Join(columns, ", "), strings.Join(values, ", "), table, key, upTo))
	if err != nil {
		return 0, fmt.Errorf("copy %s: %w", table, err)
	}
	return res.RowsAffected()
}
