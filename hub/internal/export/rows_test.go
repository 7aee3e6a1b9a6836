package export_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/export"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/store"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

func TestRows(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		const n = indicator.MaxLimit + 5
		handlings := []marking.Handling{marking.OfTLP(contract.Amber).Handling(), marking.OfTLP(contract.Green).Handling().Join(marking.OfPAP(marking.PAPRed).Handling())}
		released := value(7, "released.example").Item.ID
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			exec := func(query string, args ...any) {
				_, err := tx.ExecContext(t.Context(), query, args...)
				if err != nil {
					t.Fatal(err)
				}
			}
			var numbers [3]int64
			for i, text := range []string{handlings[0].String(), handlings[1].String(), "not a handling"} {
				var err error
				numbers[i], err = indicator.Intern(t.Context(), tx, text)
				if err != nil {
					return err
				}
			}
			exec(`INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created) VALUES
				('cedar', 'c', 'a', 'a', 0, 'p', 4, 'C', 1), ('dogwood', 'd', 'a', 'a', 0, 'p', 4, 'B', 1)`)
			exec(`INSERT INTO batch (number, id, source, name, format, digest, bytes, submitter, received) VALUES (1, 'b', 'cedar', 'f', 'csv', 'x', 1, 'gil', 1)`)
			for i := range n {
				it := value(i, fmt.Sprintf("h%d.example", i)).Item
				h := i % 2
				if i == 9 {
					h = 2
				}
				it.Handling = numbers[h]
				if h == 1 {
					it.TLP = contract.Green
				}
				err := indicator.Insert(t.Context(), tx, &it)
				if err != nil {
					return err
				}
				for j, s := range []string{"cedar", "dogwood", "cedar"} {
					exec(`INSERT INTO item_source (mention, number, batch, source, place, reference, reference_key, version, revoked, credibility, confidence, handling, observed, original, at)
						VALUES ($1, $2, 1, $3, '', '', 0, 0, $4, 2, 50, $5, 0, '', 1)`, int64(3*i+j+1), it.Number, s, i == 3 && s == "dogwood", it.Handling)
				}
			}
			exec(`INSERT INTO object (item, modified, body, added) VALUES ($1, 2, '{"new":1}', 1), ($1, 1, '{"old":1}', 2)`, released.String())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for r, err := range export.Rows(t.Context(), db, indicator.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			want := handlings[got%2]
			if got == 9 {
				want = marking.Handling{}
			}
			if r.Item.Value != fmt.Sprintf("h%d.example", got) || !r.Handling.Equal(want) {
				t.Fatalf("row %d is %s, %s", got, r.Item.Value, r.Handling)
			}
			grades := []export.Grade{{Reliability: "B", Credibility: 2}, {Reliability: "C", Credibility: 2}}
			if got == 3 {
				grades = grades[1:] // that source took it back
			}
			if diff := cmp.Diff(grades, r.Sources); diff != "" {
				t.Fatalf("row %d: %s", got, diff)
			}
			if (string(r.Object) == `{"new":1}`) != (got == 7) {
				t.Errorf("row %d has the object %q", got, r.Object)
			}
			got++
		}
		if got != n {
			t.Errorf("%d rows, want %d", got, n)
		}
		var b bytes.Buffer
		r, err := export.CSV(&b, export.Rows(t.Context(), db, indicator.Filter{}), options())
		if err != nil || r.Written != n-1 || r.Withheld[export.WhyUnmarked] != 1 || strings.Count(b.String(), "PAP:RED") != (n-1)/2-1 {
			t.Errorf("%s, %v, %d with PAP", &r, err, strings.Count(b.String(), "PAP:RED"))
		}
		for _, err := range export.Rows(t.Context(), db, indicator.Filter{}) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		_, err = export.List(&b, export.Rows(ctx, db, indicator.Filter{}), options())
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a canceled selection gives %v", err)
		}
	})
}
