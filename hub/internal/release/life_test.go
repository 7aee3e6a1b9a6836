package release

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

// deedDone is one decision as the slow model remembers it.
type deedDone struct {
	kind, person string
	was, became  indicator.State
	undone       bool
	stops        int // how many stops were known then
}

// life is an item as the slow model sees it: its history, and nothing derived.
type life struct {
	id    contract.ID
	state indicator.State
	stops int // technical stops found so far
	done  []deedDone
	taken bool // handed to a node that may have it in force
	order bool // its purge is ordered
}

// stands gives who decided something of a kind that still counts: not taken back, and
// for approvals not before a determination that counts.
func (l *life) stands(kind string) []string {
	var out []string
	for i, d := range l.done {
		void := d.undone
		for _, later := range l.done[i+1:] {
			if later.kind == "privacy" && !later.undone && slices.Contains([]string{"first", "second", "emergency"}, kind) {
				void = true
			}
		}
		if d.kind == kind && !void {
			out = append(out, d.person)
		}
	}
	return out
}

// busy tells whether a person has one of the parts that exclude each other, other
// than the one that is to be taken.
func (l *life) busy(person, kind string) bool {
	if person == "Sam" { // submitted all of them
		return true
	}
	for _, k := range []string{"privacy", "first", "second", "emergency", "ratify"} {
		if k != kind && slices.Contains(l.stands(k), person) {
			return !(kind == "privacy" && k != "ratify") // which makes these void
		}
	}
	return false
}

// overriders gives the persons who overrode all stops that are known.
func (l *life) overriders() []string {
	var out []string
	for _, d := range l.done {
		if d.kind == "override" && !d.undone && d.stops == l.stops {
			out = append(out, d.person)
		}
	}
	return out
}

func (l *life) stopped() bool { return l.stops > 0 && len(l.overriders()) < 2 }

func (l *life) in(states ...indicator.State) bool { return slices.Contains(states, l.state) }

// persons gives every role of the person behind an account.
func allRoles(cast []signin.Account, person string) []string {
	var out []string
	for _, a := range cast {
		if a.Person == person {
			out = append(out, a.Roles...)
		}
	}
	return out
}

// lives drives the desk and the model together.
type lives struct {
	w     *world
	t     *testing.T
	cast  []signin.Account
	items []*life
	alpha *node
}

func (m *lives) pick(rt *rapid.T) (*life, signin.Account) {
	if len(m.items) == 0 {
		m.begin(rt)
	}
	return rapid.SampledFrom(m.items).Draw(rt, "item"), rapid.SampledFrom(m.cast).Draw(rt, "actor")
}

// begin puts an item where intake may have left it.
func (m *lives) begin(rt *rapid.T) {
	at := rapid.SampledFrom([]indicator.State{indicator.PrivacyGate, indicator.TechValidation, indicator.PendingFirst}).Draw(rt, "state")
	l := &life{state: at}
	l.id = m.w.item(m.t, at, func(it *indicator.Item) {
		if at == indicator.PrivacyGate {
			it.Privacy = indicator.Undetermined
		}
	})
	m.items = append(m.items, l)
	if at == indicator.TechValidation {
		m.find(l)
	}
}

func (m *lives) find(l *life) {
	l.stops++
	must(m.t, m.w.db.Write(m.t.Context(), func(tx *sql.Tx) error {
		return indicator.AddFinding(m.t.Context(), tx, indicator.Finding{
			Item: l.id, Code: "V2-WARNING-LIST", Severity: indicator.Stop, Detail: fmt.Sprint(l.stops), At: m.w.desk.clock.now(),
		})
	}))
}

// did compares what the desk said with what the model expects, and moves the model.
func (m *lives) did(rt *rapid.T, l *life, a signin.Account, kind string, want bool, to indicator.State, err error) {
	if (err == nil) != want {
		rt.Fatalf("%s by %s (%s) in %s, %d stops, history %+v: the desk says %v, the model %v", kind, a.Login, a.Person, l.state, l.stops, l.done, err, want)
	}
	if !want {
		return
	}
	if kind != "hold" && kind != "purge" {
		l.done = append(l.done, deedDone{kind: kind, person: a.Person, was: l.state, became: to, stops: l.stops})
	}
	l.state = to
}

