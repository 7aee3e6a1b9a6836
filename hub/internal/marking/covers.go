package marking

import "slices"

// Covers tells whether whoever has clearance c may have everything that whoever has
// clearance o may have: for each handling h, h.Holds(o) implies h.Holds(c). It errs
// on the side of no: more nationalities than o's do not cover, because an item has
// to be releasable to all of them.
func (c Clearance) Covers(o Clearance) bool {
	if c.tlp < o.tlp || c.level < o.level || !c.controls.includes(o.controls) {
		return false
	}
	for i := range c.names {
		switch {
		case len(o.names[i]) == 0: // what is limited in this respect is not for o
		case i == nationalities:
			if len(c.names[i]) == 0 || slices.ContainsFunc(c.names[i], func(n string) bool { return !o.names[i].contains(n) }) {
				return false
			}
		case !c.names[i].includes(o.names[i]):
			return false
		}
	}
	return true
}
