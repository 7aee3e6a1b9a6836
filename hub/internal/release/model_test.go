package release

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

// row is one (item, service) at a provider as the slow model sees it: nothing
// but what happened, and when.
type row struct {
	released, recalled, delivered, loaded, refused, removed, until time.Time
}

func past(t, at time.Time) bool { return !t.IsZero() && !t.After(at) }

// balance counts rows one by one.
func balance(rows []*row, overdue time.Duration, provider string, at time.Time) Balance {
	b := Balance{Provider: provider, At: at}
	for _, r := range rows {
		if !past(r.released, at) {
			continue
		}
		b.Released++
		switch {
		case past(r.loaded, at):
			b.Loaded++
			switch {
			case past(r.removed, at):
				b.Removed++
			case past(r.until, at):
				b.Ended++
			case past(r.recalled, at):
				b.Removing++
			default:
				b.InForce++
			}
		case past(r.refused, at):
			b.Refused++
		case past(r.until, at), past(r.removed, at), past(r.recalled, at) && !past(r.delivered, at):
			b.Lapsed++
		default:
			since := r.released
			if past(r.recalled, at) {
				since = r.recalled
			}
			if at.Sub(since) >= overdue {
				b.Overdue++
			} else {
				b.Pending++
			}
		}
	}
	return b
}

type rowKey struct {
	id  contract.ID
	svc contract.Services
	old int // 0: the newest of its rows; else one that was taken back before it
}

// machine drives two hubs on one database and two providers.
type machine struct {
	w     *world
	t     *testing.T
	desks [2]*Desk
	sites []*site
	live  []contract.ID
	until map[contract.ID]time.Time
	past  []Balance
}

type site struct {
	*node
	rows     map[rowKey]*row
	order    []rowKey
	sent     []contract.SignedAck
	rejoined bool // lost all since the last receipt
}

func (m *machine) step(rt *rapid.T) (*Desk, *site) {
	time.Sleep(time.Millisecond) // each act has a moment of its own
	d := m.desks[rapid.IntRange(0, 1).Draw(rt, "hub")]
	m.w.desk = d
	return d, m.sites[rapid.IntRange(0, 1).Draw(rt, "provider")]
}

func (m *machine) release(rt *rapid.T) {
	d, _ := m.step(rt)
	n := rapid.IntRange(1, 4).Draw(rt, "items")
	var targets []Target
	for _, s := range m.sites {
		svc := contract.Services(rapid.IntRange(0, 3).Draw(rt, "services"))
		if svc != 0 {
			targets = append(targets, Target{s.provider, svc})
		}
	}
	if len(targets) == 0 {
		return
	}
	var ids []contract.ID
	until := map[contract.ID]time.Time{}
	for range n {
		life := time.Duration(rapid.IntRange(1, 200).Draw(rt, "seconds")) * time.Second
		var end time.Time
		id := m.w.item(m.t, indicator.PendingFirst, func(it *indicator.Item) {
			it.ValidUntil = it.Created.Add(life)
			end = milli(it.ValidUntil)
		})
		ids, until[id] = append(ids, id), end
	}
	b, err := d.FirstAll(m.t.Context(), ann, ids, why, nil)
	must(m.t, err)
	if b.Done == n {
		b, err = d.SecondAll(m.t.Context(), bob, ids, why, targets, nil)
		must(m.t, err)
	}
	if b.Done != n {
		rt.Fatalf("bulk: %+v", b)
	}
	for _, id := range ids {
		m.live, m.until[id] = append(m.live, id), until[id]
		for _, t := range targets {
			s := m.site(t.Provider)
			for _, svc := range t.Services.Each() {
				s.rows[rowKey{id: id, svc: svc}] = &row{released: time.Now(), until: until[id]}
				s.order = append(s.order, rowKey{id: id, svc: svc})
			}
		}
	}
}

// extend sends what is released already to more services.
func (m *machine) extend(rt *rapid.T) {
	d, s := m.step(rt)
	if len(m.live) == 0 {
		return
	}
	id := rapid.SampledFrom(m.live).Draw(rt, "item")
	to := Target{s.provider, contract.Services(rapid.IntRange(1, 3).Draw(rt, "services"))}
	if past(m.until[id], time.Now().Add(time.Millisecond)) {
		return
	}
	fresh := to.Services
	for _, svc := range to.Services.Each() {
		r := s.rows[rowKey{id: id, svc: svc}]
		if r != nil && r.recalled.IsZero() {
			fresh &^= svc
		}
	}
	out, err := d.Extend(m.t.Context(), bob, Ref{ID: id}, why, []Target{to})
	if fresh == 0 {
		if !errors.Is(err, ErrNoTarget) {
			rt.Fatalf("extended twice: %v", err)
		}
		return
	}
	must(m.t, err)
	if len(out.Released) != 1 || out.Released[0].Services != fresh {
		rt.Fatalf("%+v, want %s", out, fresh)
	}
	for _, svc := range fresh.Each() {
		k := rowKey{id: id, svc: svc}
		if s.rows[k] != nil {
			s.rows[rowKey{id, svc, len(s.rows)}] = s.rows[k]
			s.order = slices.DeleteFunc(s.order, func(o rowKey) bool { return o == k })
		}
		s.rows[k] = &row{released: time.Now(), until: m.until[id]}
		s.order = append(s.order, k)
	}
}

