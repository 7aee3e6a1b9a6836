package audit_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ecs/internal/audit"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

// hub and provider open the schema of either house: the table is the same.
func hub(dsn string) (*sqldb.DB, error) {
	return sqldb.Open(context.Background(), dsn, os.DirFS("../../hub/internal/store/migrations"))
}

func provider(dsn string) (*sqldb.DB, error) {
	return sqldb.Open(context.Background(), dsn, os.DirFS("../../provider/internal/store/migrations"))
}

func add(t *testing.T, db *sqldb.DB, n int) {
	t.Helper()
	for i := range n {
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			return audit.Append(t.Context(), tx, "alice", "item.release", fmt.Sprintf("item-%d", i%3), map[string]any{"n": i, "text": "a\n<b>\x00é"})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func exec(t *testing.T, db *sqldb.DB, query string, args ...any) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestVerify(t *testing.T) {
	cases := []struct {
		name   string
		damage func(t *testing.T, db *sqldb.DB)
		broken int64 // 0: holds
	}{
		{"untouched", func(*testing.T, *sqldb.DB) {}, 0},
		{"altered actor", func(t *testing.T, db *sqldb.DB) { exec(t, db, "UPDATE audit SET actor = 'mallory' WHERE seq = 4") }, 4},
		{"altered time", func(t *testing.T, db *sqldb.DB) { exec(t, db, "UPDATE audit SET at = at + 1 WHERE seq = 4") }, 4},
		{"altered detail", func(t *testing.T, db *sqldb.DB) { exec(t, db, "UPDATE audit SET detail = '{}' WHERE seq = 4") }, 4},
		{"boundary moved", func(t *testing.T, db *sqldb.DB) {
			exec(t, db, "UPDATE audit SET action = 'item.releaseitem-', subject = '0' WHERE seq = 4")
		}, 4},
		{"altered hash", func(t *testing.T, db *sqldb.DB) {
			exec(t, db, "UPDATE audit SET hash = $1 WHERE seq = 4", strings.Repeat("a", 64))
		}, 4},
		{"removed", func(t *testing.T, db *sqldb.DB) { exec(t, db, "DELETE FROM audit WHERE seq = 4") }, 4},
		{"removed first", func(t *testing.T, db *sqldb.DB) { exec(t, db, "DELETE FROM audit WHERE seq = 1") }, 1},
		{"removed last", func(t *testing.T, db *sqldb.DB) { exec(t, db, "DELETE FROM audit WHERE seq = 7") }, 7},
		{"removed and renumbered", func(t *testing.T, db *sqldb.DB) {
			exec(t, db, "DELETE FROM audit WHERE seq = 4")
			for i := 5; i <= 7; i++ {
				exec(t, db, "UPDATE audit SET seq = $1 WHERE seq = $2", i-1, i)
			}
		}, 4},
		{"reordered", func(t *testing.T, db *sqldb.DB) {
			exec(t, db, "UPDATE audit SET seq = 100 WHERE seq = 4")
			exec(t, db, "UPDATE audit SET seq = 4 WHERE seq = 5")
			exec(t, db, "UPDATE audit SET seq = 5 WHERE seq = 100")
		}, 4},
		{"added at the end", func(t *testing.T, db *sqldb.DB) {
			exec(t, db, "INSERT INTO audit (seq, at, actor, action, subject, detail, previous, hash) VALUES (8, 1, 'm', 'm', '', 'null', '', '')")
		}, 8},
	}
	sqldbtest.Each(t, hub, func(t *testing.T, db *sqldb.DB) {
		add(t, db, 7)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				exec(t, db, "DELETE FROM audit")
				exec(t, db, "UPDATE audit_head SET seq = 0, hash = $1", strings.Repeat("0", 64))
				add(t, db, 7)
				c.damage(t, db)
				n, err := audit.Verify(t.Context(), db)
				if c.broken == 0 {
					if n != 7 || err != nil {
						t.Fatalf("%d entries, %v", n, err)
					}
					return
				}
				var b *audit.Broken
				if !errors.As(err, &b) || b.Seq != c.broken {
					t.Fatalf("want broken at %d, got %d entries and %v", c.broken, n, err)
				}
			})
		}
	})
}

