package marking

import (
	"slices"
	"strings"
)

// everything is the set that has outgrown its bound: as a demand it is met by
// nobody. It absorbs whatever is added, which keeps union associative.
const everything = "*"

// set is a sorted list of distinct names, joined by union.
type set []string

func newSet(names ...string) set {
	s := slices.Clone(names)
	slices.Sort(s)
	return slices.Compact(s)
}

// union gives the names of both, or [everything] when they are more than limit.
func (s set) union(other set, limit int) set {
	if len(other) == 0 {
		return s
	}
	if len(s) == 0 && len(other) <= limit {
		return other
	}
	out := newSet(append(slices.Clone(s), other...)...)
	if len(out) > limit || slices.Contains(out, everything) {
		return set{everything}
	}
	return out
}

func (s set) contains(name string) bool {
	_, ok := slices.BinarySearch(s, name)
	return ok
}

// includes tells whether all names of other are in s.
func (s set) includes(other set) bool {
	if s.contains(everything) {
		return true
	}
	for _, name := range other {
		if !s.contains(name) {
			return false
		}
	}
	return true
}

// audience is who may have something, by one property of theirs. With limited
// unset that is everybody; otherwise those whom one of the names covers, and with
// no names nobody.
type audience struct {
	limited bool
	names   set // none covers another
}

func everybody() audience { return audience{} }

func only(names ...string) audience { return audience{limited: true, names: broadest(names)} }

// covers tells whether a name stands also for another: USA.DHS for
// USA.DHS.US-CERT, and USA.USG, the federal government, for all of USA.
func covers(name, other string) bool {
	if rest, ok := strings.CutPrefix(other, name); ok && (rest == "" || rest[0] == '.') {
		return true
	}
	return name == "USA.USG" && strings.HasPrefix(other, "USA.")
}

// broadest drops names that another one covers.
func broadest(names []string) set {
	all := newSet(names...)
	out := set{}
	for i, name := range all {
		covered := slices.ContainsFunc(all[:i], func(o string) bool { return covers(o, name) }) ||
			slices.ContainsFunc(all[i+1:], func(o string) bool { return covers(o, name) })
		if !covered {
			out = append(out, name)
		}
	}
	return out
}

// and gives those who are in both.
func (a audience) and(b audience) audience {
	switch {
	case !a.limited:
		return b
	case !b.limited:
		return a
	}
	var out []string
	for _, x := range a.names {
		for _, y := range b.names {
			switch {
			case covers(x, y):
				out = append(out, y)
			case covers(y, x):
				out = append(out, x)
			}
		}
	}
	return only(out...)
}

// has tells whether one name is in the audience.
func (a audience) has(name string) bool {
	return !a.limited || slices.ContainsFunc(a.names, func(n string) bool { return covers(n, name) })
}

// within tells whether everybody in a is in b.
func (a audience) within(b audience) bool {
	if !b.limited {
		return true
	}
	if !a.limited {
		return false
	}
	return !slices.ContainsFunc(a.names, func(n string) bool { return !b.has(n) })
}
