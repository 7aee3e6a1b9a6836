package marking

import (
	"slices"
	"strings"

	"ecs/contract"
	"ecs/stix"
)

// ECS is the sensitivity of ACS 3.0 that stands for Enhanced Cybersecurity
// Services.
const ECS = "NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA"

// acsWords are determinations, caveats and sensitivities of ACS 3.0 and the rules
// that they make. Those with none restrict nothing that we do: they are listed so
// that they are not unknown.
var acsWords = map[string]string{
	"FOUO": "acs-fouo", "FISA": "acs-fisa", "POSSIBLEPII": "acs-possiblepii", "CISAPROPRIETARY": "acs-cisaproprietary",
	ECS: "acs-ecs", "PCII": "acs-pcii", "LES": "acs-les", "INT": "acs-int", "PII": "acs-pii", "PR": "acs-pr", "TEI": "acs-tei",
	"PUBREL": "", "AIS": "", "NO-PII-PRESENT": "", "PII-NOT-PRESENT": "", "PII-NECESSARY-TO-UNDERSTAND-THREAT": "",
	"INFORMATION-DIRECTLY-RELATED-TO-CYBERSECURITY-THREAT": "", "NF": "",
}

// acsActions are the privilege actions that the program uses, and their rules.
// LEGAL, INTEL, OPACTION, REQUEST and ANONYMOUSACCESS are for what it does not do.
var acsActions = []struct{ action, code string }{
	{stix.NetDef, "acs-netdef"},
	{stix.Display, "acs-dsply"},
	{stix.Notify, "acs-tenot"},
	{stix.Source, "acs-idsrc"},
	{stix.TearLine, "acs-tearline"},
}

// concerns tells whether the effect of one privilege is about an action. CISAUSES
// stands for the cybersecurity purposes of the Cybersecurity Information Sharing Act.
// What Automated Indicator Sharing gives permits it and nothing else, so we take it
// to speak of defending, looking and warning, not of naming sources.
func concerns(privilege, action string) bool {
	switch privilege = strings.ToUpper(privilege); privilege {
	case action, stix.AllUses:
		return true
	case stix.CISAUses:
		return action == stix.NetDef || action == stix.Display || action == stix.Notify
	}
	return false
}

// allEntities are the kinds of subjects of ACS 3.0; together they are everybody.
var allEntities = []string{"MIL", "GOV", "CTR", "SVR", "SVC", "DEV", "NET"}

// fromACS reads an ACS 3.0 marking: the control set says who may have it at all;
// then for each action a deny beats a permit, and a permit the policy's default.
func fromACS(a *stix.ACS) Handling {
	h := Handling{read: true, dispose: a.DisposeAt.UTC()}
	if !a.DisposeAt.IsZero() && a.DisposeHow != "" {
		h.how = newSet(clean(a.DisposeHow))
	}
	level := slices.Index(levelNames[:], a.Control.Classification)
	if level < 0 {
		h = h.Join(Unknown("ACS classification " + a.Control.Classification).Handling())
	} else {
		h.level = Level(level)
	}
	for _, word := range slices.Concat(a.Control.Determinations, a.Control.Caveats, a.Control.Sensitivities) {
		h = h.Join(acsWord(word))
	}
	h = h.Join(need(a.Control.SCI, "")).Join(need(a.Control.Authority, authority))
	subject, ok := scopeOf(a.Control.Scope)
	if !ok {
		h = h.Join(Unknown("ACS control_set").Handling())
		subject = scope{}
	}
	for i := range h.who {
		h.who[i] = h.who[i].and(subject[i])
	}
	for _, x := range acsActions {
		h.rules = append(h.rules, privilege(a, x.action, x.code, subject)...)
	}
	h.rules = append(h.rules, sharing(a, says(h.rules, rule{code: "acs-ecs"}))...)
	h.rules = normal(h.rules)
	return h.Join(Handling{read: true, tlp: floor(a, h)})
}

// authority begins the compartments that stand for a logical authority category.
const authority = "LAC-"

// need gives compartments for sci_controls and logical_authority_category: who is
// not read into them may not have the content.
func need(names []string, prefix string) Handling {
	h := Handling{read: true}
	for _, name := range names {
		name = strings.ToUpper(strings.TrimSpace(name))
		all := []string{prefix + name}
		if compartment.MatchString(name) && prefix == "" {
			all = lineage(name)
		}
		if slices.ContainsFunc(all, func(n string) bool { return !validName(n) }) {
			h = h.Join(Unknown("ACS control " + name).Handling())
			continue
		}
		h = h.Join(Handling{read: true, controls: newSet(all...)})
	}
	return h
}

