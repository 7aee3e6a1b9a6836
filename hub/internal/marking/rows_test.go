package marking

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/stix"
)

func acs(change func(a *stix.ACS)) Mark {
	a := &stix.ACS{Identifier: "isa:guide.999191.ACS3-1", DefaultPermit: true, ShareDefault: true, Control: stix.ControlSet{Classification: "U"}}
	change(a)
	return FromSTIX("marking-definition--a", &stix.Marking{ACS: a})
}

func deny(actions ...string) func(a *stix.ACS) {
	return func(a *stix.ACS) {
		for _, x := range actions {
			a.Privileges = append(a.Privileges, stix.Privilege{Action: x})
		}
	}
}

func sensitivity(s ...string) func(a *stix.ACS) {
	return func(a *stix.ACS) { a.Control.Sensitivities = s }
}

func iep(change func(p *stix.IEP)) Mark {
	p := &stix.IEP{ID: "p", Actions: stix.IEPExternalDirect}
	change(p)
	return FromSTIX("marking-definition--i", &stix.Marking{IEP: p})
}

func cui(categories, disseminations []string) Mark {
	return FromSTIX("marking-definition--c", &stix.Marking{CUI: &stix.CUI{Control: "CUI", Categories: categories, Disseminations: disseminations}})
}

// rowTests are the mapping, row by row: a mark, what it is in canonical form, which
// uses it denies, how much a customer may be told, and one of the reasons.
var rowTests = []struct {
	name, text, denies string
	mark               Mark
	tell               uint8
	reason             string
}{
	{"TLP:CLEAR", "U TLP:CLEAR", "", Parse("TLP:CLEAR"), 3, ""},
	{"TLP:GREEN", "U TLP:GREEN", "", Parse("TLP:GREEN"), 3, ""},
	{"TLP:AMBER", "U TLP:AMBER", "share", Parse("TLP:AMBER"), 3, "may not be shared further: TLP:AMBER keeps it to the recipient's organization and its clients (FIRST TLP 2.0)"},
	{"TLP:AMBER+STRICT", "U TLP:AMBER+STRICT", "share", Parse("TLP:AMBER+STRICT"), 0, "a customer may be told only that it happened: TLP:AMBER+STRICT keeps it to the recipient's organization (FIRST TLP 2.0)"},
	{"TLP:RED", "U TLP:RED", "notify pass-on share", Parse("TLP:RED"), 0, "may not be passed on to providers: TLP:RED is for the individual recipients alone (FIRST TLP 2.0)"},

	{"PAP:CLEAR", "U TLP:CLEAR", "", Parse("PAP:CLEAR"), 3, ""},
	{"PAP:GREEN", "U TLP:CLEAR PAP:GREEN", "", Parse("PAP:GREEN"), 3, ""},
	{"PAP:AMBER", "U TLP:CLEAR PAP:AMBER", "enforce", Parse("PAP:AMBER"), 2, "may not be enforced: PAP:AMBER forbids actions that the adversary can see (PAP)"},
	{"PAP:RED", "U TLP:CLEAR PAP:RED", "detect enforce", Parse("PAP:RED"), 2, "may not be matched: PAP:RED forbids any use on the network (PAP)"},

	{"unknown", `U TLP:AMBER+STRICT unknown="EYES"`, "detect enforce show notify name-source pass-on share tear-line", Parse("EYES"), 0, "may not be enforced: unknown marking EYES is not known here, and what we do not know denies"},
	{"no marking", "U TLP:RED unmarked", "hold detect enforce show notify name-source pass-on share tear-line", Mark{}, 0, "may not be held: no marking was read, and what we do not know denies"},

	{"ACS that permits all", "U TLP:GREEN", "", acs(deny()), 3, ""},
	{"ACS for public release", "U TLP:CLEAR", "", acs(func(a *stix.ACS) { a.Control.Determinations = []string{"PUBREL"} }), 3, ""},
	{"ACS NETDEF deny", "U TLP:GREEN acs-netdef", "detect enforce", acs(deny("NETDEF")), 3, "may not be enforced: ACS NETDEF does not permit network defense with it"},
	{"ACS DSPLY deny: sealed", "U TLP:GREEN acs-dsply", "show", acs(deny("DSPLY")), 2, "may not be shown: ACS DSPLY does not permit its display"},
	{"ACS TENOT deny", "U TLP:GREEN acs-tenot", "notify", acs(deny("TENOT")), 3, "may not be notified to customers: ACS TENOT does not permit to notify targeted entities"},
	{"ACS IDSRC deny", "U TLP:GREEN acs-idsrc", "name-source", acs(deny("IDSRC")), 3, "may not have its source named: ACS IDSRC does not permit to identify the source"},
	{"ACS TEARLINE deny", "U TLP:GREEN acs-tearline", "tear-line", acs(deny("TEARLINE")), 3, "may not be torn at the tear line: ACS TEARLINE does not permit to remove components"},
	{"ACS deny of all", "U TLP:GREEN acs-dsply acs-idsrc acs-netdef acs-tearline acs-tenot", "detect enforce show notify name-source tear-line", acs(deny("ALL")), 2, "ACS DSPLY"},
	{"ACS denies by default", "U TLP:GREEN acs-dsply acs-idsrc acs-netdef acs-tearline acs-tenot", "detect enforce show notify name-source tear-line", acs(func(a *stix.ACS) { a.DefaultPermit = false }), 2, "ACS NETDEF"},
	{"ACS sealed by default", "U TLP:GREEN acs-dsply acs-idsrc acs-tearline acs-tenot", "show notify name-source tear-line", acs(func(a *stix.ACS) {
		a.DefaultPermit = false
		a.Privileges = []stix.Privilege{{Action: "NETDEF", Permit: true}}
	}), 2, "ACS DSPLY"},
	{"ACS of Automated Indicator Sharing", `U TLP:AMBER acs-idsrc acs-sharing="only ORG USA.USG" acs-tearline`, "name-source pass-on share tear-line", acs(func(a *stix.ACS) {
		a.DefaultPermit, a.ShareDefault = false, false
		a.Privileges = []stix.Privilege{{Action: "CISAUSES", Permit: true, Scope: all()}}
		a.Sharing = []stix.Sharing{{Scope: []string{"USA.USG"}, Permit: true}}
	}), 3, "may not be passed on to providers: ACS further_sharing only ORG USA.USG does not permit to pass it on"},
	{"ACS deny beats permit", "U TLP:GREEN acs-netdef", "detect enforce", acs(func(a *stix.ACS) {
		a.Privileges = []stix.Privilege{{Action: "NETDEF", Permit: true}, {Action: "NETDEF"}}
	}), 3, "ACS NETDEF"},
	{"ACS permit to some", `U TLP:GREEN acs-idsrc="only ORG USA.DHS"`, "name-source", acs(func(a *stix.ACS) {
		a.DefaultPermit = false
		a.Privileges = []stix.Privilege{{Action: "ALL", Permit: true}, {Action: "IDSRC", Permit: true, Scope: stix.Scope{Organizations: []string{"USA.DHS"}}}}
		a.Privileges[0].Action = "CISAUSES"
		a.Privileges = append(a.Privileges, stix.Privilege{Action: "TEARLINE", Permit: true})
	}), 3, "may not have its source named: ACS IDSRC only ORG USA.DHS does not permit to identify the source"},
	{"ACS deny to some", `U TLP:GREEN acs-dsply="not REL FRA"`, "show", acs(func(a *stix.ACS) {
		a.Privileges = []stix.Privilege{{Action: "DSPLY", Scope: stix.Scope{Nationalities: []string{"FRA"}}}}
	}), 2, "may not be shown: ACS DSPLY not REL FRA does not permit its display"},
	{"ACS permit to all who may have it", "U TLP:AMBER ORG USA.DHS acs-dsply acs-idsrc acs-tearline acs-tenot", "show notify name-source share tear-line", acs(func(a *stix.ACS) {
		a.DefaultPermit = false
		a.Control.Scope.Organizations = []string{"USA.DHS"}
		a.Privileges = []stix.Privilege{{Action: "NETDEF", Permit: true, Scope: stix.Scope{Organizations: []string{"USA.USG"}}}}
	}), 0, "may not be shared further: TLP:AMBER"},
	{"ACS sharing deny", "U TLP:AMBER acs-sharing", "pass-on share", acs(func(a *stix.ACS) { a.ShareDefault = false }), 3, "may not be passed on to providers: ACS further_sharing does not permit to pass it on"},
	{"ACS sharing deny to some", `U TLP:AMBER acs-sharing="not ORG FOREIGNGOV"`, "pass-on share", acs(func(a *stix.ACS) { a.Sharing = []stix.Sharing{{Scope: []string{"FOREIGNGOV"}}} }), 3, "ACS further_sharing not ORG FOREIGNGOV"},
	{"ACS for ECS", "U TLP:AMBER acs-ecs", "share", acs(sensitivity(ECS)), 3, "is for Enhanced Cybersecurity Services alone"},
	{"ACS for ECS, not to be shared", "U TLP:AMBER acs-ecs acs-further", "share", acs(func(a *stix.ACS) { sensitivity(ECS)(a); a.ShareDefault = false }), 3, "beyond Enhanced Cybersecurity Services"},
	{"ACS PCII", "U TLP:GREEN acs-pcii", "name-source share", acs(sensitivity("PCII")), 1, "6 CFR 29"},
	{"ACS LES", "U TLP:GREEN acs-les", "notify pass-on share", acs(sensitivity("LES")), 0, "law enforcement"},
	{"ACS INT", "U TLP:GREEN acs-int", "share", acs(sensitivity("INT")), 0, "intelligence"},
	{"ACS PII", "U TLP:GREEN acs-pii", "share", acs(sensitivity("PII")), 2, "identifiable people"},
	{"ACS PR", "U TLP:GREEN acs-pr", "name-source share", acs(sensitivity("PR")), 1, "proprietary"},
	{"ACS TEI", "U TLP:GREEN acs-tei", "name-source share", acs(sensitivity("TEI")), 1, "targeted entity"},
	{"ACS FOUO", "U TLP:AMBER acs-fouo", "share", acs(func(a *stix.ACS) { a.Control.Determinations = []string{"FOUO"} }), 2, "official use"},
	{"ACS NF", "U TLP:AMBER REL USA", "share", acs(func(a *stix.ACS) { a.Control.Determinations = []string{"NF"} }), 0, "REL USA is for those alone"},
	{"ACS FISA", "U//FISA TLP:GREEN acs-fisa", "notify pass-on share", acs(func(a *stix.ACS) { a.Control.Caveats = []string{"FISA"} }), 0, "Foreign Intelligence Surveillance Act"},
	{"ACS POSSIBLEPII", "U TLP:GREEN acs-possiblepii", "share", acs(func(a *stix.ACS) { a.Control.Caveats = []string{"POSSIBLEPII"} }), 2, "identifiable"},
	{"ACS CISAPROPRIETARY", "U TLP:GREEN acs-cisaproprietary", "name-source share", acs(func(a *stix.ACS) { a.Control.Caveats = []string{"CISAPROPRIETARY"} }), 2, "6 U.S.C. 1504"},
	{"ACS compartments", `U//LAC-12345/SI/SI-G TLP:AMBER+STRICT unknown="ACS control A B"`, "detect enforce show notify name-source pass-on share tear-line", acs(func(a *stix.ACS) {
		a.Control.SCI, a.Control.Authority = []string{"SI-G", "a b"}, []string{"12345"}
	}), 0, "LAC-12345/SI/SI-G is for people who are read into it"},
	{"ACS classified", "S TLP:AMBER+STRICT", "share", acs(func(a *stix.ACS) { a.Control.Classification = "S" }), 0, "S is classified"},
	{"ACS unknown word", `U TLP:AMBER+STRICT unknown="ACS ODD"`, "detect enforce show notify name-source pass-on share tear-line", acs(sensitivity("odd")), 0, "unknown marking ACS ODD"},
	{"ACS disposition", `U TLP:GREEN dispose=2026-11-21T12:00:00Z how="destroy"`, "", acs(func(a *stix.ACS) { a.DisposeAt, a.DisposeHow = day, "destroy" }), 3, "may be held only for some time: 2026-11-21T12:00:00Z is when it has to be disposed of: destroy"},

	{"IEP that permits all", "U TLP:CLEAR", "", iep(func(*stix.IEP) {}), 3, ""},
	{"IEP indirect actions", "U TLP:CLEAR", "", iep(func(p *stix.IEP) { p.Actions = stix.IEPExternalIndirect }), 3, ""},
	{"IEP internal actions", "U TLP:CLEAR iep-internal", "enforce", iep(func(p *stix.IEP) { p.Actions = stix.IEPInternal }), 3, "forbids actions that are visible outside"},
	{"IEP contact", "U TLP:CLEAR iep-contact", "detect enforce notify", iep(func(p *stix.IEP) { p.Actions = stix.IEPContact }), 3, "asks to contact the source before acting"},
	{"IEP none", "U TLP:CLEAR iep-none", "detect enforce notify", iep(func(p *stix.IEP) { p.Actions = stix.IEPNone }), 3, "for information only"},
	{"IEP says no actions", "U TLP:CLEAR iep-none", "detect enforce notify", iep(func(p *stix.IEP) { p.Actions = "" }), 3, "for information only"},
	{"IEP no notifications", "U TLP:CLEAR iep-silent", "notify", iep(func(p *stix.IEP) { p.Notify = "must-not" }), 0, "forbids to notify affected parties"},
	{"IEP no attribution", "U TLP:CLEAR iep-anonymous", "name-source", iep(func(p *stix.IEP) { p.Attribution = "must-not" }), 3, "forbids to name the source"},
	{"IEP attribution", "U TLP:CLEAR iep-attribute", "", iep(func(p *stix.IEP) { p.Attribution = "must" }), 3, "note: IEP provider_attribution must asks to name the source"},
	{"IEP no resale", "U TLP:CLEAR iep-resale", "share", iep(func(p *stix.IEP) { p.Resale = "must-not" }), 2, "sell it on"},
	{"IEP encryption", "U TLP:CLEAR iep-encrypt", "", iep(func(p *stix.IEP) { p.Encrypt = "must" }), 3, "encryption on the way"},
	{"IEP TLP", "U TLP:RED", "notify pass-on share", iep(func(p *stix.IEP) { p.TLP = "red" }), 0, "TLP:RED"},
	{"IEP dates", "U TLP:CLEAR from=2026-11-21T12:00:00Z until=2026-11-22T12:00:00Z", "", iep(func(p *stix.IEP) { p.Start, p.End = day, day.Add(24*time.Hour) }), 3, "in effect from 2026-11-21T12:00:00Z until 2026-11-22T12:00:00Z"},

	{"CUI", "U TLP:AMBER cui", "share", cui(nil, nil), 2, "32 CFR 2002.16"},
	{"CUI basic category", `U TLP:AMBER cui cui-category="PRVCY"`, "share", cui([]string{"PRVCY"}, nil), 2, "note: CUI category PRVCY"},
	{"CUI specified category", `U TLP:AMBER cui cui-specified="SP-CTI"`, "pass-on share", cui([]string{"SP-CTI"}, nil), 1, "32 CFR 2002.14"},
	{"CUI NOFORN", "U TLP:AMBER REL USA cui", "share", cui(nil, []string{"NOFORN"}), 0, "REL USA"},
	{"CUI REL TO", "U TLP:AMBER REL GBR,USA cui", "share", cui(nil, []string{"REL TO USA, GBR"}), 0, "REL GBR,USA"},
	{"CUI FED ONLY", "U TLP:AMBER cui cui-fedonly", "notify pass-on share", cui(nil, []string{"FED ONLY"}), 0, "federal employees only"},
	{"CUI FEDCON", "U TLP:AMBER cui cui-fedcon", "notify pass-on share", cui(nil, []string{"FEDCON"}), 0, "their contractors"},
	{"CUI NOCON", "U TLP:AMBER cui cui-nocon", "pass-on share", cui(nil, []string{"NOCON"}), 0, "not for contractors"},
	{"CUI DL ONLY", "U TLP:AMBER cui cui-dlonly", "notify pass-on share", cui(nil, []string{"DL ONLY"}), 0, "a list that is not here"},
	{"CUI DISPLAY ONLY", "U TLP:AMBER cui cui-display", "pass-on share", cui(nil, []string{"DISPLAY ONLY USA, GBR"}), 0, "not handed over"},
	{"CUI attorney", "U TLP:AMBER cui cui-attorney", "notify pass-on share", cui(nil, []string{"AC"}), 0, "privileged"},

	{"U", "U TLP:CLEAR", "", Parse("UNCLASSIFIED"), 3, ""},
	{"C", "C TLP:AMBER+STRICT", "share", Parse("(C)"), 0, "C is classified"},
	{"TS with compartments", "TS//SI/SI-G/SI-G-ABCD/TK TLP:AMBER+STRICT REL AUS,CAN,GBR,NZL,USA", "share", Parse("TOP SECRET//SI-G ABCD/TK//REL TO USA, FVEY"), 0, "SI/SI-G/SI-G-ABCD/TK is for people who are read into it"},
	{"FOUO", "U TLP:AMBER fouo", "share", Parse("U//FOUO"), 2, "official use"},
	{"LES", "U TLP:AMBER les", "notify pass-on share", Parse("U//LES"), 0, "law enforcement"},
	{"ORCON", "S TLP:AMBER+STRICT orcon", "notify pass-on share tear-line", Parse("S//OC"), 0, "originator"},
	{"IMCON", "S TLP:AMBER+STRICT imcon", "pass-on share", Parse("S//IMC"), 0, "imagery"},
	{"PROPIN", "U TLP:AMBER propin", "name-source share", Parse("U//PROPIN"), 2, "proprietary"},

	{"statement", `U TLP:CLEAR statement="Copyright example.com"`, "", Statement("Copyright\n example.com"), 3, "note: statement Copyright example.com has to be read by a person and goes with it"},
	{"statement that names TLP", `U TLP:RED statement="Handle as TLP:RED."`, "notify pass-on share", Statement("Handle as TLP:RED."), 0, "TLP:RED"},
	{"granular", `U TLP:RED part="TLP:RED on description"`, "notify pass-on share", Granular(OfTLP(contract.Red), "description"), 0, "note: granular marking TLP:RED on description marks a part; the whole is handled so until it is torn"},
}