// onward is where the automatic steps lead after a determination or an override.
func (l *life) onward(persons int) indicator.State {
	if l.stops > 0 && persons < 2 {
		return indicator.TechValidation
	}
	return indicator.PendingFirst
}

func (m *lives) privacy(rt *rapid.T) {
	l, a := m.pick(rt)
	want := a.Has("privacy_officer") && l.in(indicator.PrivacyGate) && !l.busy(a.Person, "privacy")
	to := l.onward(len(l.overridersEver()))
	m.did(rt, l, a, "privacy", want, to, m.w.desk.Privacy(m.t.Context(), a, Ref{ID: l.id}, indicator.NotPresent, why))
}

// overridersEver counts persons who overrode at any time: that is what the automatic
// step asks; the desk asks again, for those since the newest stop, at each approval.
func (l *life) overridersEver() []string {
	var out []string
	for _, d := range l.done {
		if d.kind == "override" && !d.undone && !slices.Contains(out, d.person) {
			out = append(out, d.person)
		}
	}
	return out
}

func (m *lives) starter(a signin.Account) bool {
	return !slices.Contains(allRoles(m.cast, a.Person), "privacy_officer")
}

func (m *lives) override(rt *rapid.T) {
	l, a := m.pick(rt)
	asked := l.overriders()
	want := a.Any("pmo_analyst", "release_authority") && m.starter(a) && l.in(indicator.TechValidation, indicator.PendingFirst, indicator.PendingSecond) &&
		l.stopped() && a.Person != "Sam" && !slices.Contains(asked, a.Person) && (len(asked) == 0 || a.Has("release_authority"))
	to := l.state
	if len(asked) == 1 && to == indicator.TechValidation {
		to = indicator.PendingFirst
	}
	m.did(rt, l, a, "override", want, to, m.w.desk.Override(m.t.Context(), a, Ref{ID: l.id}, why))
}

func (m *lives) first(rt *rapid.T) {
	l, a := m.pick(rt)
	want := a.Has("pmo_analyst") && m.starter(a) && l.in(indicator.PendingFirst) && !l.stopped() && !l.busy(a.Person, "first")
	m.did(rt, l, a, "first", want, indicator.PendingSecond, m.w.desk.First(m.t.Context(), a, Ref{ID: l.id}, why))
}

func (m *lives) second(rt *rapid.T) {
	l, a := m.pick(rt)
	want := a.Has("release_authority") && m.starter(a) && l.in(indicator.PendingSecond) && !l.stopped() && !l.busy(a.Person, "second")
	_, err := m.w.desk.Second(m.t.Context(), a, Ref{ID: l.id}, why, []Target{{"alpha", contract.DNS}})
	m.did(rt, l, a, "second", want, indicator.Released, err)
}

func (m *lives) emergency(rt *rapid.T) {
	l, a := m.pick(rt)
	want := a.Has("release_authority") && m.starter(a) && l.in(indicator.PendingFirst) && !l.stopped() && !l.busy(a.Person, "emergency")
	_, err := m.w.desk.Emergency(m.t.Context(), a, Ref{ID: l.id}, why, []Target{{"alpha", contract.DNS}}, time.Hour)
	m.did(rt, l, a, "emergency", want, indicator.Released, err)
}

func (m *lives) ratify(rt *rapid.T) {
	l, a := m.pick(rt)
	want := a.Any("pmo_analyst", "release_authority") && m.starter(a) && l.in(indicator.Released, indicator.InForce) &&
		len(l.stands("emergency")) > 0 && len(l.stands("ratify")) == 0 && !l.busy(a.Person, "ratify")
	m.did(rt, l, a, "ratify", want, l.state, m.w.desk.Ratify(m.t.Context(), a, Ref{ID: l.id}, why))
}

