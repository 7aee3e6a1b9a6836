package casework

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/graph"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/search"
	"ecs/hub/internal/store"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/observable"
)

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

// What analysts do with an indicator goes on either database: the furnished hub of
// the other tests has SQLite.
func TestOnBothDatabases(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		ctx, now := t.Context(), time.Now()
		ann := signin.Account{Login: "ann", Person: "Ann Analyst", Roles: []string{"pmo_analyst"}}
		const ref, family, rel = "indicator--11111111-1111-4111-8111-111111111111", "malware--11111111-1111-4111-8111-111111111112", "relationship--11111111-1111-4111-8111-111111111113"
		it := indicator.Item{
			ID: contract.ID{1, 15: 7}, State: indicator.PendingFirst, Version: 1, Kind: observable.Domain, Value: "evil.example", Atoms: 1, Pivot: "evil.example",
			Pattern: observable.Pattern(observable.Atom{Kind: observable.Domain, Value: "evil.example"}), Display: true, Created: now, Modified: now, ValidUntil: now.AddDate(0, 1, 0),
		}
		must(t, db.Write(ctx, func(tx *sql.Tx) error {
			var err error
			it.Handling, err = indicator.Intern(ctx, tx, "U TLP:CLEAR")
			for _, s := range []struct {
				text string
				args []any
			}{
				{`INSERT INTO account (login, person, roles, password, created) VALUES ('ann', 'Ann Analyst', 'pmo_analyst', '', 1)`, nil},
				{`INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created) VALUES ('cedar', 'C', 'A', 'B', 1, 'C', 4, 'A', 1)`, nil},
				{`INSERT INTO batch (number, id, source, name, format, digest, bytes, submitter, received) VALUES (1, 'b', 'cedar', 'f', 'stix', 'd', 1, 'gil', 1)`, nil},
				{`INSERT INTO source_object (number, source, batch, id, type, name, modified, revoked, handling, held, digest, body, at)
					VALUES (1, 'cedar', 1, $1, 'malware', 'Loader', 1, false, $3, '', 'x', '{}', 1), (2, 'cedar', 1, $2, 'relationship', 'indicates', 1, false, $3, '', 'y', '{}', 1)`, []any{family, rel, it.Handling}},
				{`INSERT INTO object_ref (object, property, target) VALUES (2, 'source_ref', $1), (2, 'target_ref', $2)`, []any{ref, family}},
			} {
				if err == nil {
					_, err = tx.ExecContext(ctx, s.text, s.args...)
				}
			}
			if err == nil {
				err = indicator.Insert(ctx, tx, &it)
			}
			if err == nil {
				_, err = tx.ExecContext(ctx, `INSERT INTO item_source (mention, number, batch, source, place, reference, reference_key, credibility, confidence, handling, observed, original, at)
					VALUES (1, $1, 1, 'cedar', '', $2, $3, 0, -1, $4, 0, '', 1)`, it.Number, ref, search.ReferenceKey(ref), it.Handling)
			}
			return err
		}))

		subject := Subject{Item, it.ID.String()}
		r := graph.Reader{Held: true, Reader: search.Reader{Values: true, Handlings: []int64{it.Handling}}}
		g, err := graph.FromItem(ctx, db, r, it.ID, 2, 10)
		must(t, err)
		if len(g.Edges) != 1 || len(g.Nodes) != 2 || g.Nodes[0].Name != "evil.example" || g.Nodes[1].Name != "Loader" {
			t.Errorf("graph: %+v", g)
		}
		o, err := graph.Read(ctx, db, r, family)
		must(t, err)
		if o.Name != "Loader" {
			t.Errorf("object: %+v", o)
		}
		_, err = graph.Read(ctx, db, graph.Reader{Reader: search.Reader{Limited: true, Source: "dogwood"}}, family)
		if err == nil {
			t.Error("an officer of another source reads the object")
		}
		_, err = graph.Pivots(ctx, db, r.Reader, &it, []indicator.Source{{Source: "cedar", Batch: "b", Reference: ref}}, false)
		must(t, err)

		_, err = Say(ctx, db, ann, subject, "Seen again.", now)
		must(t, err)
		comments, err := Comments(ctx, db, ann, subject)
		must(t, err)
		task, err := Give(ctx, db, ann, subject, "Ask the source", "ann", now.AddDate(0, 0, 2), now)
		must(t, err)
		_, err = Alter(ctx, db, ann, task.ID, Change{State: Doing, Due: now.AddDate(0, 0, 3)}, now)
		must(t, err)
		mine, err := Mine(ctx, db, ann)
		must(t, err)
		of, err := Of(ctx, db, ann, subject)
		must(t, err)
		if len(comments) != 1 || len(mine) != 1 || len(of) != 1 || len(of[0].Steps) != 3 {
			t.Errorf("%d comments, %d tasks of mine, %+v", len(comments), len(mine), of)
		}
		must(t, Label(ctx, db, ann, it.ID, "watch", now))

		saved, err := search.Save(ctx, db, ann, "Evil", "evil", true, now)
		must(t, err)
		_, err = search.Save(ctx, db, ann, "Evil", "evil", true, now)
		if err == nil {
			t.Error("one name twice")
		}
		for round, fresh := range []int{1, 0} {
			list, err := search.List(ctx, db, ann)
			must(t, err)
			if len(list) != 1 || list[0].Count != 1 || list[0].New != fresh {
				t.Errorf("round %d: %+v", round, list)
			}
			_, _, err = search.Look(ctx, db, ann, saved.ID, now)
			must(t, err)
		}
		must(t, search.Remove(ctx, db, ann, saved.ID))
	})
}
