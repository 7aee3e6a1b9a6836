package review

import "ecs/hub/internal/intake"

// Reason is one of a closed list: a code that statistics count, and the sentence
// that stands in the decision when the person adds no words.
type Reason struct{ Code, Text string }

// Clear is the code of an approval of what the checks found nothing about.
const Clear = "checks-clear"

// AcceptedRisk is the code of an approval of what the checks found something about.
const AcceptedRisk = "accepted-risk"

// reasons are why something is approved. Why something is returned, rejected or
// recalled is the matter of hub/internal/release.
var reasons = map[string][]Reason{
	"first": {
		{Clear, "All checks were made; nothing speaks against it."},
		{"corroborated", "Named by several independent sources."},
		{"own-analysis", "Confirmed by own analysis."},
		{"incident", "Seen in an incident that is being handled."},
		{AcceptedRisk, "The findings were looked at; the risk is acceptable."},
	},
	"second": {
		{"threat", "The threat concerns customers of the chosen providers; the first approval was looked at."},
		{"corroborated", "Named by several independent sources; the first approval was looked at."},
		{AcceptedRisk, "The findings were looked at; the risk is acceptable at the chosen providers."},
	},
	"override": {
		{"worth-it", "The harm that it prevents is greater than what else may be hit."},
		{"list-wrong", "The list or check that stops it is wrong about it."},
		{"dedicated", "The name or address serves nobody else at present."},
	},
	"privacy": {
		{"none-found", "Looked at every text and value: no personal data."},
		{"role", "The address belongs to a role or to a machine, not to a person."},
		{"threat-value", "The element is what the threat is recognized by: without it nothing can be blocked."},
	},
}

// Usual gives the code that an approval begins with: that the checks found nothing is
// said only where they found nothing. What markings forbid speaks against nothing.
func Usual(codes []string) string {
	for _, c := range codes {
		if c != intake.CodeMarking {
			return AcceptedRisk
		}
	}
	return Clear
}

// Reasons gives the closed list for an act, the likeliest first.
func Reasons(act string) []Reason { return reasons[act] }
