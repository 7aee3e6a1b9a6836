package marking

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"ecs/stix"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		words, text string
		kind        Kind
	}{
		{"TLP:CLEAR", "U TLP:CLEAR", KindTLP},
		{"tlp:white", "U TLP:CLEAR", KindTLP},
		{"TLP: GREEN", "U TLP:GREEN", KindTLP},
		{" amber ", "U TLP:AMBER", KindTLP},
		{"TLP:AMBER+STRICT", "U TLP:AMBER+STRICT", KindTLP},
		{"tlp:amber-strict", "U TLP:AMBER+STRICT", KindTLP},
		{"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "U TLP:RED", KindTLP},
		{"TLP:ex:chr", `U TLP:AMBER+STRICT unknown="TLP:ex:chr"`, KindUnknown},
		{"TLP:BLUE", `U TLP:AMBER+STRICT unknown="TLP:BLUE"`, KindUnknown},
		{"PAP:WHITE", "U TLP:CLEAR", KindPAP},
		{"pap:red", "U TLP:CLEAR PAP:RED", KindPAP},
		{"marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab", "U TLP:CLEAR PAP:AMBER", KindPAP},

		{"u//fouo", "U TLP:AMBER fouo", KindBanner},
		{"S//NF", "S TLP:AMBER+STRICT REL USA", KindBanner},
		{"SECRET//REL TO USA, FVEY", "S TLP:AMBER+STRICT REL AUS,CAN,GBR,NZL,USA", KindBanner},
		{"TOP SECRET//SI//REL TO USA, GBR", "TS//SI TLP:AMBER+STRICT REL GBR,USA", KindBanner},
		{"TS//HCS-P/SI-G//RD-CNWDI//ORCON/NOFORN", "TS//HCS/HCS-P/RD-CNWDI/SI/SI-G TLP:AMBER+STRICT REL USA orcon", KindBanner},
		{"S//SAR-BUTTER POPCORN//NF", "S//SAR-BUTTER_POPCORN TLP:AMBER+STRICT REL USA", KindBanner},
		{"S//FISA", "S//FISA TLP:AMBER+STRICT acs-fisa", KindBanner},
		{"S//CUI//NF", "S TLP:AMBER+STRICT REL USA cui", KindBanner},
		{"TS//SI-" + strings.Repeat("A-", 40) + "A//NF", `TS TLP:AMBER+STRICT REL USA unknown="SI-` + strings.Repeat("A-", 40) + `A"`, KindBanner},
		{"S//SPECIAL ACCESS REQUIRED-" + strings.Repeat("A", 41), `S TLP:AMBER+STRICT unknown="SPECIAL ACCESS REQUIRED-` + strings.Repeat("A", 41) + `"`, KindBanner},
		{"S//" + strings.Repeat("NF/", 400), `U TLP:AMBER+STRICT unknown="S//` + strings.Repeat("NF/", 78) + `…"`, KindUnknown},
		{`dni-ism:scicontrols="SI-G` + strings.Repeat(" AB CD", 40) + `"`, "U//SI/SI-G/SI-G-AB/SI-G-CD TLP:CLEAR", KindBanner},
		{"U//SI", `U TLP:AMBER+STRICT unknown="SI"`, KindBanner},
		{"S//FGI GBR", `S TLP:AMBER+STRICT unknown="FGI GBR"`, KindBanner},
		{"S//", `S TLP:AMBER+STRICT unknown="empty part of S//"`, KindBanner},
		{"S//REL TO 4", `S TLP:AMBER+STRICT unknown="REL TO 4"`, KindBanner},
		{"U//LES-NF", "U TLP:AMBER REL USA les", KindBanner},
		{"CUI", "U TLP:AMBER cui", KindCUI},
		{"CONTROLLED//PRVCY/CRIT", `U TLP:AMBER cui cui-category="CRIT" cui-category="PRVCY"`, KindCUI},
		{"CUI//SP-CTI/PRVCY//NOFORN", `U TLP:AMBER REL USA cui cui-category="PRVCY" cui-specified="SP-CTI"`, KindCUI},
		{"CUI//FED ONLY", "U TLP:AMBER cui cui-fedonly", KindCUI},
		{"//GBR SECRET", `U TLP:AMBER+STRICT unknown="//GBR SECRET"`, KindUnknown},
		{"NATO RESTRICTED", `U TLP:AMBER+STRICT unknown="NATO RESTRICTED"`, KindUnknown},

		{`acs-marking:privilege_action="NETDEF"`, "U TLP:GREEN acs-dsply acs-idsrc acs-tearline acs-tenot", KindACS},
		{`acs-marking:sensitivity="NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA"`, "U TLP:AMBER acs-ecs", KindACS},
		{`acs-marking:classification="S"`, "S TLP:AMBER+STRICT", KindACS},
		{`acs-marking:classification="X"`, `U TLP:AMBER+STRICT unknown="ACS classification X"`, KindACS},
		{`acs-marking:odd="X"`, `U TLP:AMBER+STRICT unknown="acs-marking:odd"`, KindACS},
		{`iep2-policy:permitted_actions="internally-visible-actions"`, "U TLP:CLEAR iep-internal", KindIEP},
		{`iep:permitted-actions="CONTACT FOR INSTRUCTION"`, "U TLP:CLEAR iep-contact", KindIEP},
		{`iep:traffic-light-protocol="RED"`, "U TLP:RED", KindIEP},
		{`iep2-policy:attribution="must-not"`, "U TLP:CLEAR iep-anonymous", KindIEP},
		{`iep2-policy:name="ours"`, "U TLP:CLEAR", KindIEP},
		{`iep:commercial-use="MUST NOT"`, `U TLP:AMBER+STRICT unknown="IEP commercial_use must-not"`, KindIEP},
		{`dni-ism:classification:us="TS"`, "TS TLP:AMBER+STRICT", KindBanner},
		{`dni-ism:scicontrols="SI-G"`, "U//SI/SI-G TLP:CLEAR", KindBanner},
		{`dni-ism:dissem="NF"`, "U TLP:AMBER REL USA", KindBanner},
		{`dni-ism:dissem="ODD"`, `U TLP:AMBER+STRICT unknown="dni-ism:dissem=\"ODD\""`, KindUnknown},
		{`nato:classification="NS"`, `U TLP:AMBER+STRICT unknown="nato:classification=\"NS\""`, KindUnknown},

		{"see \u202e:PLT", `U TLP:AMBER+STRICT unknown="see �:PLT"`, KindUnknown},
		{"", `U TLP:AMBER+STRICT unknown="(empty)"`, KindUnknown},
		{"a\x00b\xff\nc", `U TLP:AMBER+STRICT unknown="a�b� c"`, KindUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.words, func(t *testing.T) {
			m := Parse(tt.words)
			if got := m.Handling().String(); got != tt.text || m.Kind() != tt.kind {
				t.Errorf("%s: %s, want %s: %s", m.Kind(), got, tt.kind, tt.text)
			}
		})
	}
}

