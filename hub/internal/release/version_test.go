package release

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

// setTerms changes what a provider is accredited and cleared for.
func (w *world) setTerms(t testing.TB, provider string, services contract.Services, ceiling contract.TLP, clearance string) {
	t.Helper()
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		w.exec(t, tx, `UPDATE provider SET services = $2, ceiling = $3, clearance = $4, terms = terms + 1 WHERE id = $1`, provider, int64(services), int64(ceiling), clearance)
		return nil
	}))
}

// marked releases an item under a handling to alpha.
func (w *world) marked(t testing.TB, words string, tlp contract.TLP) (contract.ID, error) {
	t.Helper()
	id := w.item(t, indicator.PendingFirst, func(it *indicator.Item) { it.TLP = tlp })
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		n, err := indicator.Intern(t.Context(), tx, words)
		must(t, err)
		w.exec(t, tx, `UPDATE item SET handling = $2 WHERE id = $1`, id.String(), n)
		return nil
	}))
	must(t, w.desk.First(t.Context(), ann, Ref{ID: id}, why))
	_, err := w.desk.Second(t.Context(), bob, Ref{ID: id}, why, []Target{{"alpha", contract.DNS | contract.SMTP}})
	return id, err
}

// A provider's terms are lowered with one item loaded, one waiting that is above
// them, and one that stays: what it may not have is taken from it and never handed
// over, not even as the newest entry of the log.
func TestLowered(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.setTerms(t, "alpha", contract.AllServices, contract.AmberStrict, "S//SI TLP:AMBER+STRICT")
		loaded, err := w.marked(t, "S//SI TLP:AMBER", contract.Amber)
		must(t, err)
		stays, err := w.marked(t, "U TLP:GREEN", contract.Green)
		must(t, err)
		alpha := w.node("alpha")
		alpha.load(t, 0)
		alpha.ack(t)
		waiting, err := w.marked(t, "S TLP:AMBER", contract.Amber)
		must(t, err)

		w.setTerms(t, "alpha", contract.AllServices, contract.AmberStrict, "")
		alpha.load(t, 0)
		if len(alpha.objects) != 1 || alpha.objects[stays] == nil {
			t.Fatalf("it still has %v", alpha.services)
		}
		statuses(t, w, waiting, map[string]Status{"alpha dns": Lapsed, "alpha smtp": Lapsed})
		alpha.ack(t)
		statuses(t, w, loaded, map[string]Status{"alpha dns": RemovedThere, "alpha smtp": RemovedThere})
		reconciled(t, w, "alpha")
		for _, after := range []uint64{0, 1, 2} {
			page, err := w.desk.Changes(ctx, "alpha", after, 0)
			must(t, err)
			for _, e := range page.Entries {
				if x := string(e.Object); !strings.Contains(x, stays.String()) && (!strings.Contains(x, "withdrawn.invalid") || !strings.Contains(x, contract.Clear.Ref())) {
					t.Errorf("after %d it is handed %s", after, x)
				}
			}
		}
		_, err = w.marked(t, "S TLP:AMBER", contract.Amber)
		if !errors.Is(err, ErrNoTarget) || !strings.Contains(err.Error(), "clearance U TLP:AMBER+STRICT is below the level S") {
			t.Errorf("released above the clearance: %v", err)
		}

		// One service less, and one less again.
		w.setTerms(t, "alpha", contract.DNS, contract.AmberStrict, "")
		alpha.load(t, 0)
		if alpha.services[stays] != contract.DNS {
			t.Fatalf("%v without smtp", alpha.services)
		}
		head, err := w.desk.head(ctx, "alpha")
		must(t, err)
		must(t, w.desk.withholdAll(ctx))
		w.restart(t)
		must(t, w.desk.withholdAll(ctx))
		again, err := w.desk.head(ctx, "alpha")
		must(t, err)
		if head != again {
			t.Errorf("lowered again: the log went from %d to %d", head, again)
		}

		// The clearance comes back; the item does when somebody extends it.
		w.setTerms(t, "alpha", contract.AllServices, contract.AmberStrict, "S//SI TLP:AMBER+STRICT")
		alpha.load(t, 0)
		if len(alpha.objects) != 1 {
			t.Fatalf("it came back by itself: %v", alpha.services)
		}
		_, err = w.desk.Extend(ctx, bob, Ref{ID: loaded}, why, []Target{{"alpha", contract.DNS}})
		must(t, err)
		alpha.load(t, 0)
		if x := alpha.objects[loaded]; x == nil || strings.Contains(x.Pattern, "withdrawn") || x.Summary != "phishing" || x.Marking != contract.Amber {
			t.Fatalf("%+v", x)
		}
		reconciled(t, w, "alpha")
	})
}

// PAP:AMBER may be matched and not enforced: the object says so.
func TestAlertAlone(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		id, err := w.marked(t, "U TLP:GREEN PAP:AMBER", contract.Green)
		must(t, err)
		alpha := w.node("alpha")
		alpha.load(t, 0)
		if x := alpha.objects[id]; x == nil || x.Enforce || x.Action != contract.Alert || !x.Display || !x.Notify {
			t.Errorf("%+v", x)
		}
		_, err = w.marked(t, "U TLP:GREEN PAP:RED", contract.Green)
		if !errors.Is(err, ErrNoTarget) || !strings.Contains(err.Error(), "PAP:RED forbids any use on the network") {
			t.Errorf("PAP:RED: %v", err)
		}
	})
}