// suspend freezes a provider, or withdraws everything from it, and reinstates it.
func (m *machine) suspend(rt *rapid.T) {
	d, s := m.step(rt)
	all := rapid.Bool().Draw(rt, "withdraw")
	m.w.setState(m.t, s.provider, "SUSPENDED")
	if all {
		_, err := d.Withdraw(m.t.Context(), olga, s.provider, why)
		must(m.t, err)
	} else {
		must(m.t, d.withholdAll(m.t.Context()))
	}
	now := time.Now()
	for _, r := range s.rows {
		waiting := r.delivered.IsZero() && r.loaded.IsZero() && r.refused.IsZero()
		if (all || waiting) && r.recalled.IsZero() && r.removed.IsZero() && !past(r.until, now) {
			r.recalled = now
		}
	}
	time.Sleep(time.Millisecond)
	m.w.setState(m.t, s.provider, "OPERATIONAL")
}

func (m *machine) site(provider string) *site {
	for _, s := range m.sites {
		if s.provider == provider {
			return s
		}
	}
	return nil
}

func (m *machine) recall(rt *rapid.T) {
	d, _ := m.step(rt)
	if len(m.live) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.live)-1).Draw(rt, "item")
	id := m.live[i]
	m.live = slices.Delete(m.live, i, i+1)
	if m.w.state(m.t, id) == indicator.Expired {
		return
	}
	must(m.t, d.Recall(m.t.Context(), bob, Ref{ID: id}, why))
	for _, s := range m.sites {
		for k, r := range s.rows {
			if k.id == id && r.recalled.IsZero() {
				r.recalled = time.Now()
			}
		}
	}
}

// page hands a page over; lost ones are handed over as far as the hub knows.
func (m *machine) page(rt *rapid.T) {
	_, s := m.step(rt)
	m.read(rt, s, rapid.IntRange(1, 5).Draw(rt, "limit"), rapid.Bool().Draw(rt, "lost"))
}

func (m *machine) read(rt *rapid.T, s *site, limit int, lost bool) (more bool) {
	page, err := m.w.desk.Changes(m.t.Context(), s.provider, s.seq, limit)
	must(m.t, err)
	for _, e := range page.Entries {
		x, err := contract.ParseIndicator(e.Object)
		must(m.t, err)
		for _, svc := range e.Services.Each() {
			r := s.rows[rowKey{id: x.ID, svc: svc}]
			if r == nil {
				rt.Fatalf("%s got %s for %s, which was never released to it", s.provider, x.ID, svc)
			}
			if r.delivered.IsZero() {
				r.delivered = time.Now()
			}
		}
	}
	if !lost {
		s.apply(m.t, page)
	}
	return page.More
}

// ack loads all that is there and sends a receipt, which may get lost, may
// refuse what is new, and is remembered so that it can come again.
func (m *machine) ack(rt *rapid.T) {
	_, s := m.step(rt)
	limit := rapid.IntRange(1, 50).Draw(rt, "limit")
	for m.read(rt, s, limit, false) {
	}
	if s.point.Sequence < s.acked {
		return
	}
	if rapid.IntRange(0, 3).Draw(rt, "fate") == 0 {
		return // never arrives: the next one speaks of its entries too
	}
	time.Sleep(time.Millisecond)
	refused := map[rowKey]bool{}
	var list []contract.Refusal
	for _, k := range s.order {
		r := s.rows[k]
		if s.services[k.id].Has(k.svc) && r.loaded.IsZero() && rapid.IntRange(0, 5).Draw(rt, "refuse") == 0 {
			refused[k] = true
			list = append(list, contract.Refusal{ID: k.id, Services: k.svc, Reason: contract.TooMany})
		}
	}
	signed := s.receipt(m.t, list...)
	must(m.t, m.w.desk.Acknowledge(m.t.Context(), s.provider, "serial-"+s.provider, signed))
	s.sent = append(s.sent, signed)
	now := time.Now()
	for k, r := range s.rows {
		has := s.services[k.id].Has(k.svc) && k.old == 0
		switch {
		case !has && r.removed.IsZero() && (past(r.until, s.point.Issued) || !r.recalled.IsZero()):
			r.removed = now
		case has && refused[k]:
			if r.refused.IsZero() {
				r.refused = now
			}
		case has && r.loaded.IsZero():
			if r.refused.IsZero() || s.rejoined {
				r.loaded = now
			}
		}
		if has && !r.recalled.IsZero() {
			rt.Fatalf("%s has %s in force after its recall", s.provider, k.id)
		}
	}
	s.rejoined = false
}

