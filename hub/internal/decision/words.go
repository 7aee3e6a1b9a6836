package decision

import "fmt"

// Action is what a provider would do with an object.
type Action uint8

// The actions. All but [Receive] speak of what the provider was given before, and
// none of them is allowed where [Hold] is not.
const (
	Receive    Action = iota // be handed it now: a log entry, an object of a collection
	Hold                     // go on having it in force
	Detect                   // match traffic against it and alert
	Enforce                  // block, sinkhole, quarantine
	Show                     // show its value to operators
	Notify                   // tell a customer of a match
	NameSource               // know who gave it to the program
	Export                   // be given it in a file that people can read
	actions
)

var actionNames = [actions]string{"receive", "hold", "detect", "enforce", "show", "notify", "name-source", "export"}

// Actions gives all of them, in the order of pages.
func Actions() []Action {
	return []Action{Receive, Hold, Detect, Enforce, Show, Notify, NameSource, Export}
}

// String gives the name, such as "name-source".
func (a Action) String() string {
	if a >= actions {
		return "unknown"
	}
	return actionNames[a]
}

// MarshalText implements [encoding.TextMarshaler].
func (a Action) MarshalText() ([]byte, error) {
	if a >= actions {
		return nil, fmt.Errorf("decision: action %d is outside the closed list", a)
	}
	return []byte(actionNames[a]), nil
}

// Code is the kind of a reason, stable, for programs.
type Code string

// The codes.
const (
	CodeAction        Code = "action"         // outside the closed list
	CodeProvider      Code = "no-provider"    // there is no such provider
	CodeService       Code = "no-service"     // not exactly one service of the program
	CodeStanding      Code = "standing"       // the provider's state, or everything was withdrawn
	CodeBegins        Code = "not-yet"        // the accreditation begins later
	CodeEnded         Code = "ended"          // the accreditation ended
	CodeNotAccredited Code = "not-accredited" // not for this service
	CodeCeiling       Code = "ceiling"        // TLP above what the provider may have
	CodeClearance     Code = "clearance"      // level, compartment or audience
	CodeUnobservable  Code = "unobservable"   // the service cannot observe the pattern
	CodeMarking       Code = "marking"        // a marking denies the use
	CodeSource        Code = "source"         // the source denied the use beside its markings
	CodeState         Code = "state"          // not approved, or taken back
	CodeExpired       Code = "expired"        // past valid_until
	CodeEarly         Code = "not-valid-yet"  // before valid_from
	CodeAuthority     Code = "authority"      // no source's authority is in force
	CodePrivacy       Code = "privacy"        // no determination
)

// Reason is one thing that says no.
type Reason struct {
	Code Code   `json:"code"`
	Text string `json:"text"` // for people; the same for the same cause
}

// Decision is the answer to one question. Reasons are those of a denial.
type Decision struct {
	Allowed bool     `json:"allowed"`
	Reasons []Reason `json:"reasons,omitempty"`
}

// Text gives the reasons as one sentence part.
func (d *Decision) Text() string {
	out := ""
	for i, r := range d.Reasons {
		if i > 0 {
			out += "; "
		}
		out += r.Text
	}
	return out
}

func (d *Decision) no(c Code, format string, args ...any) {
	d.Reasons = append(d.Reasons, Reason{Code: c, Text: fmt.Sprintf(format, args...)})
}
