package marking

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ecs/contract"

	"pgregory.net/rapid"
)

var (
	day   = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	words = rapid.StringMatching(`[a-zA-Z0-9 .:"\\/é=-]{1,20}`)
)

func names(pool ...string) *rapid.Generator[[]string] {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 0, 3, rapid.ID)
}

func audiences(pool ...string) *rapid.Generator[audience] {
	return rapid.Custom(func(t *rapid.T) audience {
		if rapid.Bool().Draw(t, "everybody") {
			return everybody()
		}
		return only(names(pool...).Draw(t, "names")...)
	})
}

var (
	nations = audiences("USA", "GBR", "FRA", "AUS")
	orgs    = audiences("USA", "USA.USG", "USA.DHS", "USA.DHS.US-CERT", "ISAC", "GBR.X")
	groups  = audiences("NCC", "EM")
	kinds   = audiences("GOV", "CTR")
)

func scopes() *rapid.Generator[scope] {
	return rapid.Custom(func(t *rapid.T) scope {
		return scope{nations.Draw(t, "nations"), orgs.Draw(t, "orgs"), groups.Draw(t, "groups"), kinds.Draw(t, "kinds")}
	})
}

func codes() []string {
	var out []string
	for code := range ruleRows {
		if code != "unmarked" {
			out = append(out, code)
		}
	}
	slices.Sort(out)
	return out
}

func rules() *rapid.Generator[rule] {
	return rapid.Custom(func(t *rapid.T) rule {
		r := rule{code: rapid.SampledFrom(codes()).Draw(t, "code")}
		if rapid.Bool().Draw(t, "bare") {
			return r
		}
		switch ruleRows[r.code].arg {
		case text:
			r.arg = clean(words.Draw(t, "text"))
		case scoped:
			if rapid.Bool().Draw(t, "only") {
				r.arg = exceptFor(rapid.SliceOfN(scopes(), 1, 2).Draw(t, "scopes"))
			} else {
				r.arg = against(scopes().Draw(t, "scope"))
			}
		case nothing:
		}
		return r
	})
}

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		n := rapid.IntRange(0, 3).Draw(t, "days")
		if n == 0 {
			return time.Time{}
		}
		return day.Add(time.Duration(n) * 24 * time.Hour)
	})
}

// handlings draws any handling, from its parts.
func handlings() *rapid.Generator[Handling] {
	return rapid.Custom(func(t *rapid.T) Handling {
		h := Handling{
			read: true, tlp: contract.TLP(rapid.IntRange(0, 4).Draw(t, "tlp")), pap: PAP(rapid.IntRange(0, 3).Draw(t, "pap")),
			level: Level(rapid.IntRange(0, 3).Draw(t, "level")), controls: newSet(names("SI", "TK", "FISA").Draw(t, "controls")...),
			who: scopes().Draw(t, "who"), rules: normal(rapid.SliceOfN(rules(), 0, 4).Draw(t, "rules")),
			from: times().Draw(t, "from"), until: times().Draw(t, "until"), dispose: times().Draw(t, "dispose"),
		}
		if !h.dispose.IsZero() {
			h.how = newSet(names("destroy", "archive").Draw(t, "how")...)
		}
		if rapid.IntRange(0, 19).Draw(t, "unmarked") == 0 {
			return Handling{}
		}
		return h
	})
}

// clearances draws any clearance.
func clearances() *rapid.Generator[Clearance] {
	return rapid.Custom(func(t *rapid.T) Clearance {
		c := NewClearance(contract.TLP(rapid.IntRange(0, 4).Draw(t, "tlp")), Level(rapid.IntRange(0, 3).Draw(t, "level")))
		c.controls = newSet(names("SI", "TK", "FISA").Draw(t, "controls")...)
		for i, pool := range [][]string{{"USA", "GBR"}, {"USA.DHS", "USA.DHS.US-CERT", "ISAC"}, {"NCC"}, {"GOV", "CTR"}} {
			c.names[i] = newSet(names(pool...).Draw(t, propertyWords[i])...)
		}
		return c
	})
}

