package marking

import (
	"testing"
	"time"

	"ecs/stix"

	"pgregory.net/rapid"
)

var (
	tlpWords = []string{"TLP:CLEAR", "tlp:white", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"}
	papWords = []string{"PAP:CLEAR", "PAP:GREEN", "PAP:AMBER", "PAP:RED"}
	banners  = []string{"U", "U//FOUO", "S//NF", "TS//SI/TK//REL TO USA, GBR", "CUI", "CUI//SP-CTI//FED ONLY", "C//ORCON", "U//LES", "S//SAR-BP//PROPIN"}
	tags     = []string{`acs-marking:privilege_action="NETDEF"`, `acs-marking:sensitivity="PCII"`, `iep2-policy:permitted_actions="none"`, `iep:provider-attribution="MUST NOT"`}
)

// marks draws a mark of any kind.
func marks() *rapid.Generator[Mark] {
	return rapid.OneOf(
		rapid.Map(rapid.SampledFrom(tlpWords), Parse), rapid.Map(rapid.SampledFrom(papWords), Parse),
		rapid.Map(rapid.SampledFrom(banners), Parse), rapid.Map(rapid.SampledFrom(tags), Parse),
		rapid.Map(words, Unknown), rapid.Map(words, Statement),
		rapid.Custom(func(t *rapid.T) Mark {
			return FromSTIX("marking-definition--a", &stix.Marking{ACS: acsMarkings().Draw(t, "acs")})
		}),
		rapid.Custom(func(t *rapid.T) Mark {
			return FromSTIX("marking-definition--b", &stix.Marking{IEP: policies().Draw(t, "iep")})
		}),
		rapid.Custom(func(t *rapid.T) Mark {
			c := &stix.CUI{Control: "CUI", Categories: names("SP-CTI", "PRVCY", "CRIT").Draw(t, "categories"), Disseminations: names("NOFORN", "FED ONLY", "REL TO USA, FRA", "X").Draw(t, "disseminations")}
			return FromSTIX("marking-definition--c", &stix.Marking{CUI: c})
		}),
		rapid.Custom(func(t *rapid.T) Mark {
			return Granular(OfPAP(PAP(rapid.IntRange(0, 3).Draw(t, "pap"))), words.Draw(t, "where"))
		}),
	)
}

func stixScopes() *rapid.Generator[stix.Scope] {
	return rapid.Custom(func(t *rapid.T) stix.Scope {
		return stix.Scope{
			Nationalities: names("USA", "GBR", "ALL").Draw(t, "nations"), Organizations: names("USA.DHS", "USA.DHS.US-CERT", "ISAC").Draw(t, "orgs"),
			Shareability: names("NCC", "ALL").Draw(t, "share"), Entities: names("GOV", "CTR").Draw(t, "entities"),
		}
	})
}

func acsMarkings() *rapid.Generator[*stix.ACS] {
	return rapid.Custom(func(t *rapid.T) *stix.ACS {
		a := &stix.ACS{
			Identifier: "isa:guide.999191.ACS3-1", DefaultPermit: rapid.Bool().Draw(t, "privdefault"), ShareDefault: rapid.Bool().Draw(t, "sharedefault"),
			DisposeAt: times().Draw(t, "dispose"), DisposeHow: "destroy",
			Control: stix.ControlSet{
				Classification: rapid.SampledFrom([]string{"U", "U", "U", "S", "TS"}).Draw(t, "class"), Determinations: names("FOUO", "PUBREL", "NF", "AIS", "ODD").Draw(t, "determinations"),
				Caveats: names("FISA", "POSSIBLEPII").Draw(t, "caveats"), Sensitivities: names(ECS, "PCII", "PR").Draw(t, "sensitivities"),
				Scope: stixScopes().Draw(t, "control"), SCI: names("SI", "SI-G", "TK", "FISA", "o dd").Draw(t, "sci"), Authority: names("LAC1").Draw(t, "authority"),
			},
		}
		for range rapid.IntRange(0, 4).Draw(t, "privileges") {
			a.Privileges = append(a.Privileges, stix.Privilege{
				Action: rapid.SampledFrom([]string{"NETDEF", "DSPLY", "IDSRC", "TENOT", "TEARLINE", "ALL", "CISAUSES", "INTEL"}).Draw(t, "action"),
				Permit: rapid.Bool().Draw(t, "permit"), Scope: stixScopes().Draw(t, "scope"),
			})
		}
		for range rapid.IntRange(0, 2).Draw(t, "sharing") {
			a.Sharing = append(a.Sharing, stix.Sharing{Scope: names("USA.USG", "SECTOR", "ALL").Draw(t, "to"), Permit: rapid.Bool().Draw(t, "permit")})
		}
		return a
	})
}

func policies() *rapid.Generator[*stix.IEP] {
	return rapid.Custom(func(t *rapid.T) *stix.IEP {
		one := func(name string, words ...string) string { return rapid.SampledFrom(words).Draw(t, name) }
		return &stix.IEP{
			ID: "x", Start: times().Draw(t, "start"), End: times().Draw(t, "end"), Encrypt: one("encrypt", "", "must", "may"),
			Actions:     one("actions", "", stix.IEPNone, stix.IEPContact, stix.IEPInternal, stix.IEPExternalIndirect, stix.IEPExternalDirect),
			Notify:      one("notify", "", "may", "must-not"),
			Attribution: one("attribution", "", "may", "must", "must-not"), Resale: one("resale", "", "may", "must-not"), TLP: one("tlp", "", "clear", "red"),
		}
	})
}

// TestNeverYesWhereOneSaysNo combines one to four marks of all kinds.
func TestNeverYesWhereOneSaysNo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(marks(), 1, 4).Draw(t, "marks")
		c := clearances().Draw(t, "clearance")
		at := day.Add(time.Duration(rapid.IntRange(-1, 4).Draw(t, "at")) * 24 * time.Hour)
		h := Combine(all...)
		byDefault := handlings().Draw(t, "default")
		if !CombineOr(byDefault, all...).Dominates(h) {
			t.Fatal("a default loosens")
		}
		limit, _ := h.Disclosure()
		for _, m := range all {
			one := m.Handling()
			if !h.Dominates(one) {
				t.Fatalf("%s does not dominate %s", h, one)
			}
			for _, u := range Uses() {
				if h.May(u, at).Yes && !one.May(u, at).Yes || h.MayFor(u, c, at).Yes && !one.MayFor(u, c, at).Yes {
					t.Fatalf("%s: together yes, %s alone no", u, m)
				}
			}
			if most, _ := one.Disclosure(); limit > most {
				t.Fatalf("together a customer may be told %d, by %s %d", limit, m, most)
			}
			if m.Kind() == KindUnknown && (h.May(Enforce, at).Yes || h.May(Show, at).Yes || h.May(Notify, at).Yes || h.May(NameSource, at).Yes || h.May(PassOn, at).Yes) {
				t.Fatalf("an unknown mark permits something: %s", h)
			}
		}
	})
}