func TestRows(t *testing.T) {
	covered := map[string]bool{}
	for _, tt := range rowTests {
		t.Run(tt.name, func(t *testing.T) {
			h := tt.mark.Handling()
			if got := h.String(); got != tt.text {
				t.Errorf("%s, want %s", got, tt.text)
			}
			var denied []string
			for _, u := range Uses() {
				if !h.static(u).Yes {
					denied = append(denied, u.String())
				}
			}
			if got := strings.Join(denied, " "); got != tt.denies {
				t.Errorf("denies %s, want %s", got, tt.denies)
			}
			if got, _ := h.Disclosure(); got != tt.tell {
				t.Errorf("a customer may be told %d, want %d", got, tt.tell)
			}
			reasons := strings.Join(h.Reasons(), "\n")
			if !strings.Contains(reasons, tt.reason) || tt.reason == "" && reasons != "" {
				t.Errorf("reasons:\n%s\nwant %s", reasons, tt.reason)
			}
			wantSealed := strings.Contains(" "+tt.denies+" ", " show ") && !strings.Contains(" "+tt.denies+" ", " enforce ")
			if h.Sealed() != wantSealed {
				t.Errorf("sealed: %t", h.Sealed())
			}
			for _, r := range h.known().rules {
				covered[r.code] = true
			}
		})
	}
	for _, code := range slices.Sorted(maps.Keys(ruleRows)) {
		if !covered[code] {
			t.Errorf("no row test has the rule %s", code)
		}
	}
}