func (m *lives) hold(rt *rapid.T) {
	l, a := m.pick(rt)
	want := a.Has("privacy_officer") && l.in(indicator.TechValidation, indicator.PendingFirst, indicator.PendingSecond)
	m.did(rt, l, a, "hold", want, indicator.PrivacyGate, m.w.desk.Hold(m.t.Context(), a, Ref{ID: l.id}, why))
}

var waits = []indicator.State{indicator.PrivacyGate, indicator.TechValidation, indicator.PendingFirst, indicator.PendingSecond}

func (m *lives) refuse(rt *rapid.T) {
	l, a := m.pick(rt)
	want := a.Any("pmo_analyst", "release_authority", "privacy_officer") && l.in(waits...)
	if rapid.Bool().Draw(rt, "return") {
		m.did(rt, l, a, "return", want, indicator.Returned, m.w.desk.ReturnFor(m.t.Context(), a, Ref{ID: l.id}, Why{Code: Incomplete}))
		return
	}
	m.did(rt, l, a, "reject", want, indicator.Rejected, m.w.desk.RejectFor(m.t.Context(), a, Ref{ID: l.id}, Why{Code: FalsePositive}))
}

func (m *lives) recall(rt *rapid.T) {
	l, a := m.pick(rt)
	want := a.Any("pmo_analyst", "release_authority", "privacy_officer", "gfi_officer") && l.in(indicator.Released, indicator.InForce)
	m.did(rt, l, a, "recall", want, indicator.Revoked, m.w.desk.RecallFor(m.t.Context(), a, Ref{ID: l.id}, Why{Code: FalsePositive}))
}

func (m *lives) undo(rt *rapid.T) {
	l, a := m.pick(rt)
	at := len(l.done) - 1
	for at >= 0 && l.done[at].undone {
		at--
	}
	want := at >= 0 && a.Any("pmo_analyst", "release_authority", "privacy_officer", "gfi_officer") && l.done[at].person == a.Person &&
		slices.Contains([]string{"privacy", "override", "first", "return", "reject"}, l.done[at].kind) && l.state == l.done[at].became
	err := m.w.desk.Undo(m.t.Context(), a, Ref{ID: l.id}, why)
	if (err == nil) != want {
		rt.Fatalf("undo by %s in %s, history %+v: the desk says %v, the model %v", a.Login, l.state, l.done, err, want)
	}
	if want {
		l.state, l.done[at].undone = l.done[at].was, true
	}
}

func (m *lives) purge(rt *rapid.T) {
	l, a := m.pick(rt)
	want := a.Has("privacy_officer") && !l.order
	to := indicator.Purged
	if l.taken && l.in(indicator.Released, indicator.InForce, indicator.Revoked) {
		to = indicator.Revoked // until the node has confirmed
	}
	if l.in(indicator.Released, indicator.InForce) && want {
		l.done = append(l.done, deedDone{kind: "recall", person: a.Person, was: l.state, became: indicator.Revoked})
	}
	m.did(rt, l, a, "purge", want, to, m.w.desk.Purge(m.t.Context(), a, Ref{ID: l.id}, Why{Code: PersonalData}))
	l.order = l.order || want
}

// load lets the node read and confirm all that there is.
func (m *lives) load(rt *rapid.T) {
	m.alpha.load(m.t, 0)
	m.alpha.ack(m.t)
	m.w.desk.tick(m.t.Context())
	for _, l := range m.items {
		l.taken = l.in(indicator.Released, indicator.InForce)
		switch {
		case l.state == indicator.Released:
			l.state = indicator.InForce
		case l.order:
			l.state = indicator.Purged
		}
	}
}

func (m *lives) stop(rt *rapid.T) {
	l, _ := m.pick(rt)
	if l.in(indicator.PendingFirst, indicator.PendingSecond, indicator.TechValidation) {
		m.find(l)
	}
}

