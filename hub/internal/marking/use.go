package marking

import (
	"fmt"
	"strings"
)

// Use is something that we want to do with an indicator.
type Use uint8

// The uses.
const (
	Hold       Use = iota // keep it in the hub
	Detect                // match traffic against it and record matches
	Enforce               // block, sinkhole, quarantine: visible to the adversary (ACS NETDEF)
	Show                  // show its value to operators (ACS DSPLY)
	Notify                // tell a customer of a match (ACS TENOT)
	NameSource            // name who gave it (ACS IDSRC)
	PassOn                // give it to the program's providers
	Share                 // give it to anybody else (ACS further sharing)
	TearLine              // cut out its lower parts as an item of their own (ACS TEARLINE)
	uses
)

var useNames = [uses]string{"hold", "detect", "enforce", "show", "notify", "name-source", "pass-on", "share", "tear-line"}

var useWords = [uses]string{
	"be held", "be matched", "be enforced", "be shown", "be notified to customers", "have its source named",
	"be passed on to providers", "be shared further", "be torn at the tear line",
}

// Uses gives all uses, in the order of pages and reports.
func Uses() []Use {
	return []Use{Hold, Detect, Enforce, Show, Notify, NameSource, PassOn, Share, TearLine}
}

// String gives the name, such as "pass-on".
func (u Use) String() string {
	if u >= uses {
		return "unknown"
	}
	return useNames[u]
}

// No gives how a refusal of the use begins, such as "may not be passed on to
// providers".
func (u Use) No() string {
	if u >= uses {
		return "unknown use"
	}
	return "may not " + useWords[u]
}

// MarshalText implements [encoding.TextMarshaler].
func (u Use) MarshalText() ([]byte, error) {
	if u >= uses {
		return nil, fmt.Errorf("use %d is outside the closed list", u)
	}
	return []byte(useNames[u]), nil
}

// useSet is a set of uses, one bit each.
type useSet uint16

func of(list ...Use) (s useSet) {
	for _, u := range list {
		s |= 1 << u
	}
	return s
}

func (s useSet) has(u Use) bool { return s&(1<<u) != 0 }

// Reason is why one marking says no.
type Reason struct {
	Mark string `json:"mark"` // what was read: "PAP:AMBER"
	Text string `json:"text"` // "forbids actions that the adversary can see (PAP)"
}

// String gives both as one sentence part.
func (r Reason) String() string { return r.Mark + " " + r.Text }

// Answer is yes or no to one use, and all that says no.
type Answer struct {
	Use     Use      `json:"use"`
	Yes     bool     `json:"yes"`
	Reasons []Reason `json:"reasons,omitempty"` // of a no
}

// String gives a line such as "may not be enforced: PAP:AMBER forbids actions that
// the adversary can see (PAP)".
func (a Answer) String() string {
	if a.Use >= uses {
		return "unknown use"
	}
	if a.Yes {
		return "may " + useWords[a.Use]
	}
	parts := make([]string, len(a.Reasons))
	for i, r := range a.Reasons {
		parts[i] = r.String()
	}
	return a.Use.No() + ": " + strings.Join(parts, "; ")
}
