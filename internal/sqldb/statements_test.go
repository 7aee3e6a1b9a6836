package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPositional(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"in order", "INSERT INTO t VALUES ($1, $2), ($3, $4)", "INSERT INTO t VALUES (?, ?), (?, ?)"},
		{"two digits", "f($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)", "f(?,?,?,?,?,?,?,?,?,?)"},
		{"twice", "WHERE a = $1 OR b = $1", "WHERE a = $1 OR b = $1"},
		{"out of order", "SET a = $2 WHERE b = $1", "SET a = $2 WHERE b = $1"},
		{"from two on", "IN ($2, $3)", "IN ($2, $3)"},
		{"in a string", "a = '$1' AND b = $1 AND c = 'it''s $2'", "a = '$1' AND b = ? AND c = 'it''s $2'"},
		{"a name", "a = $x", "a = $x"},
		{"a comment", "a = $1 -- it's", "a = $1 -- it's"},
		{"other marks", "a = $1 AND b = ?2", "a = $1 AND b = ?2"},
		{"none", "SELECT 1", "SELECT 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := positional(c.in)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func liteForTest(t *testing.T) *sql.DB {
	t.Helper()
	db, err := openLite("file:" + filepath.Join(t.TempDir(), "x.db") + "?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := db.Close()
		if err != nil {
			t.Error(err)
		}
	})
	_, err = db.Exec(`CREATE TABLE t (id integer PRIMARY KEY, v text NOT NULL); CREATE TABLE u (id integer)`)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// kept looks at the statements of a connection.
func kept(t *testing.T, c *sql.Conn) (n, parameters int) {
	t.Helper()
	err := c.Raw(func(dc any) error {
		n, parameters = dc.(*conn).order.Len(), dc.(*conn).parameters
		if n != len(dc.(*conn).kept) {
			return fmt.Errorf("%d in order, %d by text", n, len(dc.(*conn).kept))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, parameters
}

func TestStatements(t *testing.T) {
	ctx := t.Context()
	db := liteForTest(t)
	c, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	const insert = `INSERT INTO t (id, v) VALUES ($1, $2)`
	for i := range 300 {
		_, err = c.ExecContext(ctx, insert, i, fmt.Sprint("value ", i))
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, p := kept(t, c); n != 1 || p != 2 {
		t.Errorf("%d statements with %d parameters", n, p)
	}
	_, err = c.ExecContext(ctx, insert, 7, "again")
	if !IsUnique(err) {
		t.Errorf("a key twice: %v", err)
	}
	_, err = c.ExecContext(ctx, insert, 1000, "after an error")
	if err != nil {
		t.Errorf("after an error: %v", err)
	}

	t.Run("one query within another of the same text", func(t *testing.T) {
		const query = `SELECT id, v FROM t WHERE id >= $1 ORDER BY id LIMIT 3`
		outer, err := c.QueryContext(ctx, query, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for outer.Next() {
			var id int
			var v, w string
			err = outer.Scan(&id, &v)
			if err != nil {
				t.Fatal(err)
			}
			err = c.QueryRowContext(ctx, query, id+100).Scan(&id, &w)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, v, w)
		}
		if strings.Join(got, ",") != "value 10,value 110,value 11,value 111,value 12,value 112" || outer.Err() != nil {
			t.Errorf("%v, %v", got, outer.Err())
		}
	})

	t.Run("a bound that holds while rows are open", func(t *testing.T) {
		open, err := c.QueryContext(ctx, `SELECT id FROM t WHERE id > $1`, 5)
		if err != nil || !open.Next() {
			t.Fatal(err)
		}
		for i := range 2 * keptStatements {
			var n int
			err = c.QueryRowContext(ctx, fmt.Sprintf(`SELECT $1 + %d`, i), 1).Scan(&n)
			if err != nil || n != i+1 {
				t.Fatal(n, err)
			}
		}
		n := 1
		for open.Next() {
			n++
		}
		if n != 295 || open.Err() != nil {
			t.Errorf("%d rows of a statement that was dropped meanwhile, %v", n, open.Err())
		}
		if n, _ := kept(t, c); n != keptStatements {
			t.Errorf("%d statements kept", n)
		}
		wide := make([]any, 8000)
		for i := range wide {
			wide[i] = i
		}
		for rest := range 8 {
			args := wide[:len(wide)-rest]
			marks := make([]string, len(args))
			for i := range marks {
				marks[i] = fmt.Sprintf("($%d)", i+1)
			}
			_, err = c.ExecContext(ctx, `INSERT INTO u VALUES `+strings.Join(marks, ","), args...)
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, p := kept(t, c); p > keptParameters {
			t.Errorf("statements with %d parameters kept", p)
		}
	})

	t.Run("the schema changes", func(t *testing.T) {
		read := func() []string {
			rows, err := c.QueryContext(ctx, `SELECT * FROM t WHERE id = $1`, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = rows.Close() }()
			names, err := rows.Columns()
			if err != nil {
				t.Fatal(err)
			}
			return names
		}
		before := read()
		_, err := c.ExecContext(ctx, `ALTER TABLE t ADD COLUMN more text NOT NULL DEFAULT 'x'`)
		if err != nil {
			t.Fatal(err)
		}
		var more string
		err = c.QueryRowContext(ctx, `SELECT more FROM t WHERE id = $1`, 1).Scan(&more)
		after := read()
		if err != nil || more != "x" || len(before) != 2 || len(after) != 3 {
			t.Error(before, after, more, err)
		}
		_, err = c.ExecContext(ctx, insert, 2000, "new row")
		if err != nil {
			t.Error(err)
		}
	})

	t.Run("a canceled query", func(t *testing.T) {
		short, cancel := context.WithCancel(ctx)
		cancel()
		_, err := c.ExecContext(short, insert, 3000, "never")
		if err == nil {
			t.Error("executed for nobody")
		}
		_, err = c.ExecContext(ctx, insert, 3000, "now")
		if err != nil {
			t.Error(err)
		}
	})
}

func TestStatementsTogether(t *testing.T) {
	db := liteForTest(t)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				_, err := db.ExecContext(t.Context(), `INSERT INTO t (id, v) VALUES ($1, $2)`, g*1000+i, "v")
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				err = db.QueryRowContext(t.Context(), `SELECT count(*) FROM t WHERE id >= $1 AND id < $2`, g*1000, g*1000+1000).Scan(&n)
				if err != nil || n != i+1 {
					t.Error(n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