// TestVersions: over random histories, what one (id, modified) says is the same
// bytes in every log and page and for ever; modified rises; nothing follows a
// revoked version; and no provider is handed what is above its ceiling.
func TestVersions(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			h := &history{t: t, w: w, seen: map[string][]byte{}}
			for i := range 2 {
				p := fmt.Sprintf("v%d-%d", run, i)
				w.provider(t, p, "OPERATIONAL", contract.AllServices, contract.Red)
				h.nodes, h.ceiling = append(h.nodes, w.node(p)), append(h.ceiling, contract.Red)
			}
			rt.Repeat(map[string]func(*rapid.T){
				"release": h.release, "extend": h.extend, "recall": h.recall, "terms": h.terms, "state": h.state, "load": h.load, "": h.check,
			})
		})
	})
}

type history struct {
	t       *testing.T
	w       *world
	nodes   []*node
	ceiling []contract.TLP
	ids     []contract.ID
	seen    map[string][]byte // id and modified: bytes
}

func (h *history) targets(rt *rapid.T) (out []Target) {
	for _, n := range h.nodes {
		if svc := contract.Services(rapid.IntRange(0, 3).Draw(rt, "services")); svc != 0 {
			out = append(out, Target{n.provider, svc})
		}
	}
	return out
}

func (h *history) release(rt *rapid.T) {
	to := h.targets(rt)
	tlp := contract.TLP(rapid.IntRange(0, 3).Draw(rt, "tlp"))
	id := h.w.item(h.t, indicator.PendingFirst, func(it *indicator.Item) { it.TLP = tlp })
	must(h.t, h.w.desk.First(h.t.Context(), ann, Ref{ID: id}, why))
	_, err := h.w.desk.Second(h.t.Context(), bob, Ref{ID: id}, why, to)
	if err == nil {
		h.ids = append(h.ids, id)
	}
}

func (h *history) pick(rt *rapid.T) (contract.ID, bool) {
	if len(h.ids) == 0 {
		return contract.ID{}, false
	}
	return rapid.SampledFrom(h.ids).Draw(rt, "id"), true
}

func (h *history) extend(rt *rapid.T) {
	id, ok := h.pick(rt)
	if ok {
		_, _ = h.w.desk.Extend(h.t.Context(), bob, Ref{ID: id}, why, h.targets(rt)) // refused when it was recalled, or is there already
	}
}

func (h *history) recall(rt *rapid.T) {
	id, ok := h.pick(rt)
	if ok {
		_ = h.w.desk.Recall(h.t.Context(), bob, Ref{ID: id}, why) // refused the second time
	}
}

func (h *history) terms(rt *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(rt, "provider")
	h.ceiling[i] = contract.TLP(rapid.IntRange(0, 4).Draw(rt, "ceiling"))
	h.w.setTerms(h.t, h.nodes[i].provider, contract.Services(rapid.IntRange(1, 7).Draw(rt, "accredited")), h.ceiling[i], "")
}

func (h *history) state(rt *rapid.T) {
	n := h.nodes[rapid.IntRange(0, 1).Draw(rt, "provider")]
	h.w.setState(h.t, n.provider, rapid.SampledFrom([]string{"OPERATIONAL", "OPERATIONAL", "SUSPENDED", "TERMINATING"}).Draw(rt, "state"))
}

func (h *history) load(rt *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(rt, "provider")
	n := h.nodes[i]
	n.load(h.t, 0)
	fresh := h.w.node(n.provider)
	fresh.load(h.t, 0)
	if fresh.list.Root() != n.list.Root() {
		rt.Fatal("who begins anew has another list")
	}
	for id, x := range fresh.objects {
		if x.Marking > h.ceiling[i] {
			rt.Fatalf("%s is handed %s under %s", n.provider, id, x.Marking)
		}
		body, err := x.Canonical()
		must(h.t, err)
		h.note(rt, x, body)
	}
}

func (h *history) note(rt *rapid.T, x *contract.Indicator, body []byte) {
	key := x.ID.String() + " " + x.Modified.String()
	was, ok := h.seen[key]
	if ok && !bytes.Equal(was, body) {
		rt.Fatalf("%s says now\n%s\nand said\n%s", key, body, was)
	}
	h.seen[key] = body
}

func (h *history) check(rt *rapid.T) {
	for _, id := range h.ids {
		rows, err := h.w.db.QueryContext(h.t.Context(), `SELECT body FROM object WHERE item = $1 ORDER BY modified`, id.String())
		must(h.t, err)
		bodies, err := texts(rows)
		must(h.t, err)
		over, last := false, ""
		for _, body := range bodies {
			x, err := contract.ParseIndicator([]byte(body))
			must(h.t, err)
			h.note(rt, x, []byte(body))
			if over {
				rt.Fatalf("a version follows the revocation:\n%s\n%s", last, body)
			}
			over, last = x.Revoked, body
		}
	}
}