func (m *machine) again(rt *rapid.T) {
	_, s := m.step(rt)
	if len(s.sent) == 0 {
		return
	}
	signed := rapid.SampledFrom(s.sent).Draw(rt, "receipt")
	must(m.t, m.w.desk.Acknowledge(m.t.Context(), s.provider, "serial-"+s.provider, signed))
}

func (m *machine) sleep(rt *rapid.T) {
	d, _ := m.step(rt)
	time.Sleep(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
	_, err := d.Expire(m.t.Context())
	must(m.t, err)
}

func (m *machine) restart(rt *rapid.T) {
	i := rapid.IntRange(0, 1).Draw(rt, "which")
	m.w.restart(m.t)
	m.desks[i] = m.w.desk
}

// forget is a node that lost its vault and begins anew.
func (m *machine) forget(rt *rapid.T) {
	_, s := m.step(rt)
	point := s.point
	s.node = m.w.node(s.provider)
	s.point, s.rejoined = point, true
}

func (m *machine) check(rt *rapid.T) {
	time.Sleep(time.Millisecond)
	for _, s := range m.sites {
		want := balance(slices.Collect(maps.Values(s.rows)), m.w.cfg.Overdue, s.provider, time.Now().UTC())
		if !want.Holds() {
			rt.Fatalf("the model is wrong: %+v", want)
		}
		got, err := m.desks[0].Reconcile(m.t.Context(), s.provider, want.At)
		must(m.t, err)
		d := cmp.Diff(want, got)
		if d != "" {
			rt.Fatalf("balance (-model +desk):\n%s", d)
		}
		in, err := m.desks[0].InForce(m.t.Context(), s.provider, want.At, contract.ID{}, 1000)
		must(m.t, err)
		n := int64(0)
		for _, x := range in {
			n += int64(len(x.Services.Each()))
		}
		if n != want.InForce+want.Removing {
			rt.Fatalf("%d in force, the model has %d", n, want.InForce+want.Removing)
		}
		m.past = append(m.past, want)
	}
}

// Random releases, recalls, ends, losses, repetitions and restarts: a node that
// applies pages always arrives at the checkpoint's list, and the ledger says at
// every moment, then and later, what the model says.
func TestAgainstModel(t *testing.T) {
	for engine, dsn := range map[string]func(testing.TB) string{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.PostgreSQL} {
		t.Run(engine, func(t *testing.T) {
			name := dsn(t)
			synctest.Test(t, func(t *testing.T) {
				db, err := openStore(name)
				must(t, err)
				defer func() { must(t, db.Close()) }()
				model(t, db)
			})
		})
	}
}

func model(t *testing.T, db *sqldb.DB) {
	w := newWorld(t, db)
	w.cfg.Overdue, w.cfg.CheckpointLife = time.Minute, time.Minute
	run := 0
	rapid.Check(struct{ testing.TB }{t}, func(rt *rapid.T) { // a bubble has no Deadline
		run++
		m := &machine{w: w, t: t, until: map[contract.ID]time.Time{}}
		for i := range m.desks {
			w.restart(t)
			m.desks[i] = w.desk
		}
		for i := range 2 {
			p := fmt.Sprintf("p%d-%d", run, i)
			w.provider(t, p, "OPERATIONAL", contract.AllServices, contract.Red)
			m.sites = append(m.sites, &site{node: w.node(p), rows: map[rowKey]*row{}})
		}
		rt.Repeat(map[string]func(*rapid.T){
			"release": m.release, "extend": m.extend, "recall": m.recall, "suspend": m.suspend, "page": m.page, "ack": m.ack, "again": m.again,
			"sleep": m.sleep, "restart": m.restart, "forget": m.forget, "": m.check,
		})
		for _, b := range m.past {
			got, err := m.desks[0].Reconcile(t.Context(), b.Provider, b.At)
			must(t, err)
			d := cmp.Diff(b, got)
			if d != "" {
				rt.Fatalf("looking back (-then +now):\n%s", d)
			}
		}
	})
}
