package mail

import (
	"strings"

	"ecs/contract"
	"ecs/provider/internal/mail/mime"
	"ecs/provider/internal/match"
)

// Action is what happens to a message as a whole.
type Action uint8

// The actions.
const (
	Passed      Action = iota
	Alerted            // passed; at least one indicator matched
	Tagged             // passed with a header
	Quarantined        // held for some or all recipients
	Rejected
)

var actionNames = []string{"passed", "alerted", "tagged", "quarantined", "rejected"}

// String gives the action's name.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "unknown"
}

// Hit is one indicator that a message matches.
type Hit struct {
	Indicator contract.ID
	Category  contract.Category
	Marking   contract.TLP
	Place     mime.Place
	Enforce   bool
	What      string // what matched; empty when the marking forbids to show it
}

// Verdict says what a message is and what is done about it.
type Verdict struct {
	Action Action
	Hits   []Hit
	Reply  string // what the sending server is told, when the message is rejected
	mime.Result
}

func hitsOf(in []hit) []Hit {
	out := make([]Hit, 0, len(in))
	for i := range in {
		e := in[i].entry
		h := Hit{Indicator: e.ID, Category: e.Category, Marking: e.Marking, Place: in[i].place, Enforce: e.Enforce}
		if e.Display {
			h.What = strings.ToValidUTF8(string(in[i].what[:in[i].n]), "\uFFFD")
		}
		out = append(out, h)
	}
	return out
}

// refusal is the text that a sending server gets: the indicator's identifier
// always, its value never, and category and summary only if both its disclosure
// level and its marking let anybody know them, for the sending server is
// anybody.
func refusal(e *match.Entry) string {
	t := "Message refused by security policy, reference " + e.ID.String()
	if e.Marking == contract.Clear && e.Disclosure >= 1 {
		t += ", " + e.Category.String()
	}
	if e.Marking == contract.Clear && e.Disclosure >= 2 && e.Summary != "" {
		t += ": " + e.Summary
	}
	return t
}

// tagName is the header that tagged messages carry. Incoming ones of that name
// are forged and removed.
const tagName = "X-ECS"

func tagValue(e *match.Entry) string {
	v := "match; indicator=" + e.ID.String()
	if e.Disclosure >= 1 {
		v += "; category=" + e.Category.String()
	}
	return v
}
