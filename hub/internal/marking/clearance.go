package marking

import (
	"fmt"
	"slices"
	"strings"

	"ecs/contract"
)

// Clearance is what a person or a provider may have. The zero Clearance is
// unclassified, TLP:AMBER+STRICT, without compartments, nationality or
// organization. It is a value.
type Clearance struct {
	tlp      ceiling
	level    Level
	controls set
	names    [properties]set
}

// ceiling is a TLP marking counted from AMBER+STRICT, so that zero is that.
type ceiling int8

// NewClearance gives a clearance without more than a ceiling and a level.
func NewClearance(t contract.TLP, l Level) Clearance {
	return Clearance{tlp: ceiling(t) - ceiling(contract.AmberStrict), level: l}
}

// TLP gives the strictest marking that is within the clearance.
func (c Clearance) TLP() contract.TLP { return contract.TLP(c.tlp + ceiling(contract.AmberStrict)) }

// Level gives the highest classification that is within the clearance.
func (c Clearance) Level() Level { return c.level }

// String gives the canonical text: "S//SI/TK REL USA ORG USA.DHS TLP:AMBER+STRICT".
func (c Clearance) String() string {
	out := portion(c.level, c.controls)
	for i, names := range c.names {
		if len(names) > 0 {
			out += " " + propertyWords[i] + " " + strings.Join(names, ",")
		}
	}
	return out + " " + tlpRows[c.TLP()].mark
}

func portion(l Level, controls set) string {
	if len(controls) == 0 {
		return l.String()
	}
	return l.String() + "//" + strings.Join(controls, "/")
}

// ParseClearance reads a clearance as String gives it, in any order after the
// level. What is left out is as in the zero Clearance.
func ParseClearance(words string) (Clearance, error) {
	var c Clearance
	fields := strings.Fields(words)
	if len(fields) == 0 {
		return c, fmt.Errorf(`a clearance begins with its level, such as "U TLP:AMBER+STRICT"`)
	}
	var err error
	c.level, c.controls, err = readPortion(fields[0])
	if err != nil {
		return Clearance{}, err
	}
	fields = fields[1:]
	for len(fields) > 0 {
		if m, ok := traffic(fields[0]); ok && m.kind == KindTLP && strings.Contains(fields[0], ":") {
			c.tlp = ceiling(m.handling.tlp) - ceiling(contract.AmberStrict)
			fields = fields[1:]
			continue
		}
		i := slices.Index(propertyWords[:], fields[0])
		if i < 0 || len(fields) < 2 {
			return Clearance{}, fmt.Errorf("%q is no part of a clearance: want TLP:…, or REL, ORG, SHARE, ENTITY and names", fields[0])
		}
		names, err := readNames(fields[1])
		if err != nil {
			return Clearance{}, err
		}
		c.names[i] = newSet(append(c.names[i], names...)...)
		fields = fields[2:]
	}
	return c, nil
}

// readPortion reads "S//SI/TK".
func readPortion(words string) (Level, set, error) {
	name, rest, more := strings.Cut(words, "//")
	l := slices.Index(levelNames[:], name)
	if l < 0 {
		return 0, nil, fmt.Errorf("%q is not a level: want one of %s", name, strings.Join(levelNames[:], ", "))
	}
	if !more {
		return Level(l), nil, nil
	}
	controls := strings.Split(rest, "/")
	for _, name := range controls {
		if !validName(name) && name != everything {
			return 0, nil, fmt.Errorf("%q is not the name of a compartment: want A to Z, digits, dots and hyphens", name)
		}
	}
	return Level(l), newSet(controls...), nil
}

// in tells whether c is surely in a scope: each property that it limits has to be
// known and covered. Of organizations and groups one suffices, of nationalities all
// have to be.
func (c Clearance) in(s scope) bool {
	for i, a := range s {
		if !a.limited {
			continue
		}
		if i == nationalities {
			if len(c.names[i]) == 0 || slices.ContainsFunc(c.names[i], func(n string) bool { return !a.has(n) }) {
				return false
			}
		} else if !slices.ContainsFunc(c.names[i], a.has) {
			return false
		}
	}
	return true
}

// outside tells whether c is surely not in a scope: one property that it limits is
// known and not covered by any name.
func (c Clearance) outside(s scope) bool {
	for i, a := range s {
		if a.limited && len(c.names[i]) > 0 && !slices.ContainsFunc(c.names[i], a.has) {
			return true
		}
	}
	return false
}

// Holds tells whether somebody with this clearance may have the item: no read up.
// If not, reason says why, for a sentence such as "U TLP:GREEN is below TLP:RED".
func (h Handling) Holds(c Clearance) (ok bool, reason string) {
	if !h.read {
		return false, "does not reach an item without markings"
	}
	if h.tlp > c.TLP() {
		return false, "is below " + tlpRows[h.tlp].mark
	}
	if h.level > c.level {
		return false, "is below the level " + h.level.String()
	}
	for _, name := range h.controls {
		if name == everything || !c.controls.contains(name) {
			return false, "is not read into " + name
		}
	}
	for i, a := range h.who {
		var s scope
		s[i] = a
		if !c.in(s) {
			return false, "is not within " + a.phrase(i)
		}
	}
	if slices.ContainsFunc(h.rules, func(r rule) bool { return r.code == "unmarked" }) {
		return false, "does not reach an item without markings"
	}
	return true, ""
}
