package release

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/internal/audit"
)

const personal = "call Jane Roe at (703) 555-0123 or jane.roe@mail.example"

// held gives an item in the privacy gate whose texts and original hold personal
// data.
func (w *world) held(t *testing.T, detail string) contract.ID {
	t.Helper()
	id := w.item(t, indicator.PrivacyGate, func(it *indicator.Item) {
		it.Summary, it.Context, it.Privacy = personal, personal, indicator.Undetermined
	})
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		w.exec(t, tx, `UPDATE item_source SET original = $2 WHERE number = (SELECT number FROM item WHERE id = $1)`, id.String(), personal)
		w.exec(t, tx, `INSERT INTO finding (number, code, severity, detail, at) SELECT number, $2, 'stop', $3, 1 FROM item WHERE id = $1`, id.String(), policy.CodePhone, detail)
		return nil
	}))
	return id
}

// everywhere looks for a text in all that the hub keeps of an item.
func (w *world) everywhere(t *testing.T, id contract.ID, text string) []string {
	t.Helper()
	var found []string
	for table, query := range map[string]string{
		"item":        `SELECT summary || context || pattern || value || privacy_note FROM item WHERE id = $1`,
		"item_source": `SELECT original || reference FROM item_source s JOIN item i ON i.number = s.number WHERE i.id = $1`,
		"finding":     `SELECT detail FROM finding f JOIN item i ON i.number = f.number WHERE i.id = $1`,
		"audit":       `SELECT detail FROM audit WHERE subject = $1`,
		"decision":    `SELECT reason FROM decision WHERE item = $1`,
		"object":      `SELECT body FROM object WHERE item = $1`,
	} {
		rows, err := w.db.QueryContext(t.Context(), query, id.String())
		must(t, err)
		all, err := texts(rows)
		must(t, err)
		if strings.Contains(strings.Join(all, "\n"), text) {
			found = append(found, table)
		}
	}
	return found
}

func TestRedact(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		emptied := w.held(t, "context: a telephone number")
		must(t, w.desk.Privacy(ctx, carol, Ref{ID: emptied}, indicator.Removed, "the name of a victim was in it"))
		given := w.held(t, "summary: a telephone number")
		for name, text := range map[string]Redaction{
			"a number stays": {Summary: "call (703) 555-0123"}, "too long": {Context: strings.Repeat("x", maxContext+1)},
			"turned around": {Summary: "a\u202eb"}, "not UTF-8": {Summary: "\xff"},
		} {
			err := w.desk.Redact(ctx, carol, Ref{ID: given}, text, why)
			if !errors.Is(err, ErrPersonal) && !errors.Is(err, ErrText) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(w.everywhere(t, given, "Jane Roe")) != 2 {
			t.Error("a refused redaction has changed the item")
		}
		must(t, w.desk.Redact(ctx, carol, Ref{ID: given}, Redaction{Summary: "a scam by telephone"}, why))
		for _, id := range []contract.ID{emptied, given} {
			for _, s := range []string{"Jane", "0123"} {
				if in := w.everywhere(t, id, s); in != nil {
					t.Errorf("%s is still in %v", s, in)
				}
			}
			if got := w.state(t, id); got != indicator.PendingFirst {
				t.Errorf("state %s", got)
			}
			log, err := audit.List(ctx, w.db, audit.Filter{Subject: id.String(), Limit: 20})
			must(t, err)
			n := 0
			for _, e := range log {
				if e.Action == "item.redact" {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d entries item.redact", n)
			}
		}
		it, err := indicator.Get(ctx, w.db, given)
		must(t, err)
		if it.Summary != "a scam by telephone" || it.Context != "" || it.Privacy != indicator.Removed {
			t.Errorf("%+v", it)
		}
		inValue := w.held(t, "value: a mail address is personal data by nature")
		err = w.desk.Privacy(ctx, carol, Ref{ID: inValue}, indicator.Removed, why)
		if !errors.Is(err, ErrPersonal) {
			t.Errorf("REMOVED for personal data in the value: %v", err)
		}
		err = w.desk.Redact(ctx, ann, Ref{ID: inValue}, Redaction{}, why)
		if !errors.Is(err, ErrRole) {
			t.Errorf("redacted by an analyst: %v", err)
		}
	})
}

// A purge leaves nothing of the content, not even in the bytes that were
// released; it waits for those who may still have it; logs go on.
func TestPurge(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		alpha := w.node("alpha")
		id := w.released(t, Target{"alpha", contract.DNS}, Target{"beta", contract.DNS})
		it, err := indicator.Get(ctx, w.db, id)
		must(t, err)
		name := it.Value
		alpha.load(t, 0)
		alpha.ack(t)
		must(t, w.desk.Recall(ctx, bob, Ref{ID: id}, why))
		purge := func(ctx context.Context) error {
			return w.db.Write(ctx, func(tx *sql.Tx) error {
				it, err := indicator.Get(ctx, tx, id)
				if err != nil {
					return err
				}
				return indicator.Move(ctx, tx, &it, indicator.Purged, "carol", why)
			})
		}
		err = purge(ctx)
		if !errors.As(err, new(*indicator.GuardError)) {
			t.Fatalf("purged while alpha has it in force: %v", err)
		}
		alpha.load(t, 0)
		alpha.ack(t)
		must(t, purge(ctx))
		for _, s := range []string{name, "phishing\""} {
			if in := w.everywhere(t, id, s); len(in) > 1 || len(in) == 1 && s == name {
				t.Errorf("%q is still in %v", s, in)
			}
		}
		for _, p := range []string{"alpha", "beta"} {
			fresh := w.node(p)
			fresh.load(t, 0)
			if fresh.list.Len() != 0 {
				t.Errorf("%s has %d", p, fresh.list.Len())
			}
		}
		more := w.released(t, Target{"alpha", contract.DNS})
		alpha.load(t, 0)
		if alpha.objects[more] == nil {
			t.Error("the log does not go on")
		}
		reconciled(t, w, "alpha")
	})
}