// The bytes hashed are those of docs/formats/audit.md, computed here anew.
func TestFormat(t *testing.T) {
	db := sqldbtest.Lite(t, provider)
	add(t, db, 2)
	list, err := audit.List(t.Context(), db, audit.Filter{})
	if err != nil || len(list) != 2 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	previous := strings.Repeat("0", 64)
	for i := 1; i >= 0; i-- { // newest first
		e := list[i]
		text := "ecs audit v1\n"
		for _, f := range []string{
			strconv.FormatInt(e.Seq, 10), strconv.FormatInt(e.At.UnixMicro(), 10), e.Actor, e.Action, e.Subject, string(e.Detail), previous,
		} {
			text += fmt.Sprintf("%d:%s,", len(f), f)
		}
		sum := sha256.Sum256([]byte(text))
		if hex.EncodeToString(sum[:]) != e.Hash {
			t.Fatalf("entry %d has hash %s, the format gives %x", e.Seq, e.Hash, sum)
		}
		previous = e.Hash
	}
}

// An entry exists exactly when its change does, and many writers make one chain.
func TestConcurrent(t *testing.T) {
	sqldbtest.Each(t, hub, func(t *testing.T, db *sqldb.DB) {
		const writers, each = 6, 10
		undo := errors.New("undo")
		var wg sync.WaitGroup
		errs := make(chan error, writers*each*2)
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					name := fmt.Sprintf("name-%d-%d.example", w, i)
					err := db.Write(t.Context(), func(tx *sql.Tx) error {
						_, err := tx.ExecContext(t.Context(), "INSERT INTO protected_name (name, reason, added) VALUES ($1, 'test', 0)", name)
						if err != nil {
							return err
						}
						err = audit.Append(t.Context(), tx, "alice", "name.add", name, nil)
						if err == nil && i%5 == 4 {
							return undo
						}
						return err
					})
					if err != nil && !errors.Is(err, undo) {
						errs <- err
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			t.Error(err)
		}
		n, err := audit.Verify(t.Context(), db)
		if err != nil || n != writers*each*4/5 {
			t.Fatalf("%d entries, %v", n, err)
		}
		var rows int64
		err = db.QueryRowContext(t.Context(), "SELECT count(*) FROM protected_name p JOIN audit a ON a.subject = p.name").Scan(&rows)
		if err != nil || rows != n {
			t.Fatalf("%d changes for %d entries, %v", rows, n, err)
		}
	})
}

func TestListPages(t *testing.T) {
	sqldbtest.Each(t, provider, func(t *testing.T, db *sqldb.DB) {
		add(t, db, 9)
		var got []int64
		f := audit.Filter{Subject: "item-1", Limit: 2}
		for {
			page, err := audit.List(t.Context(), db, f)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				got = append(got, e.Seq)
			}
			f.Before = page[len(page)-1].Seq
		}
		if fmt.Sprint(got) != "[8 5 2]" {
			t.Fatalf("got %v", got)
		}
	})
}

func TestAppendRefuses(t *testing.T) {
	db := sqldbtest.Lite(t, hub)
	for name, f := range map[string]func(tx *sql.Tx) error{
		"no actor":   func(tx *sql.Tx) error { return audit.Append(t.Context(), tx, "", "x", "y", nil) },
		"no action":  func(tx *sql.Tx) error { return audit.Append(t.Context(), tx, "a", "", "y", nil) },
		"bad detail": func(tx *sql.Tx) error { return audit.Append(t.Context(), tx, "a", "b", "y", func() {}) },
	} {
		err := db.Write(t.Context(), f)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	n, err := audit.Verify(t.Context(), db)
	if n != 0 || err != nil {
		t.Fatalf("%d entries, %v", n, err)
	}
}
