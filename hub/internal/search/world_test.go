package search

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/store"
	"ecs/internal/sqldb"
	"ecs/observable"
)

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

// world is a database with items, and the same items in memory for the oracle.
type world struct {
	db   *sqldb.DB
	docs map[int64]*doc
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t testing.TB, db *sqldb.DB) *world {
	t.Helper()
	must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		for _, s := range []string{"cedar", "dogwood"} {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created)
				VALUES ($1, $1, 'A', 'B', 1, 'C', 4, 'A', 1)`, s)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(t.Context(), `INSERT INTO batch (number, id, source, name, format, digest, bytes, submitter, received)
				VALUES ($1, $2, $3, 'f', 'csv', $3, 1, 'gil', 1)`, map[string]int64{"cedar": 1, "dogwood": 2}[s], "batch-"+s, s)
			if err != nil {
				return err
			}
		}
		for i := range 3 {
			_, err := indicator.Intern(t.Context(), tx, fmt.Sprintf("handling %d", i+1))
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return &world{db: db, docs: map[int64]*doc{}}
}

// add adds an item with its mentions, and gives its number.
func (w *world) add(t testing.TB, it indicator.Item, mentions ...mention) int64 {
	t.Helper()
	it.ID = contract.ID(uuid.New())
	if it.State == "" {
		it.State = indicator.PendingFirst
	}
	if it.Pattern == "" {
		it.Pattern, it.Atoms = observable.Pattern(observable.Atom{Kind: it.Kind, Value: it.Value}), 1
	}
	if it.Handling == 0 {
		it.Handling = 1
	}
	if it.Created.IsZero() {
		it.Created = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	}
	if it.State.Ended() {
		it.Ended = it.Created
	}
	it.Version, it.Display = 1, it.Handling != 3
	if len(mentions) == 0 {
		mentions = []mention{{source: "cedar"}}
	}
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		it.Number = 0
		err := indicator.Insert(t.Context(), tx, &it)
		for i := 0; err == nil && i < len(mentions); i++ {
			err = w.name(t.Context(), tx, it.Number, mentions[i])
		}
		return err
	}))
	w.docs[it.Number] = &doc{Item: it, mentions: mentions}
	return it.Number
}

func (w *world) name(ctx context.Context, tx *sql.Tx, number int64, m mention) error {
	n, err := indicator.Next(ctx, tx, "mention", 1)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO item_source (mention, number, batch, source, place, reference, reference_key, credibility, confidence, handling, observed, original, at)
		VALUES ($1, $2, $3, $4, '', $5, $6, 0, -1, 1, 0, '', 1)`,
		n, number, map[string]int64{"cedar": 1, "dogwood": 2}[m.source], m.source, m.reference, ReferenceKey(m.reference))
	return err
}

// mention names an item again.
func (w *world) mention(t testing.TB, number int64, m mention) {
	t.Helper()
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error { return w.name(t.Context(), tx, number, m) }))
	d := w.docs[number]
	if !slices.Contains(d.mentions, m) {
		d.mentions = append(d.mentions, m)
	}
}

// update changes an item as staff does.
func (w *world) update(t testing.TB, number int64, what string, change func(*indicator.Item)) {
	t.Helper()
	d := w.docs[number]
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		it, err := indicator.Get(t.Context(), tx, d.ID)
		if err != nil {
			return err
		}
		change(&it)
		err = indicator.Update(t.Context(), tx, &it, "ann", what)
		d.Item = it
		return err
	}))
}

func (w *world) purge(t testing.TB, number int64) {
	t.Helper()
	d := w.docs[number]
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		it, err := indicator.Get(t.Context(), tx, d.ID)
		if err == nil && it.State != indicator.Rejected {
			err = indicator.Move(t.Context(), tx, &it, indicator.Rejected, "ann", "no longer needed here")
		}
		if err == nil {
			err = indicator.Move(t.Context(), tx, &it, indicator.Purged, "ann", "no longer needed here")
		}
		d.Item = it
		for i := range d.mentions {
			d.mentions[i].reference = ""
		}
		return err
	}))
}

// indexer gives one that works at once and with small parts.
func (w *world) indexer(many int64) *Index {
	return New(Config{DB: w.db, Poll: time.Millisecond, Yield: time.Nanosecond, Gather: time.Nanosecond, Many: many})
}

// settle indexes until there is nothing left to do.
func settle(t testing.TB, x *Index) {
	t.Helper()
	for range 1000 {
		worked, err := x.Step(t.Context())
		must(t, err)
		if !worked {
			return
		}
	}
	t.Fatal("the indexer does not come to an end")
}

// naive is the oracle: every item is looked at, with plain string operations.
func (w *world) naive(r *Reader, q *Query) []int64 {
	var out []int64
	for n, d := range w.docs {
		seen := *d
		seen.mentions = slices.Clone(d.mentions)
		if r.Handlings != nil && !slices.Contains(r.Handlings, d.Handling) {
			continue
		}
		if r.Limited && !slices.ContainsFunc(d.mentions, func(m mention) bool { return m.source == r.Source }) {
			continue
		}
		seen.seen(r)
		if slices.IndexFunc(q.clauses, func(c clause) bool { return slowly(&seen, &c) == c.not }) < 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out
}

// slowly answers one condition in the most obvious way: words between blanks.
func slowly(d *doc, c *clause) bool {
	return slices.ContainsFunc(c.alts, func(a alt) bool {
		switch c.field {
		case "":
			for _, text := range append([]string{d.Value, d.Summary, d.Context}, append(strings.Split(d.Labels, "\n"), mentionTexts(d)...)...) {
				spaced := " " + strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !letter(r) }), " ") + " "
				find := " " + strings.Join(a.words, " ")
				if !a.prefix {
					find += " "
				}
				if strings.Contains(spaced, find) {
					return true
				}
			}
			return false
		case fieldBatch:
			return slices.ContainsFunc(d.mentions, func(m mention) bool { return "batch-"+m.source == a.text })
		case fieldHost:
			return d.Value == a.text && d.Kind == observable.Domain || d.Kind == observable.URL && strings.HasPrefix(d.Value, "http://"+a.text+"/")
		case fieldUnder:
			host, _, _ := strings.Cut(strings.TrimPrefix(d.Value, "http://"), "/")
			return d.Kind != observable.Addr && strings.HasSuffix("."+host, "."+a.text)
		default:
			return c.filter(d, &a)
		}
	})
}

func mentionTexts(d *doc) []string {
	var out []string
	for _, m := range d.mentions {
		out = append(out, m.source, m.reference)
	}
	return out
}
