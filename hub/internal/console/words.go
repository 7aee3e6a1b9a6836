package console

import (
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/web"
)

// step is one place at which indicators wait for people.
type step struct {
	Key   string // in addresses
	State indicator.State
	Name  string
	Whom  string
	Roles []string
}

// steps in the order of an indicator's way.
var steps = []step{
	{"privacy", indicator.PrivacyGate, "Privacy gate", "a privacy officer", []string{"privacy_officer"}},
	{"override", indicator.TechValidation, "Technical stops", "two persons who override, or a return", []string{"pmo_analyst", "release_authority"}},
	{"first", indicator.PendingFirst, "First approval", "an analyst", []string{"pmo_analyst"}},
	{"second", indicator.PendingSecond, "Second approval", "a release authority", []string{"release_authority"}},
}

// sign is a state as a page shows it: words, and a tone for icon and color.
type sign struct{ Tone, Text string }

var itemSigns = map[indicator.State]sign{
	indicator.Received:       {"plain", "Received"},
	indicator.PrivacyGate:    {"wait", "At the privacy gate"},
	indicator.Marked:         {"plain", "Marked"},
	indicator.TechValidation: {"wait", "Stopped by checks"},
	indicator.PendingFirst:   {"wait", "Waits for first approval"},
	indicator.PendingSecond:  {"wait", "Waits for second approval"},
	indicator.Approved:       {"plain", "Approved"},
	indicator.Released:       {"plain", "Released"},
	indicator.InForce:        {"good", "In force"},
	indicator.Expired:        {"over", "Expired"},
	indicator.Revoked:        {"over", "Recalled"},
	indicator.Superseded:     {"over", "Superseded"},
	indicator.Returned:       {"over", "Returned to source"},
	indicator.Rejected:       {"over", "Rejected"},
	indicator.Purged:         {"over", "Purged"},
}

func signOf(s indicator.State) sign {
	x, ok := itemSigns[s]
	if !ok {
		return sign{"plain", string(s)}
	}
	return x
}

var deliverySigns = map[release.Status]sign{
	release.Queued:         {"wait", "Queued"},
	release.Delivered:      {"wait", "Delivered, not acknowledged"},
	release.Overdue:        {"bad", "Overdue: no acknowledgment"},
	release.Loaded:         {"good", "In force"},
	release.RefusedThere:   {"bad", "Refused by the provider"},
	release.RemovalQueued:  {"wait", "Removal queued"},
	release.RemovalSent:    {"wait", "Removal sent"},
	release.RemovalOverdue: {"bad", "Removal overdue: no acknowledgment"},
	release.Ended:          {"over", "Ended by itself"},
	release.RemovedThere:   {"over", "Removed"},
	release.Lapsed:         {"over", "Lapsed before it was loaded"},
}

func deliverySign(s release.Status) sign {
	x, ok := deliverySigns[s]
	if !ok {
		return sign{"plain", string(s)}
	}
	return x
}

func providerSign(s program.State) sign {
	switch s {
	case program.Operational:
		return sign{"good", "Operational"}
	case program.Accredited:
		return sign{"good", "Accredited"}
	case program.Suspended:
		return sign{"bad", "Suspended"}
	case program.Terminating, program.Terminated, program.Withdrawn, program.Ineligible:
		return sign{"over", web.Words(s)}
	default:
		return sign{"wait", web.Words(s)}
	}
}

// problemTexts say in plain words why a provider kept its old list.
var problemTexts = map[string]string{
	"bad-note":    "Refused the newest list: its checkpoint does not bear the program's signature.",
	"wrong-list":  "Refused the newest list: its entries do not add up to what the checkpoint states.",
	"older":       "Refused the newest list: it is older than one that was loaded before.",
	"expired":     "Refused the newest list: its checkpoint had already expired.",
	"future-time": "Refused the newest list: it was issued in the provider's future; one of the two clocks is wrong.",
	"unreadable":  "Could not read the newest list.",
	"no-storage":  "Could not store the newest list; it is not in force there.",
}

func problemText(code string) string {
	if code == "" || code == "none" {
		return ""
	}
	t, ok := problemTexts[code]
	if !ok {
		return "Reports a problem: " + code + "."
	}
	return t
}