func TestParseTags(t *testing.T) {
	tags := []string{
		"tlp:amber", `misp-galaxy:threat-actor="Example"`, `acs-marking:privilege_action="NETDEF"`, `acs-marking:privilege_action="TENOT"`,
		`acs-marking:formal_determination="FOUO"`, "PAP:GREEN", "de-vs:einstufung",
	}
	var got []string
	for _, m := range ParseTags(tags) {
		got = append(got, m.Handling().String())
	}
	want := []string{"U TLP:AMBER", "U TLP:CLEAR PAP:GREEN", `U TLP:AMBER+STRICT unknown="de-vs:einstufung"`, "U TLP:AMBER acs-dsply acs-fouo acs-idsrc acs-tearline"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(ParseTags([]string{"osint:lifetime=\"perpetual\""})) != 0 {
		t.Error("a tag about other things makes a mark")
	}
}

func TestFromSTIX(t *testing.T) {
	tests := []struct {
		name, id string
		m        *stix.Marking
		text     string
		who      bool
	}{
		{"TLP 2.0 by its identifier", "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", nil, "U TLP:AMBER+STRICT", true},
		{"TLP 1 by its identifier, in any case", "marking-definition--F88D31F6-486F-44DA-B317-01333BDE0B82", nil, "U TLP:AMBER", true},
		{"a fixed identifier counts, whatever stands in the copy", "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", &stix.Marking{TLP: "clear"}, "U TLP:RED", true},
		{"a foreign copy of TLP", "marking-definition--x", &stix.Marking{TLP: "green"}, "U TLP:GREEN", true},
		{"never defined", "marking-definition--x", nil, `U TLP:AMBER+STRICT unknown="marking-definition--x"`, false},
		{"defined and empty", "marking-definition--x", &stix.Marking{}, `U TLP:AMBER+STRICT unknown="marking-definition--x"`, false},
		{"a TLP that is none", "marking-definition--x", &stix.Marking{TLP: "blue"}, `U TLP:AMBER+STRICT unknown="tlp:blue"`, true},
		{"known in part", "marking-definition--x", &stix.Marking{TLP: "red", Unknown: []string{"extension-definition--y"}}, `U TLP:RED unknown="marking-definition--x extension-definition--y"`, true},
		{"two in one", "marking-definition--x", &stix.Marking{TLP: "green", Statement: "Copyright"}, `U TLP:GREEN statement="Copyright"`, true},
		{"a statement says not who", "marking-definition--x", &stix.Marking{Statement: "never TLP:CLEAR"}, `U TLP:CLEAR statement="never TLP:CLEAR"`, false},
		{"a statement of ours", "marking-definition--x", &stix.Marking{Statement: "Handling: U TLP:RED cui"}, `U TLP:RED cui`, true},
		{"a statement that is nearly ours", "marking-definition--x", &stix.Marking{Statement: "Handling: U  TLP:RED"}, `U TLP:RED statement="Handling: U TLP:RED"`, false},
		{"granular markings that were not read", "granular_markings", nil, `U TLP:AMBER+STRICT unknown="granular_markings"`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := FromSTIX(tt.id, tt.m)
			if got := m.Handling().String(); got != tt.text || m.SaysWho() != tt.who {
				t.Errorf("%s (says who: %t), want %s (%t)", got, m.SaysWho(), tt.text, tt.who)
			}
		})
	}
}