// TestLattice proves what Join and Dominates promise.
func TestLattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := handlings().Draw(t, "a"), handlings().Draw(t, "b"), handlings().Draw(t, "c")
		same := func(law string, x, y Handling) {
			if x.String() != y.String() {
				t.Fatalf("%s:\n%s\n%s", law, x, y)
			}
		}
		same("idempotent", a.Join(a), a)
		same("commutative", a.Join(b), b.Join(a))
		same("associative", a.Join(b).Join(c), a.Join(b.Join(c)))
		same("Open is the least", a.Join(Open()), a)
		if !a.Dominates(a) || !a.Dominates(Open()) {
			t.Fatalf("the order is not reflexive, or Open is not below %s", a)
		}
		if a.Dominates(b) && b.Dominates(a) {
			same("antisymmetric", a, b)
		}
		if a.Dominates(b) && b.Dominates(c) && !a.Dominates(c) {
			t.Fatalf("not transitive:\n%s\n%s\n%s", a, b, c)
		}
		j := a.Join(b)
		if !j.Dominates(a) || !j.Dominates(b) {
			t.Fatalf("the join is no upper bound:\n%s\n%s\n%s", a, b, j)
		}
		// Every upper bound of both is above the join; a.Join(b).Join(c) is one, and so
		// is c if it happens to be.
		if c.Dominates(a) && c.Dominates(b) && !c.Dominates(j) {
			t.Fatalf("the join is not the least upper bound:\n%s\n%s\n%s\n%s", a, b, j, c)
		}
		if a.Dominates(b) {
			same("the join of comparable ones is the greater", j, a)
		} else if j.Equal(a) {
			t.Fatalf("the join says that a is above b, the order does not:\n%s\n%s", a, b)
		}
	})
}

// TestMonotone shows that who restricts more never permits more.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := handlings().Draw(t, "a"), handlings().Draw(t, "b"), clearances().Draw(t, "c")
		at := day.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "at")) * 24 * time.Hour)
		j := a.Join(b)
		for _, u := range Uses() {
			if j.May(u, at).Yes && !(a.May(u, at).Yes && b.May(u, at).Yes) {
				t.Fatalf("%s: together yes, alone no:\n%s\n%s", u, a, b)
			}
			if j.MayFor(u, c, at).Yes && !(a.MayFor(u, c, at).Yes && b.MayFor(u, c, at).Yes) {
				t.Fatalf("%s for %s: together yes, alone no:\n%s\n%s", u, c, a, b)
			}
			if a.May(u, at).Yes && len(a.May(u, at).Reasons) > 0 || !a.May(u, at).Yes && len(a.May(u, at).Reasons) == 0 {
				t.Fatalf("%s: answer and reasons differ: %v", u, a.May(u, at))
			}
		}
		together, _ := j.Disclosure()
		alone, _ := a.Disclosure()
		if together > alone {
			t.Fatalf("together a customer may be told more:\n%s\n%s", a, b)
		}
		held, _ := j.Holds(c)
		one, _ := a.Holds(c)
		if held && !one {
			t.Fatalf("%s holds both but not one:\n%s\n%s", c, a, b)
		}
	})
}

// TestText shows that texts and handlings are one to one.
func TestText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := handlings().Draw(t, "h")
		back, err := ParseHandling(h.String())
		if err != nil {
			t.Fatalf("%s: %v", h, err)
		}
		if back.String() != h.String() || !back.Dominates(h) || !h.Dominates(back) {
			t.Fatalf("%s came back as %s", h, back)
		}
		if strings.ContainsAny(h.String(), "\n\r\x00") {
			t.Fatalf("%q is not one line", h)
		}
		c := clearances().Draw(t, "c")
		again, err := ParseClearance(c.String())
		if err != nil || again.String() != c.String() {
			t.Fatalf("%s came back as %s (%v)", c, again, err)
		}
	})
}
