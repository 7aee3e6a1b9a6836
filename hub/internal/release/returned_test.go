package release

import (
	"database/sql"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/hub/internal/indicator"
)

// What a source delivers again after it got it back is linked both ways, with the
// reason; statistics count by the code.
func TestReturned(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		again := func(it *indicator.Item) {
			it.Value, it.Pattern = "again.example", "[domain-name:value = 'again.example']"
		}
		first := w.item(t, indicator.PendingFirst, again)
		must(t, w.desk.ReturnFor(ctx, ann, Ref{ID: first}, Why{Code: Incomplete, Text: "say which campaign it belongs to"}))
		second := w.item(t, indicator.PendingFirst, again)
		must(t, w.desk.RejectFor(ctx, bob, Ref{ID: second}, Why{Code: FalsePositive}))
		taken := w.item(t, indicator.PendingFirst, nil)
		must(t, w.desk.ReturnFor(ctx, ann, Ref{ID: taken}, Why{Code: Outdated}))
		must(t, w.desk.Undo(ctx, ann, Ref{ID: taken}, why))
		must(t, w.desk.Reject(ctx, ann, Ref{ID: taken}, why))
		var third indicator.Item
		must(t, w.db.Write(ctx, func(tx *sql.Tx) error {
			var err error
			third, err = indicator.Get(ctx, tx, w.put(t, tx, indicator.PendingFirst, "lapsed", again))
			return err
		}))
		got, err := Again(ctx, w.db, &third)
		must(t, err)
		if len(got) != 2 || got[0].ID != second || got[0].Code != FalsePositive || got[0].Same || got[1].ID != first ||
			got[1].Kind != indicator.KindReturn || got[1].Code != Incomplete || got[1].Reason != "say which campaign it belongs to" || got[1].By != "Ann" {
			t.Fatalf("%+v", got)
		}
		it, err := indicator.Get(ctx, w.db, second)
		must(t, err)
		got, err = Again(ctx, w.db, &it)
		must(t, err)
		if len(got) != 1 || !got[0].Same {
			t.Fatalf("the same source: %+v", got)
		}
		it, err = indicator.Get(ctx, w.db, first)
		must(t, err)
		got, err = Resubmitted(ctx, w.db, &it)
		must(t, err)
		if len(got) != 2 || got[0].ID != third.ID || got[0].Kind != "" {
			t.Fatalf("%+v", got)
		}
		n, err := Reasons(ctx, w.db, "nsa", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		must(t, err)
		want := []Count{{indicator.KindReject, FalsePositive, 1}, {indicator.KindReject, "", 1}, {indicator.KindReturn, Incomplete, 1}}
		if d := cmp.Diff(want, n); d != "" {
			t.Fatal(d)
		}
	})
}