// floor gives the TLP marking that an ACS marking comes near to.
func floor(a *stix.ACS, h Handling) contract.TLP {
	limited := slices.ContainsFunc(h.who[:], func(x audience) bool { return x.limited })
	further := slices.ContainsFunc(h.rules, func(r rule) bool { return r.code == "acs-sharing" || r.code == "acs-further" || r.code == "acs-ecs" })
	switch {
	case h.level > Unclassified:
		return contract.AmberStrict
	case limited || further || slices.Contains(a.Control.Determinations, "FOUO"):
		return contract.Amber
	case slices.Contains(a.Control.Determinations, "PUBREL"):
		return contract.Clear
	}
	return contract.Green
}

// acsWord reads a determination, caveat or sensitivity.
func acsWord(word string) Handling {
	word = strings.ToUpper(strings.TrimSpace(word))
	code, ok := acsWords[word]
	h := Handling{read: true}
	switch {
	case !ok:
		return Unknown("ACS " + word).Handling()
	case word == "NF":
		h.who[nationalities] = only("USA")
	case code != "":
		h.rules = []rule{{code: code}}
	}
	if word == "FISA" {
		h.controls = newSet("FISA")
	}
	return h
}

// scopeOf brings a scope to ours; ok false if it holds names that we cannot spell.
func scopeOf(in stix.Scope) (s scope, ok bool) {
	for i, list := range [properties][]string{in.Nationalities, in.Organizations, in.Shareability, in.Entities} {
		if len(list) == 0 {
			continue
		}
		var names []string
		for _, name := range list {
			names = append(names, strings.ToUpper(strings.TrimSpace(name)))
		}
		if slices.Contains(names, "ALL") || i == entities && !slices.ContainsFunc(allEntities, func(e string) bool { return !slices.Contains(names, e) }) {
			continue
		}
		if len(names) > maxAudience || slices.ContainsFunc(names, func(n string) bool { return !validName(n) }) {
			return scope{}, false
		}
		s[i] = only(names...)
	}
	return s, true
}

// effect is one permit or deny within a scope, of privileges and of sharing.
type effect struct {
	permit bool
	scope  scope
	clear  bool // that the scope could be read
}

// privilege gives the rules of one action.
func privilege(a *stix.ACS, action, code string, subject scope) []rule {
	var effects []effect
	for _, p := range a.Privileges {
		if concerns(p.Action, action) {
			s, ok := scopeOf(p.Scope)
			effects = append(effects, effect{p.Permit, s, ok})
		}
	}
	return effective(code, effects, a.DefaultPermit, subject)
}

// sharing gives the rules of passing on. Where the marking is for Enhanced
// Cybersecurity Services, its providers are among those for whom it is, so that
// only others are further.
func sharing(a *stix.ACS, ecs bool) []rule {
	code := "acs-sharing"
	if ecs {
		code = "acs-further"
	}
	var effects []effect
	for _, x := range a.Sharing {
		s, ok := scopeOf(stix.Scope{Organizations: x.Scope})
		effects = append(effects, effect{x.Permit, s, ok})
	}
	return effective(code, effects, a.ShareDefault, scope{})
}

// effective gives the rules that a list of effects makes: denies count for whom
// they name, permits for whom they name where nothing is permitted by default.
func effective(code string, effects []effect, byDefault bool, subject scope) []rule {
	var rules []rule
	var permits []scope
	for _, e := range effects {
		switch {
		case e.permit && !e.clear:
		case e.permit && subject.within(e.scope):
			byDefault = true
		case e.permit:
			permits = append(permits, e.scope)
		case !e.clear || subject.within(e.scope):
			return []rule{{code: code}}
		default:
			rules = append(rules, scopedRule(code, against(e.scope)))
		}
	}
	switch {
	case byDefault:
		return rules
	case len(permits) == 0:
		return []rule{{code: code}}
	}
	return append(rules, scopedRule(code, exceptFor(permits)))
}

// scopedRule gives a rule with a scope, or, where that is too long to keep, for
// everybody.
func scopedRule(code, arg string) rule {
	if len(arg) > maxScope {
		arg = ""
	}
	return rule{code, arg}
}
