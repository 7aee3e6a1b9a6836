// Package audit keeps the record of who did what: append-only, each entry bound
// to the one before it by SHA-256, in the table "audit" of either house. The
// hashed bytes are documented in docs/formats/audit.md, so that anyone can
// check a copy without this program.
//
// It is not the operational log (that is log/slog) and holds nothing of a
// customer's traffic.
//
// Invariants: an entry is written in the transaction of the change that it
// tells of, so that neither exists without the other; sequence numbers have no
// gap; the newest number and hash also stand in "audit_head", so that cutting
// off the end is found as well. Whoever can write the whole database could
// still compute a new chain: copy the head's hash elsewhere from time to time.
package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ecs/internal/sqldb"
)

// System is the actor of what the program does by itself.
const System = "system"

// Entry is one record of the chain.
type Entry struct {
	Seq      int64
	At       time.Time
	Actor    string          // login, provider's short name, or [System]
	Action   string          // what was done, such as "item.release"
	Subject  string          // to what: an identifier or short name
	Detail   json.RawMessage // never nil; "null" when there is nothing to add
	Previous string          // hash of the entry before, 64 zeros for the first
	Hash     string          // lower-case hexadecimal SHA-256, see docs/formats/audit.md
}

const (
	title = "ecs audit v1\n"
	none  = "0000000000000000000000000000000000000000000000000000000000000000"
)

// Append adds an entry within the caller's transaction. Two transactions that
// append at once are put in order by the database; the one that has to wait is
// run again by [sqldb.DB.Write].
func Append(ctx context.Context, tx *sql.Tx, actor, action, subject string, detail any) error {
	body, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("audit: detail of %s: %w", action, err)
	}
	e := Entry{
		At: time.Now(), Actor: clean(actor), Action: clean(action), Subject: clean(subject), Detail: body,
	}
	if e.Actor == "" || e.Action == "" {
		return fmt.Errorf("audit: an entry needs an actor and an action")
	}
	err = tx.QueryRowContext(ctx, "UPDATE audit_head SET seq = seq + 1 WHERE one = 1 RETURNING seq, hash").Scan(&e.Seq, &e.Previous)
	if err != nil {
		return fmt.Errorf("audit: head: %w", err)
	}
	at := sqldb.Time(e.At)
	e.Hash = digest(&e, at)
	_, err = tx.ExecContext(ctx, "INSERT INTO audit (seq, at, actor, action, subject, detail, previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		e.Seq, at, e.Actor, e.Action, e.Subject, string(e.Detail), e.Previous, e.Hash)
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE audit_head SET hash = $1 WHERE one = 1", e.Hash)
	}
	if err != nil {
		return fmt.Errorf("audit: append: %w", err)
	}
	return nil
}

// clean makes text that both engines store unchanged: no NUL, valid UTF-8.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// digest hashes the entry: the title, then each field as a netstring (its
// length in bytes, a colon, the bytes, a comma).
func digest(e *Entry, at int64) string {
	h := sha256.New()
	h.Write([]byte(title))
	for _, f := range [...]string{
		strconv.FormatInt(e.Seq, 10), strconv.FormatInt(at, 10), e.Actor, e.Action, e.Subject, string(e.Detail), e.Previous,
	} {
		h.Write([]byte(strconv.Itoa(len(f)) + ":" + f + ","))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Filter selects entries, newest first.
type Filter struct {
	Subject string // only of this subject; all when empty
	Before  int64  // only with a lower sequence number; all when zero
	Limit   int    // at most so many; 100 when zero, never more than 1000
}

// List gives entries, newest first.
func List(ctx context.Context, q sqldb.Querier, f Filter) ([]Entry, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	query, args := "SELECT seq, at, actor, action, subject, detail, previous, hash FROM audit", []any{}
	var where []string
	if f.Subject != "" {
		args = append(args, f.Subject)
		where = append(where, "subject = $"+strconv.Itoa(len(args)))
	}
	if f.Before > 0 {
		args = append(args, f.Before)
		where = append(where, "seq < $"+strconv.Itoa(len(args)))
	}
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	args = append(args, min(limit, 1000))
	rows, err := q.QueryContext(ctx, query+" ORDER BY seq DESC LIMIT $"+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("audit: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Entry
	for rows.Next() {
		e, _, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("audit: list: %w", err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

func scan(rows *sql.Rows) (Entry, int64, error) {
	var e Entry
	var at int64
	var detail string
	err := rows.Scan(&e.Seq, &at, &e.Actor, &e.Action, &e.Subject, &detail, &e.Previous, &e.Hash)
	e.At, e.Detail = sqldb.FromTime(at), json.RawMessage(detail)
	return e, at, err
}
