package marking

import (
	"slices"
	"time"

	"ecs/contract"
)

// The most names of each kind in one handling. More of them are met by nobody.
const (
	maxControls = 64
	maxAudience = 256
)

// Who may have something is limited by four properties (ACS 3.0).
const (
	nationalities = iota
	organizations
	shareability
	entities
	properties
)

// Handling is what all markings of one item say together. It is a value: its
// methods give new ones. The zero Handling is that of an item of which no marking
// was read; it permits nothing. Use Equal or the text to compare.
type Handling struct {
	read     bool
	tlp      contract.TLP
	pap      PAP
	level    Level
	controls set // compartments and caveats that one has to be read into
	who      [properties]audience
	rules    []rule // normal
	dispose  time.Time
	how      set // of disposal, at dispose
	from     time.Time
	until    time.Time
}

var (
	open     = Handling{read: true}
	unmarked = Handling{read: true, tlp: contract.Red, rules: []rule{{code: "unmarked"}}}
)

// Open is the handling without any restriction, the least of all: TLP:CLEAR.
func Open() Handling { return open }

func (h Handling) known() Handling {
	if !h.read {
		return unmarked
	}
	return h
}

// Combine gives what several marks say together: the most restrictive of each.
// Without marks it is the zero Handling, which permits nothing. Marks that do not
// say who may have it, such as PAP, leave TLP:CLEAR: see [CombineOr].
func Combine(marks ...Mark) Handling {
	if len(marks) == 0 {
		return Handling{}
	}
	h := marks[0].Handling()
	for _, m := range marks[1:] {
		h = h.Join(m.Handling())
	}
	return h
}

// CombineOr is Combine for what a source delivers: unless one of the marks says who
// may have the item, what the source says by default counts as well.
func CombineOr(byDefault Handling, marks ...Mark) Handling {
	if len(marks) == 0 {
		return byDefault.known()
	}
	h := Combine(marks...)
	if !slices.ContainsFunc(marks, Mark.SaysWho) {
		h = h.Join(byDefault)
	}
	return h
}

// Join gives what holds when both hold: their least upper bound. It is
// associative, commutative and idempotent.
func (h Handling) Join(o Handling) Handling {
	h, o = h.known(), o.known()
	out := Handling{
		read: true, tlp: max(h.tlp, o.tlp), pap: max(h.pap, o.pap), level: max(h.level, o.level),
		controls: h.controls.union(o.controls, maxControls),
		from:     h.from, until: earlier(h.until, o.until),
	}
	if o.from.After(h.from) {
		out.from = o.from
	}
	for i := range out.who {
		out.who[i] = h.who[i].and(o.who[i])
	}
	switch {
	case len(o.rules) == 0:
		out.rules = h.rules
	case len(h.rules) == 0:
		out.rules = o.rules
	default:
		out.rules = normal(append(slices.Clone(h.rules), o.rules...))
	}
	switch {
	case h.dispose.Equal(o.dispose):
		out.dispose, out.how = h.dispose, h.how.union(o.how, maxArgs)
	case earlier(h.dispose, o.dispose).Equal(h.dispose):
		out.dispose, out.how = h.dispose, h.how
	default:
		out.dispose, out.how = o.dispose, o.how
	}
	return out
}

// earlier gives the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Dominates tells whether h restricts at least as much as o in every respect.
func (h Handling) Dominates(o Handling) bool {
	h, o = h.known(), o.known()
	if h.tlp < o.tlp || h.pap < o.pap || h.level < o.level || !h.controls.includes(o.controls) ||
		h.from.Before(o.from) || !earlier(h.until, o.until).Equal(h.until) {
		return false
	}
	for i := range h.who {
		if !h.who[i].within(o.who[i]) {
			return false
		}
	}
	for _, r := range o.rules {
		if !says(h.rules, r) {
			return false
		}
	}
	if h.dispose.Equal(o.dispose) {
		return h.how.includes(o.how)
	}
	return earlier(h.dispose, o.dispose).Equal(h.dispose)
}

// Equal tells whether both say the same.
func (h Handling) Equal(o Handling) bool { return h.String() == o.String() }

// TLP gives the strictest Traffic Light Protocol marking.
func (h Handling) TLP() contract.TLP { return h.known().tlp }

// PAP gives the strictest mark of the Permissible Actions Protocol.
func (h Handling) PAP() PAP { return h.pap }

// Level gives the highest classification.
func (h Handling) Level() Level { return h.level }

// Controls gives the compartments and caveats that one has to be read into.
func (h Handling) Controls() []string { return slices.Clone(h.controls) }

// ReleasableTo gives the nationalities that it may be released to; limited false
// means that nothing limits them.
func (h Handling) ReleasableTo() (nations []string, limited bool) {
	return slices.Clone(h.who[nationalities].names), h.who[nationalities].limited
}

// Disposition gives the earliest time at which it has to be disposed of, zero for
// none, and how, in the words of the markings.
func (h Handling) Disposition() (at time.Time, how []string) { return h.dispose, slices.Clone(h.how) }

// Unknown tells whether one of its markings is not known here, or none was read.
func (h Handling) Unknown() bool {
	return slices.ContainsFunc(h.known().rules, func(r rule) bool { return r.code == "unknown" || r.code == "unmarked" })
}

// Sealed tells whether it may be enforced but not shown: ACS NETDEF permit with
// DSPLY deny. There is no other flag for it.
func (h Handling) Sealed() bool {
	yes, no := true, false
	for _, r := range h.rows() {
		yes = yes && !r.denies.has(Enforce)
		no = no || r.denies.has(Show)
	}
	return yes && no
}
