package marking

import (
	"cmp"
	"slices"
)

// rule is one restriction or duty that no axis of its own stands for. Its code has
// a row in [ruleRows]; its argument is a scope, a name or a text. A code without
// argument stands above all its arguments: everybody is meant, or more than we list.
type rule struct{ code, arg string }

// takes says what argument a code takes besides none.
type takes uint8

const (
	nothing takes = iota
	scoped        // a scope, see scope.go
	text          // free text, at most maxText bytes
)

const (
	maxArgs  = 8   // of one code; more become the code alone
	maxScope = 480 // bytes of an argument that is a scope
	maxText  = 240 // bytes of an argument; a statement is whole in its source object
)

type ruleRow struct {
	row
	arg takes
}

var (
	toActOn  = of(Detect, Enforce)
	allButIt = of(Detect, Enforce, Show, Notify, NameSource, PassOn, Share, TearLine)
)

// ruleRows is the mapping. A row without denials is a duty.
var ruleRows = map[string]ruleRow{
	"unmarked": {row{"no marking", allButIt | of(Hold), tellOccurrence, "was read, and what we do not know denies"}, nothing},
	"unknown":  {row{"unknown marking", allButIt, tellOccurrence, "is not known here, and what we do not know denies"}, text},

	"acs-netdef":   {row{"ACS NETDEF", toActOn, tellPattern, "does not permit network defense with it"}, scoped},
	"acs-dsply":    {row{"ACS DSPLY", of(Show), tellSummary, "does not permit its display"}, scoped},
	"acs-tenot":    {row{"ACS TENOT", of(Notify), tellPattern, "does not permit to notify targeted entities"}, scoped},
	"acs-idsrc":    {row{"ACS IDSRC", of(NameSource), tellPattern, "does not permit to identify the source"}, scoped},
	"acs-tearline": {row{"ACS TEARLINE", of(TearLine), tellPattern, "does not permit to remove components"}, scoped},
	"acs-sharing":  {row{"ACS further_sharing", of(PassOn, Share), tellPattern, "does not permit to pass it on"}, scoped},
	"acs-further":  {row{"ACS further_sharing", of(Share), tellPattern, "does not permit to pass it on beyond Enhanced Cybersecurity Services"}, scoped},

	"acs-ecs":  {row{"ACS NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA", of(Share), tellPattern, "is for Enhanced Cybersecurity Services alone"}, nothing},
	"acs-pcii": {row{"ACS PCII", of(Share, NameSource), tellCategory, "is protected critical infrastructure information (6 CFR 29)"}, nothing},
	"acs-les":  {row{"ACS LES", of(PassOn, Share, Notify), tellOccurrence, "is law enforcement sensitive"}, nothing},
	"acs-int":  {row{"ACS INT", of(Share), tellOccurrence, "is intelligence information"}, nothing},
	"acs-pii":  {row{"ACS PII", of(Share), tellSummary, "is about identifiable people"}, nothing},
	"acs-pr":   {row{"ACS PR", of(Share, NameSource), tellCategory, "is commercial proprietary information"}, nothing},
	"acs-tei":  {row{"ACS TEI", of(Share, NameSource), tellCategory, "is about a targeted entity"}, nothing},
	"acs-fouo": {row{"ACS FOUO", of(Share), tellSummary, "is for official use only"}, nothing},

	"acs-fisa":            {row{"ACS FISA", of(PassOn, Share, Notify), tellOccurrence, "needs what the Foreign Intelligence Surveillance Act asks for first"}, nothing},
	"acs-possiblepii":     {row{"ACS POSSIBLEPII", of(Share), tellSummary, "may be about identifiable people"}, nothing},
	"acs-cisaproprietary": {row{"ACS CISAPROPRIETARY", of(Share, NameSource), tellSummary, "is proprietary to who submitted it (6 U.S.C. 1504)"}, nothing},

	"iep-none":      {row{"IEP permitted_actions none", toActOn | of(Notify), tellPattern, "is for information only (FIRST IEP 2.0)"}, nothing},
	"iep-contact":   {row{"IEP permitted_actions contact-for-instruction", toActOn | of(Notify), tellPattern, "asks to contact the source before acting (FIRST IEP 2.0)"}, nothing},
	"iep-internal":  {row{"IEP permitted_actions internally-visible-actions", of(Enforce), tellPattern, "forbids actions that are visible outside (FIRST IEP 2.0)"}, nothing},
	"iep-silent":    {row{"IEP affected_party_notifications must-not", of(Notify), tellOccurrence, "forbids to notify affected parties (FIRST IEP 2.0)"}, nothing},
	"iep-anonymous": {row{"IEP provider_attribution must-not", of(NameSource), tellPattern, "forbids to name the source (FIRST IEP 2.0)"}, nothing},
	"iep-attribute": {row{"IEP provider_attribution must", 0, tellPattern, "asks to name the source to whom it is passed on (FIRST IEP 2.0)"}, nothing},
	"iep-resale":    {row{"IEP unmodified_resale must-not", of(Share), tellSummary, "forbids to sell it on unmodified (FIRST IEP 2.0)"}, nothing},
	"iep-encrypt":   {row{"IEP encrypt_in_transit must", 0, tellPattern, "asks for encryption on the way (FIRST IEP 2.0)"}, nothing},

	"cui":           {row{"CUI", of(Share), tellSummary, "is for a lawful government purpose (32 CFR 2002.16)"}, nothing},
	"cui-category":  {row{"CUI category", 0, tellPattern, "goes with it wherever it goes (32 CFR 2002.20)"}, text},
	"cui-specified": {row{"CUI specified category", of(PassOn, Share), tellCategory, "has a law with rules of its own, which a person has to read (32 CFR 2002.14)"}, text},
	"cui-fedonly":   {row{"CUI FED ONLY", of(PassOn, Share, Notify), tellOccurrence, "is for federal employees only"}, nothing},
	"cui-fedcon":    {row{"CUI FEDCON", of(PassOn, Share, Notify), tellOccurrence, "is for federal employees and their contractors only"}, nothing},
	"cui-nocon":     {row{"CUI NOCON", of(PassOn, Share), tellOccurrence, "is not for contractors"}, nothing},
	"cui-dlonly":    {row{"CUI DL ONLY", of(PassOn, Share, Notify), tellOccurrence, "is for the names on a list that is not here"}, nothing},
	"cui-display":   {row{"CUI DISPLAY ONLY", of(PassOn, Share), tellOccurrence, "may be looked at but not handed over"}, nothing},
	"cui-attorney":  {row{"CUI attorney privilege", of(PassOn, Share, Notify), tellOccurrence, "is privileged between attorney and client"}, nothing},

	"orcon":  {row{"ORCON", of(PassOn, Share, Notify, TearLine), tellOccurrence, "leaves each dissemination to the originator"}, nothing},
	"imcon":  {row{"IMCON", of(PassOn, Share), tellOccurrence, "is controlled imagery"}, nothing},
	"propin": {row{"PROPIN", of(Share, NameSource), tellSummary, "is proprietary information"}, nothing},
	"fouo":   {row{"FOUO", of(Share), tellSummary, "is for official use only"}, nothing},
	"les":    {row{"LES", of(PassOn, Share, Notify), tellOccurrence, "is law enforcement sensitive"}, nothing},

	"statement": {row{"statement", 0, tellPattern, "has to be read by a person and goes with it"}, text},
	"part":      {row{"granular marking", 0, tellPattern, "marks a part; the whole is handled so until it is torn"}, text},
}

func compareRules(a, b rule) int {
	return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.arg, b.arg))
}

// normal sorts rules and drops those that another one says already.
func normal(rules []rule) []rule {
	rules = slices.Clone(rules)
	slices.SortFunc(rules, compareRules)
	rules = slices.Compact(rules)
	var out []rule
	for len(rules) > 0 {
		code := rules[0].code
		n := 1
		for n < len(rules) && rules[n].code == code {
			n++
		}
		if rules[0].arg == "" || n > maxArgs {
			out = append(out, rule{code: code})
		} else {
			out = append(out, rules[:n]...)
		}
		rules = rules[n:]
	}
	return out
}

// says tells whether rules hold what one more would add.
func says(rules []rule, r rule) bool {
	_, all := slices.BinarySearchFunc(rules, rule{code: r.code}, compareRules)
	_, same := slices.BinarySearchFunc(rules, r, compareRules)
	return all || same
}
