package marking

import "ecs/contract"

// Level is a classification, ordered (Executive Order 13526 section 1.2, with U
// below).
type Level uint8

// The levels.
const (
	Unclassified Level = iota
	Confidential
	Secret
	TopSecret
)

var levelNames = [...]string{"U", "C", "S", "TS"}

// String gives the portion mark: U, C, S, TS.
func (l Level) String() string {
	if int(l) >= len(levelNames) {
		return "unknown"
	}
	return levelNames[l]
}

// PAP is a mark of the Permissible Actions Protocol, ordered from the most open to
// the most restrictive. Without one, nothing is said, as with PAP:CLEAR.
type PAP uint8

// The marks of PAP.
const (
	PAPClear PAP = iota
	PAPGreen
	PAPAmber
	PAPRed
)

var papNames = [...]string{"CLEAR", "GREEN", "AMBER", "RED"}

// papRefs are the marking-definitions that the OASIS extension for PAP publishes,
// the only ones that it allows.
var papRefs = map[string]PAP{
	"marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92": PAPClear,
	"marking-definition--a3bea94c-b469-41dc-9cfe-d6e7daba7730": PAPClear, // white
	"marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9": PAPGreen,
	"marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab": PAPAmber,
	"marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e": PAPRed,
}

// String gives "PAP:AMBER" and the like.
func (p PAP) String() string {
	if int(p) >= len(papNames) {
		return "PAP:unknown"
	}
	return "PAP:" + papNames[p]
}

// The most that a customer may be told (contract.Indicator.Disclosure).
const (
	tellOccurrence = 0 // that it happened
	tellCategory   = 1
	tellSummary    = 2
	tellPattern    = 3
)

// row is one row of the mapping: what a marking denies, how much of the matter a
// customer may be told, and why.
type row struct {
	mark   string // as printed; a rule with an argument adds it
	denies useSet
	tell   uint8
	reason string
}

// tlpRows are FIRST TLP 2.0. A provider that is accredited counts as part of the
// recipient to whom a source gives, except for RED, which is personal.
var tlpRows = [...]row{
	contract.Clear:       {"TLP:CLEAR", 0, tellPattern, "limits no disclosure"},
	contract.Green:       {"TLP:GREEN", 0, tellPattern, "keeps it from the public, not from the community"},
	contract.Amber:       {"TLP:AMBER", of(Share), tellPattern, "keeps it to the recipient's organization and its clients (FIRST TLP 2.0)"},
	contract.AmberStrict: {"TLP:AMBER+STRICT", of(Share), tellOccurrence, "keeps it to the recipient's organization (FIRST TLP 2.0)"},
	contract.Red:         {"TLP:RED", of(Notify, PassOn, Share), tellOccurrence, "is for the individual recipients alone (FIRST TLP 2.0)"},
}

// papRows are the Permissible Actions Protocol of the MISP taxonomies.
var papRows = [...]row{
	PAPClear: {"PAP:CLEAR", 0, tellPattern, "restricts no action"},
	PAPGreen: {"PAP:GREEN", 0, tellPattern, "allows active measures, blocking among them"},
	PAPAmber: {"PAP:AMBER", of(Enforce), tellSummary, "forbids actions that the adversary can see (PAP)"},
	PAPRed:   {"PAP:RED", of(Enforce, Detect), tellSummary, "forbids any use on the network (PAP)"},
}

// levelRows are the classifications.
var levelRows = [...]row{
	Unclassified: {"U", 0, tellPattern, "restricts nothing"},
	Confidential: {"C", of(Share), tellOccurrence, "is classified: only for cleared people and providers"},
	Secret:       {"S", of(Share), tellOccurrence, "is classified: only for cleared people and providers"},
	TopSecret:    {"TS", of(Share), tellOccurrence, "is classified: only for cleared people and providers"},
}
