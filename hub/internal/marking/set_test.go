package marking

import (
	"slices"
	"testing"

	"ecs/contract"

	"pgregory.net/rapid"
)

// TestAudience compares audiences with asking each name one by one.
func TestAudience(t *testing.T) {
	everyName := []string{"USA", "USA.USG", "USA.USG.X", "USA.DHS", "USA.DHS.US-CERT", "USA.DHS.US-CERT.A", "USA.DHSX", "USAX", "ISAC", "ISAC.A", "GBR", "GBR.X", "GBR.X.Y", "FRA"}
	rapid.Check(t, func(t *rapid.T) {
		a, b := audiences(everyName...).Draw(t, "a"), audiences(everyName...).Draw(t, "b")
		both := a.and(b)
		inside := true
		for _, name := range everyName {
			if both.has(name) != (a.has(name) && b.has(name)) {
				t.Fatalf("%s: in both %t, in %v %t, in %v %t", name, both.has(name), a, a.has(name), b, b.has(name))
			}
			inside = inside && (!a.has(name) || b.has(name))
		}
		if a.within(b) && !inside {
			t.Fatalf("%v is not within %v", a, b)
		}
		// Everybody is more than all names that we know; otherwise names tell.
		if (a.limited || !b.limited) && a.within(b) != inside {
			t.Fatalf("within is %t for %v and %v", a.within(b), a, b)
		}
	})
}

// TestMoreClearance shows that who is cleared for more loses nothing.
func TestMoreClearance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, c := handlings().Draw(t, "h"), clearances().Draw(t, "c")
		more := NewClearance(max(c.TLP(), contract.TLP(rapid.IntRange(0, 4).Draw(t, "tlp"))), max(c.Level(), Level(rapid.IntRange(0, 3).Draw(t, "level"))))
		more.controls = newSet(append(slices.Clone(c.controls), names("SI", "TK", "FISA").Draw(t, "controls")...)...)
		more.names = c.names
		more.names[organizations] = newSet(append(slices.Clone(c.names[organizations]), names("USA.DHS", "ISAC", "GBR.X").Draw(t, "orgs")...)...)
		less, _ := h.Holds(c)
		now, why := h.Holds(more)
		if less && !now {
			t.Fatalf("%s holds %s, %s does not: %s", c, h, more, why)
		}
	})
}