// TestACSFromBytes reads a marking in the form of the published extension.
func TestACSFromBytes(t *testing.T) {
	m := readBack(t, []byte(`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--6010b3f4-a603-4d3b-9098-8708cdbe151b","created":"2026-06-18T00:00:00Z","extensions":{"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce":{"extension_type":"property-extension","identifier":"isa:guide.999191.ACS3-76342cc9-1440-4031-84a3-d498c404cab3","create_date_time":"2026-05-27T14:10:26.723Z","responsible_entity_custodian":"USA.DHS.US-CERT","policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=permit","control_set":{"classification":"U","formal_determination":["FOUO"],"sensitivity":["NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA"]},"access_privilege":[{"privilege_action":"NETDEF","privilege_scope":{"entity":["ALL"],"permitted_nationalities":["ALL"],"permitted_organizations":["ALL"],"shareability":["ALL"]},"rule_effect":"permit"}]}}}`))
	h := FromSTIX(m.ID, m).Handling()
	want := "U TLP:AMBER acs-dsply acs-ecs acs-fouo acs-idsrc acs-tearline acs-tenot"
	if h.String() != want || !h.Sealed() {
		t.Errorf("%s (sealed: %t), want %s, sealed", h, h.Sealed(), want)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"TLP:AMBER+STRICT", "PAP:GREEN", "TS//SI-G ABCD/TK//REL TO USA, FVEY", "CUI//SP-CTI//FED ONLY", "(U//FOUO)", `acs-marking:caveat="FISA"`, `iep:tlp="RED"`, "Handling: U TLP:RED", "//", "\xff\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, words string) {
		for _, m := range []Mark{Parse(words), Statement(words), Unknown(words), Granular(Parse(words), words), FromSTIX(words, &stix.Marking{Statement: words})} {
			h := m.Handling()
			text := h.String()
			back, err := ParseHandling(text)
			if err != nil || back.String() != text {
				t.Fatalf("%q: %q: %v", words, text, err)
			}
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || len(text) > 8<<10 {
				t.Fatalf("%q: %q is no line of text", words, text)
			}
			if m.Kind() == KindUnknown && h.May(Enforce, day).Yes {
				t.Fatalf("%q is unknown and permits", words)
			}
			_ = h.Reasons()
		}
	})
}

func FuzzParseHandling(f *testing.F) {
	for _, tt := range rowTests {
		f.Add(tt.text)
	}
	f.Add(`TS//SI/TK TLP:RED PAP:AMBER REL - ORG USA.DHS acs-idsrc="only ORG USA.DHS or REL USA" acs-dsply="not REL FRA" how="a"`)
	f.Fuzz(func(t *testing.T, words string) {
		h, err := ParseHandling(words)
		if err != nil {
			if !h.Equal(Handling{}) {
				t.Fatalf("%q: an error and a handling that is not zero", words)
			}
			return
		}
		if h.String() != words {
			t.Fatalf("%q came back as %q", words, h)
		}
		if !h.Join(h).Equal(h) || !h.Join(Open()).Equal(h) || !h.Join(Handling{}).Dominates(h) {
			t.Fatalf("%q breaks the laws of Join", words)
		}
		_ = h.Reasons()
		_, _ = h.Markings(author)
	})
}

func FuzzParseClearance(f *testing.F) {
	for _, seed := range []string{"U TLP:AMBER+STRICT", "S//SI REL USA TLP:RED", "TS//SI/TK REL USA,GBR ORG USA.DHS,ISAC SHARE NCC ENTITY CTR", "U", "U REL -"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, words string) {
		c, err := ParseClearance(words)
		if err != nil {
			return
		}
		again, err := ParseClearance(c.String())
		if err != nil || again.String() != c.String() {
			t.Fatalf("%q: %q came back as %q: %v", words, c, again, err)
		}
	})
}
