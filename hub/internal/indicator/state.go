package indicator

import (
	"fmt"
	"slices"
)

// State is where an item stands in its life.
type State string

// The states, in the order in which an item passes them.
const (
	Received       State = "RECEIVED"        // read and canonical, nothing checked yet
	PrivacyGate    State = "PRIVACY_GATE"    // waits for a privacy officer's determination
	Marked         State = "MARKED"          // determination made, handling set
	TechValidation State = "TECH_VALIDATION" // stopped by a technical check, waits for two overrides
	PendingFirst   State = "PENDING_FIRST"   // waits for the first (technical) approval
	PendingSecond  State = "PENDING_SECOND"  // waits for the release authority
	Approved       State = "APPROVED"        // two approvals by two persons
	Released       State = "RELEASED"        // in the log of at least one provider
	InForce        State = "IN_FORCE"        // loaded by at least one provider

	Expired    State = "EXPIRED"    // past its valid_until
	Revoked    State = "REVOKED"    // recalled
	Superseded State = "SUPERSEDED" // replaced by another item
	Returned   State = "RETURNED"   // back to the source, with reasons
	Rejected   State = "REJECTED"   // will not be released
	Purged     State = "PURGED"     // content gone, tombstone left
)

// States lists all states in their order.
var States = []State{
	Received, PrivacyGate, Marked, TechValidation, PendingFirst, PendingSecond, Approved, Released, InForce,
	Expired, Revoked, Superseded, Returned, Rejected, Purged,
}

// transitions is the table of the life cycle. A privacy officer may pull an item
// that nobody has approved back into the gate; validity runs out in any state.
var transitions = map[State][]State{
	Received:       {PrivacyGate, Returned, Rejected, Expired},
	PrivacyGate:    {Marked, Returned, Rejected, Expired, Purged},
	Marked:         {TechValidation, Returned, Rejected, Expired},
	TechValidation: {PendingFirst, PrivacyGate, Returned, Rejected, Expired},
	PendingFirst:   {PendingSecond, PrivacyGate, Superseded, Returned, Rejected, Expired},
	PendingSecond:  {Approved, PrivacyGate, Superseded, Returned, Rejected, Expired},
	Approved:       {Released, Superseded, Rejected, Revoked, Expired},
	Released:       {InForce, Superseded, Revoked, Expired},
	InForce:        {Superseded, Revoked, Expired},
	Expired:        {Purged},
	Revoked:        {Purged},
	Superseded:     {Purged},
	Returned:       {Purged},
	Rejected:       {Purged},
}

// ParseState reads a state's name, in capitals as it is stored.
func ParseState(s string) (State, error) {
	if slices.Contains(States, State(s)) {
		return State(s), nil
	}
	return "", fmt.Errorf("unknown state %q: want one of %v", s, States)
}

// Ended reports whether an item in this state has left for good: it is in force
// nowhere and its pattern may come back as a new item.
func (s State) Ended() bool {
	switch s {
	case Expired, Revoked, Superseded, Returned, Rejected, Purged:
		return true
	default:
		return false
	}
}

// Open reports whether what sources say may still change the item: nobody has
// approved its release.
func (s State) Open() bool {
	switch s {
	case Received, PrivacyGate, Marked, TechValidation, PendingFirst:
		return true
	default:
		return false
	}
}

// Next lists the states that the table allows after s.
func (s State) Next() []State { return slices.Clone(transitions[s]) }

// CanMove reports whether the table has a transition from one state to another.
// Whether the guard lets an item through is another question, see [Guard].
func CanMove(from, to State) bool { return slices.Contains(transitions[from], to) }
