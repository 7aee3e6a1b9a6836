package marking

import (
	"testing"

	"pgregory.net/rapid"
)

// TestCoversMeansMayHaveAll is what Covers promises: whatever the one may have, the
// other may have as well.
func TestCoversMeansMayHaveAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := clearances().Draw(t, "o")
		c := o
		if rapid.Bool().Draw(t, "another") {
			c = clearances().Draw(t, "c")
		}
		if !c.Covers(o) {
			return
		}
		h := handlings().Draw(t, "h")
		less, _ := h.Holds(o)
		more, why := h.Holds(c)
		if less && !more {
			t.Fatalf("%s covers %s, and may not have what the other may: %s", c, o, why)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		c := clearances().Draw(t, "c")
		if !c.Covers(c) || !c.Covers(Clearance{}) && c.TLP() >= (Clearance{}).TLP() {
			t.Fatalf("%s does not cover itself, or nothing", c)
		}
	})
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		c, o string
		want bool
	}{
		{"U TLP:RED", "U TLP:AMBER", true},
		{"U TLP:AMBER", "U TLP:RED", false},
		{"S TLP:RED", "U TLP:RED", true},
		{"U TLP:RED", "C TLP:RED", false},
		{"S//SI/TK TLP:RED", "S//SI TLP:RED", true},
		{"S//TK TLP:RED", "S//SI TLP:RED", false},
		{"S REL USA TLP:RED", "S REL USA,GBR TLP:RED", true}, // what is releasable to both is to one
		{"S REL USA,GBR TLP:RED", "S REL USA TLP:RED", false},
		{"S TLP:RED", "S REL USA TLP:RED", false},
		{"S ORG USA.DHS,USA.DOD TLP:RED", "S ORG USA.DHS TLP:RED", true},
		{"S ORG USA.DHS TLP:RED", "S ORG USA.DHS,USA.DOD TLP:RED", false},
	} {
		c, err := ParseClearance(tt.c)
		if err != nil {
			t.Fatal(err)
		}
		o, err := ParseClearance(tt.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Covers(o); got != tt.want {
			t.Errorf("%s covers %s: %v", c, o, got)
		}
	}
}
