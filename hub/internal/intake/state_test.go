package intake_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ecs/internal/sqldb"
)

// state is what a database says after a delivery, table by table: how often each row
// is there, by digest. What differs from run to run is left out or named by what it
// stands for: random identifiers and numbers; moments are counted from the receipt of
// the one delivery.
type state map[string]map[[16]byte]int

// Of each table that a delivery writes, what has to be the same.
var sameRows = map[string]string{
	"item": `SELECT i.state, i.version, i.pattern, i.pattern_key, i.kind, i.value, i.atoms, i.pivot, i.services, i.category, i.action, i.confidence,
		h.text, i.tlp, i.enforce, i.display, i.notify, i.disclosure, i.labels, i.summary, i.context, i.privacy, i.privacy_note, i.submitter, i.editor,
		i.valid_from, i.valid_until - b.received, i.observed, i.created - b.received, i.modified - b.received, i.released, i.ended
		FROM item i JOIN handling h ON h.number = i.handling JOIN batch b ON true`,
	"item_source": `SELECT i.pattern, b.name, s.source, s.place, s.reference, s.reference_key, s.version, s.revoked, s.credibility, s.confidence,
		h.text, s.observed, s.original, s.at - b.received FROM item_source s JOIN item i ON i.number = s.number JOIN batch b ON b.number = s.batch JOIN handling h ON h.number = s.handling`,
	"finding": `SELECT i.pattern, f.code, f.severity, f.detail, f.at - b.received FROM finding f JOIN item i ON i.number = f.number JOIN batch b ON true`,
	"source_object": `SELECT o.source, b.name, o.id, o.type, o.name, o.modified, o.revoked, h.text, o.held, o.digest, o.body, o.at - b.received
		FROM source_object o JOIN batch b ON b.number = o.batch JOIN handling h ON h.number = o.handling`,
	"object_ref": `SELECT o.id, r.property, r.target FROM object_ref r JOIN source_object o ON o.number = r.object`,
	"refusal":    `SELECT b.name, r.number, r.place, r.code, r.reason, r.excerpt FROM refusal r JOIN batch b ON b.number = r.batch`,
	"batch": `SELECT source, name, format, digest, bytes, submitter, position, accepted, duplicate, refused, skipped, objects, canonical, error,
		finished > 0 FROM batch`,
	"item_count": `SELECT c.state, h.text, c.n FROM item_count c JOIN handling h ON h.number = c.handling WHERE c.n <> 0`,
	"handling":   `SELECT text, digest FROM handling`,
	"audit":      `SELECT actor, action, detail FROM audit`,
}

// Tables with nothing to compare: moments, running numbers, and what is made of the
// numbers of others.
var leftOut = []string{"counter", "audit_head", "goose_db_version", "sqlite_sequence", "sqlite_stat1", "sqlite_stat4"}

var anyID = regexp.MustCompile(`(indicator|batch|delivery)--[0-9a-f-]{36}|"batch":"[^"]*"`)

func stateOf(t *testing.T, db *sqldb.DB) state {
	t.Helper()
	chained(t, db)
	out := state{}
	for table, query := range queriesOf(t, db) {
		out[table] = map[[16]byte]int{}
		each(t, db, query, func(row string) { out[table][digest(row)]++ })
	}
	return out
}

func digest(row string) [16]byte {
	sum := sha256.Sum256([]byte(row))
	return [16]byte(sum[:16])
}

// queriesOf gives the query of each table; of those that are not known here, it
// counts the rows, so that a table that intake begins to write is noticed.
func queriesOf(t *testing.T, db *sqldb.DB) map[string]string {
	t.Helper()
	out := maps.Clone(sameRows)
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil {
		rows, err = db.QueryContext(t.Context(), `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		err = rows.Scan(&name)
		if err != nil {
			t.Fatal(err)
		}
		_, known := out[name]
		if !known && !slices.Contains(leftOut, name) {
			out[name] = `SELECT count(*) FROM ` + name
		}
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return out
}

// each gives the rows of a query as text, without identifiers that are random.
func each(t *testing.T, db *sqldb.DB, query string, f func(row string)) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, to := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		to[i] = &values[i]
	}
	var b strings.Builder
	for rows.Next() {
		err = rows.Scan(to...)
		if err != nil {
			t.Fatal(err)
		}
		b.Reset()
		for i, v := range values {
			s, ok := v.(string)
			if ok && (columns[i] == "detail" || columns[i] == "reason") {
				v = anyID.ReplaceAllString(s, "ID")
			}
			fmt.Fprintf(&b, "%v\x1f", v)
		}
		f(b.String())
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
}

// compare names the tables that say something else, and some of their rows.
func (want state) compare(t *testing.T, db *sqldb.DB) {
	t.Helper()
	got := stateOf(t, db)
	queries := queriesOf(t, db)
	for table, rows := range got {
		if maps.Equal(rows, want[table]) {
			continue
		}
		t.Errorf("table %s: %d different rows, want %d; for example:", table, len(rows), len(want[table]))
		shown := 0
		each(t, db, queries[table], func(row string) {
			if d := digest(row); shown < 3 && rows[d] != want[table][d] {
				t.Errorf("  %d times, want %d: %.600q", rows[d], want[table][d], row)
				shown++
			}
		})
	}
}
