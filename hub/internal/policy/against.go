package policy

import (
	"fmt"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// Codes of the findings that compare an item with what the hub already knows.
const (
	CodeSubsumed     = "V8-SUBSUMED"     // a living indicator covers it already
	CodeSubsumes     = "V8-SUBSUMES"     // it would make living indicators needless
	CodeContradicted = "V9-CONTRADICTED" // somebody said or decided the opposite
)

// Standing is what the hub holds of a value.
type Standing string

// The standings. Living neighbors are for V8, all others for V9.
const (
	Living        Standing = "living"         // not ended: on its way, released or in force
	Benign        Standing = "benign"         // a source called it harmless (STIX indicator_types "benign", a count-0 sighting)
	FalsePositive Standing = "false-positive" // recalled or rejected as a false positive
	Rejected      Standing = "rejected"       // rejected for another reason
	Recalled      Standing = "recalled"       // recalled for another reason
)

// Neighbor is a value that the store found by the keys of [Lookups] or in the
// range of [Below], with what is held of it.
type Neighbor struct {
	ID       contract.ID // of the item; zero for a statement without one
	Atom     observable.Atom
	Standing Standing
	State    indicator.State
	Services contract.Services // that the item can be seen by; 0: not known
	Who      string            // source or login that said so; empty: not known
	At       time.Time         // when; zero: not known
}

// relation says how a neighbor stands to an atom of the subject.
type relation uint8

const (
	apart relation = iota
	same
	above // the neighbor covers the atom
	below // the atom covers the neighbor
)

func relate(n, a observable.Atom) relation {
	switch {
	case n == a:
		return same
	case covers(n, a):
		return above
	case covers(a, n):
		return below
	default:
		return apart
	}
}

// Against compares a subject with its neighbors. A living one that covers an atom
// warns as [CodeSubsumed], one that is covered as [CodeSubsumes]. What was called
// benign or recalled as a false positive stops as [CodeContradicted] when the
// subject would match it, and warns when the subject is only a part of it; what
// was rejected or recalled for another reason warns. The same item is no neighbor
// of itself: leave it out. Neighbors that are apart say nothing, so that a store
// may hand over more than needed.
func (c *Checker) Against(s *Subject, neighbors []Neighbor, now time.Time) []indicator.Finding {
	r := report{at: now}
	for _, n := range neighbors {
		for _, a := range s.Atoms {
			rel := relate(n.Atom, a)
			if rel == apart {
				continue
			}
			if n.Standing == Living {
				r.subsumption(rel, n, a)
			} else {
				r.contradiction(rel, n, a)
			}
		}
	}
	return r.found
}

func (r *report) subsumption(rel relation, n Neighbor, a observable.Atom) {
	switch rel {
	case same:
		r.warn(CodeSubsumed, fmt.Sprintf("%s %s is also in indicator %s%s", a.Kind, a, n.ID, n.in()))
	case above:
		r.warn(CodeSubsumed, fmt.Sprintf("%s %s is covered already by %s of indicator %s%s", a.Kind, a, n.Atom, n.ID, n.in()))
	case below:
		r.warn(CodeSubsumes, fmt.Sprintf("%s %s covers %s of indicator %s%s", a.Kind, a, n.Atom, n.ID, n.in()))
	}
}

func (r *report) contradiction(rel relation, n Neighbor, a observable.Atom) {
	said := map[Standing]string{
		Benign: "was called benign", FalsePositive: "was found to be a false positive",
		Rejected: "was rejected before", Recalled: "was recalled before",
	}[n.Standing]
	if said == "" {
		return
	}
	sev := indicator.Warn
	if rel != above && (n.Standing == Benign || n.Standing == FalsePositive) {
		sev = indicator.Stop
	}
	if n.Who != "" {
		said += " by " + n.Who
	}
	if !n.At.IsZero() {
		said += " on " + n.At.UTC().Format(time.DateOnly)
	}
	if !n.ID.IsZero() {
		said += ", indicator " + n.ID.String()
	}
	subject := fmt.Sprintf("%s %s", n.Atom.Kind, n.Atom)
	switch rel {
	case above:
		subject += ", which covers " + a.String() + ","
	case below:
		subject += ", which " + a.String() + " would match,"
	}
	r.add(CodeContradicted, sev, subject+" "+said)
}

func (n *Neighbor) in() string {
	if n.State == "" {
		return ""
	}
	return " (" + string(n.State) + ")"
}
