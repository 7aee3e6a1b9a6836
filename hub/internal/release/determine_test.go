package release

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
)

// Elements are judged one by one; the rest of a text stays useful.
func TestDetermine(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		const text = "lure sent as jane.roe@mail.example to the payroll office"
		at, end := strings.Index(text, "jane"), strings.Index(text, " to the")
		gate := func() contract.ID {
			t.Helper()
			id := w.item(t, indicator.PrivacyGate, func(it *indicator.Item) {
				it.Summary, it.Context, it.Privacy = text, "call (703) 555-0123", indicator.Undetermined
			})
			must(t, w.db.Write(ctx, func(tx *sql.Tx) error {
				it, err := indicator.Get(ctx, tx, id)
				must(t, err)
				checker, err := policy.New(policy.Config{SamplePercent: -1})
				must(t, err)
				for _, f := range checker.Privacy(&policy.Subject{Summary: it.Summary, Context: it.Context}, it.Created) {
					f.Item = id
					must(t, indicator.AddFinding(ctx, tx, f))
				}
				w.exec(t, tx, `UPDATE item_source SET original = $2 WHERE number = $1`, it.Number, text)
				return nil
			}))
			return id
		}
		phone := Judged{Field: "context", Start: 5, End: len("call (703) 555-0123")}
		mail := Judged{Field: "summary", Start: at, End: end}
		keep := mail
		keep.Keep, keep.Why = true, "The sender's address is what the victims see and have to look for."
		silent := keep
		silent.Why = "needed"
		for name, c := range map[string]struct {
			js   []Judged
			want error
		}{
			"one is not judged":     {[]Judged{mail}, ErrPersonal},
			"half of it":            {[]Judged{{Field: "summary", Start: at, End: end - 3}, phone}, ErrPersonal},
			"kept without a reason": {[]Judged{silent, phone}, ErrReason},
			"past the text":         {[]Judged{mail, phone, {Field: "summary", Start: 1, End: 5000}}, ErrText},
			"no such field":         {[]Judged{mail, phone, {Field: "label 7", Start: 0, End: 1}}, ErrText},
			"the indicator itself":  {[]Judged{mail, phone, {Field: "value", Start: 0, End: 4}}, ErrPersonal},
			"told in the own words": {[]Judged{mail, {Field: "context", Start: 5, End: phone.End, Keep: true, Why: "Write to jane.roe@mail.example to learn why this has to stay."}}, ErrPersonal},
		} {
			id := gate()
			_, err := w.desk.Determine(ctx, carol, Ref{ID: id}, c.js, why)
			if !errors.Is(err, c.want) || w.state(t, id) != indicator.PrivacyGate {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := w.desk.Determine(ctx, ann, Ref{ID: gate()}, []Judged{mail, phone}, why)
		if !errors.Is(err, ErrRole) {
			t.Errorf("by an analyst: %v", err)
		}
		id := gate()
		what, err := w.desk.Determine(ctx, carol, Ref{ID: id}, []Judged{mail, phone}, why)
		must(t, err)
		it, err := indicator.Get(ctx, w.db, id)
		must(t, err)
		if what != indicator.Removed || it.State != indicator.PendingFirst || !strings.HasPrefix(it.Summary, "lure sent as [") ||
			!strings.HasSuffix(it.Summary, "] to the payroll office") || strings.Contains(it.Context, "555") {
			t.Fatalf("%s: %+v", what, it)
		}
		for _, s := range []string{"jane", "555-0123"} {
			found := w.everywhere(t, id, s)
			if len(found) > 0 {
				t.Errorf("%s is left in %v", s, found)
			}
		}
		id = gate()
		what, err = w.desk.Determine(ctx, carol, Ref{ID: id}, []Judged{keep, phone}, why)
		must(t, err)
		it, err = indicator.Get(ctx, w.db, id)
		must(t, err)
		if what != indicator.Necessary || it.Summary != text || strings.Contains(it.Context, "555") || !strings.Contains(it.PrivacyNote, "victims") ||
			!strings.Contains(it.PrivacyNote, "Taken out of: context.") {
			t.Fatalf("%s: %+v", what, it)
		}
	})
}
