package marking

import (
	"slices"
	"strings"

	"ecs/contract"
	"ecs/stix"
)

// fromIEP reads a policy of FIRST IEP 2.0. Of what it does not say, it denies
// nothing, except for its actions: a policy that permits none by name permits none.
func fromIEP(p *stix.IEP) Handling {
	h := Handling{read: true, from: p.Start.UTC(), until: p.End.UTC()}
	h = h.Join(iepWord("permitted_actions", p.Actions))
	for _, x := range [][2]string{
		{"affected_party_notifications", p.Notify},
		{"provider_attribution", p.Attribution},
		{"unmodified_resale", p.Resale},
		{"encrypt_in_transit", p.Encrypt},
		{"tlp", p.TLP},
	} {
		if x[1] != "" {
			h = h.Join(iepWord(x[0], x[1]))
		}
	}
	return h
}

// iepRules are the statements of IEP 2.0 and the rules that they make.
var iepRules = map[string]map[string]string{
	"permitted_actions": {
		"": "iep-none", stix.IEPNone: "iep-none", stix.IEPContact: "iep-contact", stix.IEPInternal: "iep-internal",
		stix.IEPExternalIndirect: "", stix.IEPExternalDirect: "",
	},
	"affected_party_notifications": {"may": "", "must-not": "iep-silent"},
	"provider_attribution":         {"may": "", "must": "iep-attribute", "must-not": "iep-anonymous"},
	"unmodified_resale":            {"may": "", "must-not": "iep-resale"},
	"encrypt_in_transit":           {"may": "", "must": "iep-encrypt"},
}

// iepWord reads one statement.
func iepWord(name, value string) Handling {
	if name == "tlp" {
		m, ok := traffic("tlp:" + value)
		if !ok {
			m = Unknown("IEP tlp " + value)
		}
		return m.Handling()
	}
	code, ok := iepRules[name][value]
	switch {
	case !ok:
		return Unknown("IEP " + name + " " + value).Handling()
	case code == "":
		return open
	}
	return Handling{read: true, rules: []rule{{code: code}}}
}

// fromCUI reads a marking of Controlled Unclassified Information. Supplemental
// markings, such as Draft, do not restrict (32 CFR 2002.20).
func fromCUI(c *stix.CUI) Handling {
	h := controlled()
	for _, name := range c.Categories {
		h = h.Join(category(name))
	}
	for _, name := range c.Disseminations {
		x, ok := dissemination(name)
		if !ok {
			x = Unknown("CUI " + name).Handling()
		}
		h = h.Join(x)
	}
	for _, words := range c.Statements {
		h = h.Join(Statement(words).Handling())
	}
	return h
}

func controlled() Handling {
	return Handling{read: true, tlp: contract.Amber, rules: []rule{{code: "cui"}}}
}

// category reads a category of CUI, basic or specified ("SP-").
func category(name string) Handling {
	code := "cui-category"
	name = clean(strings.ToUpper(name))
	if strings.HasPrefix(name, "SP-") {
		code = "cui-specified"
	}
	return Handling{read: true, rules: []rule{{code, name}}}
}

// disseminations are words of the limited dissemination controls of CUI (CUI
// registry) and of the dissemination controls of classification banners.
var disseminations = map[string]string{
	"FED ONLY": "cui-fedonly", "FEDONLY": "cui-fedonly", "FEDCON": "cui-fedcon", "FED CON": "cui-fedcon", "NOCON": "cui-nocon",
	"DL ONLY": "cui-dlonly", "DISPLAY ONLY": "cui-display", "AC": "cui-attorney", "AWP": "cui-attorney",
	"ATTORNEY-CLIENT": "cui-attorney", "ATTORNEY-WP": "cui-attorney",

	"ORCON": "orcon", "OC": "orcon", "ORCON-USGOV": "orcon", "OC-USGOV": "orcon", "IMCON": "imcon", "IMC": "imcon",
	"PROPIN": "propin", "PR": "propin", "FOUO": "fouo", "FOR OFFICIAL USE ONLY": "fouo", "SBU": "fouo",
	"LES": "les", "LAW ENFORCEMENT SENSITIVE": "les", "FISA": "acs-fisa", "PII": "acs-pii", "PCII": "acs-pcii",
}

// alliances are groups of nations that may stand in a list of releasability.
var alliances = map[string][]string{
	"FVEY": {"AUS", "CAN", "GBR", "NZL", "USA"},
	"ACGU": {"AUS", "CAN", "GBR", "USA"},
}

// dissemination reads a dissemination control of a banner or of CUI, in upper case.
func dissemination(words string) (Handling, bool) {
	words = strings.Join(strings.Fields(strings.ToUpper(words)), " ")
	h := Handling{read: true, tlp: contract.Amber}
	switch words {
	case "NOFORN", "NF":
		h.who[nationalities] = only("USA")
		return h, true
	case "LES NOFORN", "LES-NF", "SBU NOFORN", "SBU-NF":
		h.who[nationalities] = only("USA")
		words = words[:3]
	}
	if list, ok := strings.CutPrefix(words, "REL TO "); ok {
		return releasable(list)
	}
	if _, ok := strings.CutPrefix(words, "DISPLAY ONLY "); ok {
		words = "DISPLAY ONLY"
	}
	code, ok := disseminations[words]
	if !ok {
		return Handling{}, false
	}
	h.rules = []rule{{code: code}}
	if code == "acs-fisa" {
		h.controls = newSet("FISA")
	}
	return h, true
}

// releasable reads the list behind REL TO: trigraphs and groups, with commas.
func releasable(list string) (Handling, bool) {
	var nations []string
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if members, ok := alliances[name]; ok {
			nations = append(nations, members...)
			continue
		}
		if len(name) < 3 || len(name) > 4 || !validName(name) || strings.ContainsAny(name, "0123456789.-_") {
			return Handling{}, false
		}
		nations = append(nations, name)
	}
	if len(nations) == 0 || len(nations) > maxAudience {
		return Handling{}, false
	}
	h := Handling{read: true, tlp: contract.Amber}
	h.who[nationalities] = only(slices.Compact(nations)...)
	return h, true
}