// check holds the model against what is stored, and looks at the rules themselves:
// nobody is there twice, and what got out had two persons.
func (m *lives) check(rt *rapid.T) {
	for _, l := range m.items {
		it, err := indicator.Get(m.t.Context(), m.w.db, l.id)
		must(m.t, err)
		if it.State != l.state {
			rt.Fatalf("%s is %s, the model says %s: %+v", l.id, it.State, l.state, l.done)
		}
		ds, err := indicator.Decisions(m.t.Context(), m.w.db, l.id)
		must(m.t, err)
		if !slices.Contains([]indicator.State{indicator.Released, indicator.InForce}, it.State) {
			continue
		}
		part := map[string]string{"Sam": "submitter"}
		n := 0
		for _, x := range indicator.Standing(ds) {
			switch x.Kind {
			case indicator.KindPrivacy, indicator.KindFirst, indicator.KindSecond, indicator.KindEmergency, indicator.KindRatify:
				was, twice := part[x.Person]
				if twice && was != x.Kind {
					rt.Fatalf("%s is %s and %s of %s (SOD-1)", x.Person, was, x.Kind, l.id)
				}
				part[x.Person] = x.Kind
			}
			switch x.Kind {
			case indicator.KindFirst, indicator.KindSecond:
				n++
			case indicator.KindEmergency:
				n += 2
			}
			if slices.Contains([]string{indicator.KindFirst, indicator.KindSecond, indicator.KindEmergency, indicator.KindRatify, indicator.KindOverride}, x.Kind) && x.Person == "Carol" {
				rt.Fatalf("a privacy officer started %s by %s (SOD-6)", l.id, x.Kind)
			}
		}
		if n < 2 {
			rt.Fatalf("%s got out with %d approvals", l.id, n)
		}
	}
}

// Every transition of the life cycle by every actor: the desk permits exactly what a
// slow model of the rules permits, and ends where it ends.
func TestLifeAgainstModel(t *testing.T) {
	for engine, c := range map[string]struct {
		dsn  func(testing.TB) string
		runs int
	}{"sqlite": {sqldbtest.SQLite, 1 << 30}, "postgres": {sqldbtest.PostgreSQL, 12}} {
		t.Run(engine, func(t *testing.T) {
			db, err := openStore(c.dsn(t))
			must(t, err)
			defer func() { must(t, db.Close()) }()
			livesOn(t, db, c.runs)
		})
	}
}

func livesOn(t *testing.T, db *sqldb.DB, runs int) {
	w := newWorld(t, db)
	cast := []signin.Account{ann, bob, carol, dave, ann2, carl2, gil, subs, olga, root}
	m := &lives{w: w, t: t, cast: cast, alpha: w.node("alpha")}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		if n > runs {
			return
		}
		m.items = nil
		rt.Repeat(map[string]func(*rapid.T){
			"begin": m.begin, "privacy": m.privacy, "override": m.override, "first": m.first, "second": m.second, "emergency": m.emergency,
			"ratify": m.ratify, "hold": m.hold, "refuse": m.refuse, "recall": m.recall, "undo": m.undo, "purge": m.purge, "load": m.load, "stop": m.stop,
			"": m.check,
		})
	})
	_, err := audit.Verify(context.Background(), db)
	must(t, err)
}

// The table and the guards by themselves: no way into the world leads around the
// privacy gate and both approvals, and an ended item comes back by no transition.
func TestNoWayAround(t *testing.T) {
	seen := map[indicator.State]bool{}
	var walk func(s indicator.State, path []string)
	walk = func(s indicator.State, path []string) {
		path = append(path, string(s))
		if s == indicator.Released {
			text := strings.Join(path, " ")
			for _, need := range []indicator.State{indicator.PrivacyGate, indicator.Marked, indicator.TechValidation, indicator.PendingFirst, indicator.PendingSecond, indicator.Approved} {
				if !strings.Contains(text, string(need)) {
					t.Errorf("%s goes around %s", text, need)
				}
			}
			return
		}
		for _, next := range s.Next() {
			if s.Ended() && next != indicator.Purged {
				t.Errorf("%s leads on to %s", s, next)
			}
			seen[next] = true
			if !slices.Contains(path, string(next)) {
				walk(next, path)
			}
		}
	}
	walk(indicator.Received, nil)
	for _, s := range indicator.States[1:] {
		if !seen[s] && s != indicator.InForce {
			t.Errorf("nothing leads to %s", s)
		}
	}
}
