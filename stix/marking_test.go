package stix

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMarkings(t *testing.T) {
	const head = `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--11111111-1111-4111-8111-111111111111","created":"2020-01-01T00:00:00.000Z",`
	for _, c := range []struct {
		name, in string
		want     Marking
	}{
		{"TLP 1 copy", head + `"definition_type":"tlp","definition":{"tlp":"white"}}`, Marking{TLP: "clear", TLPRef: "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"}},
		{"TLP 2", head + `"name":"TLP:AMBER+STRICT","extensions":{"` + TLPExtension + `":{"extension_type":"property-extension","tlp_2_0":"amber+strict"}}}`, Marking{Name: "TLP:AMBER+STRICT", TLP: "amber+strict", TLPRef: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"}},
		{"both generations", head + `"definition_type":"tlp","definition":{"tlp":"amber"},"extensions":{"` + TLPExtension + `":{"extension_type":"property-extension","tlp_2_0":"red"}}}`, Marking{TLP: "red", TLPRef: "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"}},
		{"by identifier", `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed","created":"2020-01-01T00:00:00.000Z"}`, Marking{ID: "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", TLP: "red", TLPRef: "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"}},
		{"an identifier that lies", `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da","created":"2020-01-01T00:00:00.000Z","definition_type":"tlp","definition":{"tlp":"red"}}`, Marking{ID: "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", TLP: "red", TLPRef: "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"}},
		{"statement", head + `"definition_type":"statement","definition":{"statement":"Copyright"}}`, Marking{Statement: "Copyright"}},
		{"unknown", head + `"definition_type":"x-foo","definition":{}}`, Marking{Unknown: []string{"definition_type x-foo"}}},
		{"unknown extension", head + `"definition_type":"statement","definition":{"statement":"s"},"extensions":{"x":{}}}`, Marking{Statement: "s", Unknown: []string{"x"}}},
		{"CUI", head + `"extensions":{"` + CUIExtension + `":{"extension_type":"property-extension","control":"CUI","categories":["SBIZ","SP-SSEL"],"disseminations":["NOFORN"],"designator_ref":"identity--c069bb9f-158a-405d-92b4-858a2536df9a","required_statements":["S"],"supplemental_administrative":["Draft"]}}}`, Marking{CUI: &CUI{
			Control: "CUI", Designator: "identity--c069bb9f-158a-405d-92b4-858a2536df9a", Categories: []string{"SP-SSEL", "SBIZ"}, Disseminations: []string{"NOFORN"}, Statements: []string{"S"}, Supplemental: []string{"Draft"},
		}}},
		{"IEP by reference", head + `"extensions":{"` + IEPExtension + `":{"iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845","policy_name":"N","tlp":"green","tlp_ref":"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"}}}`, Marking{IEP: &IEP{
			ID: "0224bfdf-ea3a-49c3-96f6-66d908bb1845", Name: "N", TLP: "red",
		}}},
		{"IEP", head + `"name":"IEP data marking","extensions":{"` + IEPExtension + `":{"extension_type":"property-extension","encrypt_in_transit":"may","permitted_actions":"externally-visible-direct-actions","affected_party_notifications":"MUST NOT","tlp":"white","provider_attribution":"must-not","unmodified_resale":"must-not","iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845","iep_version":2.0,"description":"D","start_date":"2022-10-01T00:00:00Z"}}}`, Marking{Name: "IEP data marking", IEP: &IEP{
			ID: "0224bfdf-ea3a-49c3-96f6-66d908bb1845", Name: "IEP data marking", Description: "D", Start: tlpTwoCreated, Encrypt: "may", Actions: IEPExternalDirect, Notify: "must-not", TLP: "clear", Attribution: "must-not", Resale: "must-not",
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := ParseObject([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			got, err := o.Marking()
			if err != nil {
				t.Fatal(err)
			}
			if c.want.ID == "" {
				c.want.ID = "marking-definition--11111111-1111-4111-8111-111111111111"
			}
			c.want.Created = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, in := range []string{
		head + `"definition_type":"tlp","definition":{"tlp":"purple"}}`,
		head + `"definition_type":"tlp"}`,
		head + `"extensions":{"` + TLPExtension + `":{"tlp_2_0":"white-ish"}}}`,
		head + `"extensions":{"` + ACSExtension + `":{}}}`,
		head + `"extensions":{"` + ACSExtension + `":5}}`,
		head + `"extensions":{"` + CUIExtension + `":{"control":"SECRET"}}}`,
		head + `"extensions":{"` + CUIExtension + `":{"control":"CUI","designator_ref":"tool--c069bb9f-158a-405d-92b4-858a2536df9a"}}}`,
		head + `"extensions":{"` + IEPExtension + `":{"permitted_actions":"anything","iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845"}}}`,
		head + `"extensions":{"` + IEPExtension + `":{"iep_id":"5"}}}`,
		head + `"extensions":{"` + IEPExtension + `":{"iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845","tlp_ref":"` + idA + `"}}}`,
		head + `"extensions":{"` + IEPExtension + `":{"iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845","start_date":"2020-01-02T00:00:00Z","end_date":"2020-01-01T00:00:00Z"}}}`,
		head + `"extensions":{"` + IEPExtension + `":{"iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845","iep_version":3}}}`,
		head + `"extensions":{"` + IEPExtension + `":{"iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845","tlp":"purple"}}}`,
	} {
		o, err := ParseObject([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		m, err := o.Marking()
		if err == nil {
			t.Errorf("%s: got %+v, want an error", in, m)
		}
	}
}

const acs = `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--11111111-1111-4111-8111-111111111111","created":"2020-01-01T00:00:00.000Z",
"extensions":{"` + ACSExtension + `":{"extension_type":"property-extension",
"identifier":"isa:guide.999191.ACS3-11111111-1111-4111-8111-111111111111","create_date_time":"2020-01-01T00:00:00.000Z",
"responsible_entity_custodian":"USA.DHS.US-CERT","responsible_entity_originator":"USENERGY01",
"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=permit",
"control_set":{"classification":"U","formal_determination":["FOUO"],"caveat":["POSSIBLEPII"],"sensitivity":["NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA"],"shareabiity":["NCC"],"entity":["CTR"]},
"access_privilege":[
 {"privilege_action":"NETDEF","rule_effect":"permit","privilege_scope":{"permitted_nationalities":["ALL"],"permitted_organizations":["ALL"],"shareability":["ALL"],"entity":["ALL"]}},
 {"privilege_action":"DSPLY","rule_effect":"permit","privilege_scope":{"entity":["GOV"]}},
 {"privilege_action":"TENOT","rule_effect":"permit"},
 {"privilege_action":"TENOT","rule_effect":"deny","privilege_scope":{"entity":["MIL"]}}],
"further_sharing":[{"sharing_scope":["FOREIGNGOV"],"rule_effect":"deny"}],
"resource_disposition":{"disposition_date":"2030-01-01T00:00:00.000Z","disposition_process":"destroy"}}}}`

func TestACS(t *testing.T) {
	o, err := ParseObject([]byte(acs))
	if err != nil {
		t.Fatal(err)
	}
	m, err := o.Marking()
	if err != nil {
		t.Fatal(err)
	}
	all := Scope{Nationalities: []string{"ALL"}, Organizations: []string{"ALL"}, Shareability: []string{"ALL"}, Entities: []string{"ALL"}}
	want := &ACS{
		Identifier: "isa:guide.999191.ACS3-11111111-1111-4111-8111-111111111111", Created: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		Custodian: "USA.DHS.US-CERT", Originator: "USENERGY01", Policy: "urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=permit",
		Control: ControlSet{
			Classification: "U", Determinations: []string{"FOUO"}, Caveats: []string{"POSSIBLEPII"},
			Sensitivities: []string{"NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA"},
			Scope:         Scope{Shareability: []string{"NCC"}, Entities: []string{"CTR"}},
		},
		Privileges: []Privilege{{NetDef, true, all}, {Display, true, Scope{Entities: []string{"GOV"}}}, {Notify, true, Scope{}}, {Notify, false, Scope{Entities: []string{"MIL"}}}},
		Sharing:    []Sharing{{[]string{"FOREIGNGOV"}, false}}, ShareDefault: true,
		DisposeAt: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), DisposeHow: "destroy",
	}
	if diff := cmp.Diff(want, m.ACS); diff != "" {
		t.Error(diff)
	}
	contractor, government := Scope{Entities: []string{"CTR"}}, Scope{Entities: []string{"GOV"}}
	for _, c := range []struct {
		name    string
		action  string
		subject Scope
		want    bool
	}{
		{"permit for all", NetDef, contractor, true},
		{"scope covers", Display, government, true},
		{"scope does not cover", Display, contractor, false},
		{"deny beats permit, whomever it means", Notify, government, false},
		{"default", Source, government, false},
	} {
		if got := m.ACS.Permits(c.action, c.subject); got != c.want {
			t.Errorf("%s: got %t", c.name, got)
		}
	}
	for _, c := range []struct{ name, old, new string }{
		{"effect", `"rule_effect":"permit"`, `"rule_effect":"maybe"`},
		{"classification", `"classification":"U"`, `"classification":"X"`},
		{"no control set", `"control_set"`, `"x_control_set"`},
		{"no action", `"privilege_action":"NETDEF"`, `"x":"NETDEF"`},
		{"scope", `{"entity":["GOV"]}`, `"GOV"`},
	} {
		o, err := ParseObject([]byte(strings.Replace(acs, c.old, c.new, 1)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.Marking()
		if err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}

func readMarking(t testing.TB, text string) *Marking {
	t.Helper()
	o, err := ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	m, err := o.Marking()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPolicies(t *testing.T) {
	const v3 = "urn:isa:policy:acs:ns:v3.0?"
	for _, c := range []struct {
		policy           string
		permit, sharable bool
	}{
		{v3 + "privdefault=permit&sharedefault=permit", true, true},
		{v3 + "privdefault=permit&sharedefault=deny", true, false},
		{v3 + "privdefault=%zz&sharedefault=permit", false, true},
		{v3 + "privdefault=permit&privdefault=deny", false, false},
		{v3 + "privdefault=permit&sharedefault=permit " + v3 + "privdefault=deny&sharedefault=permit", false, true},
		{"urn:isa:policy:acs:ns:v9?privdefault=permit&sharedefault=permit", false, false},
	} {
		a := readMarking(t, strings.Replace(acs, v3+"privdefault=deny&sharedefault=permit", c.policy, 1)).ACS
		if a.DefaultPermit != c.permit || a.ShareDefault != c.sharable {
			t.Errorf("%s: %t, %t", c.policy, a.DefaultPermit, a.ShareDefault)
		}
	}
}

func TestMayShare(t *testing.T) {
	a := &ACS{}
	if a.MayShare([]string{"USA.DHS"}) {
		t.Error("the default is to deny")
	}
	a.Sharing = []Sharing{{Scope: []string{"USA.DHS"}, Permit: true}}
	if !a.MayShare([]string{"USA.DHS"}) || a.MayShare([]string{"FOREIGNGOV"}) {
		t.Error("a permit counts for whom it names")
	}
	a.Sharing = append(a.Sharing, Sharing{Scope: []string{"SECTOR"}})
	if a.MayShare([]string{"USA.DHS"}) {
		t.Error("a deny counts whomever it names")
	}
}

// fullACS has every property of the extension.
const fullACS = `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--22222222-2222-4222-8222-222222222222","created":"2020-01-01T00:00:00.000Z",
"extensions":{"` + ACSExtension + `":{"extension_type":"property-extension","name":"all of it",
"identifier":"isa:guide.999191.ACS3-11111111-1111-4111-8111-111111111111","create_date_time":"2020-01-01T00:00:00.123456Z",
"responsible_entity_custodian":"USA.DHS.US-CERT","responsible_entity_originator":"USA.DHS","authority_reference":["urn:isa:authority:misa"],
"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=deny",
"original_classification":{"classified_by":"A","classified_on":"2020-01-01T00:00:00.000Z","classification_reason":"R","compilation_reason":"C"},
"derivative_classification":{"classified_by":"B","classified_on":"2020-01-02T00:00:00.000Z","derived_from":"D"},
"declassification":{"declass_exemption":"25X1","declass_period":25,"declass_date":"2045-01-01T00:00:00.000Z","declass_event":"E"},
"public_release":{"released_by":"P","released_on":"2021-01-01T00:00:00.000Z"},
"control_set":{"classification":"S","sci_controls":["SI"],"logical_authority_category":["L"],"formal_determination":["NF","NO-PII-PRESENT"],"caveat":["FISA"],"sensitivity":["LES"],
 "shareability":["NCC"],"entity":["GOV"],"permitted_nationalities":["USA"],"permitted_organizations":["USA.DHS"]},
"access_privilege":[{"privilege_action":"ALL","rule_effect":"permit","privilege_scope":{"entity":["ALL"]}},{"privilege_action":"CISAUSES","rule_effect":"deny","privilege_scope":{"permitted_nationalities":["USA"]}}],
"further_sharing":[{"sharing_scope":["SECTOR"],"rule_effect":"permit"}],
"resource_disposition":{"disposition_date":"2030-01-01T00:00:00.000Z","disposition_process":"destroy"}}}}`

// TestMarkingRoundTrip writes what was read, and reads what was written.
func TestMarkingRoundTrip(t *testing.T) {
	const head = `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--11111111-1111-4111-8111-111111111111","created":"2020-01-01T00:00:00.000Z",`
	for _, c := range []struct {
		name, in string
		exact    bool // the same content comes out
	}{
		{"all of ACS", fullACS, true},
		{"the proposal's ACS", acs, false},
		{"statement", head + `"definition_type":"statement","definition":{"statement":"\"Copyright\""},"created_by_ref":"` + idA + `"}`, true},
		{"CUI", head + `"extensions":{"` + CUIExtension + `":{"extension_type":"property-extension","control":"CUI","categories":["SP-SSEL","SBIZ"]}}}`, true},
		{"IEP", head + `"extensions":{"` + IEPExtension + `":{"extension_type":"property-extension","iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845","policy_name":"N","permitted_actions":"none","tlp":"white","iep_version":2,"start_date":"2022-10-01T00:00:00.000Z","end_date":"2023-10-01T00:00:00.000Z"}}}`, true},
		{"foreign TLP 2.0 with a statement", head + `"definition_type":"statement","definition":{"statement":"s"},"extensions":{"` + TLPExtension + `":{"extension_type":"property-extension","tlp_2_0":"green"}}}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := readMarking(t, c.in)
			if !m.Known() {
				t.Fatalf("unknown: %v", m.Unknown)
			}
			out, err := m.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := CanonicalJSON([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if c.exact && string(out) != string(want) {
				t.Errorf("got  %s\nwant %s", out, want)
			}
			again := readMarking(t, string(out))
			if m.ACS != nil && c.name != "all of ACS" {
				m.ACS.Privileges[2].Scope.Entities = []string{"ALL"} // which a written scope must say
			}
			if diff := cmp.Diff(m, again); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMarkingNotWritten(t *testing.T) {
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, m := range []*Marking{
		{Created: at},
		{Created: at, TLP: "red"},
		{Created: at, Statement: "s", Unknown: []string{"x"}},
		{Statement: "no time"},
		{Created: at, Statement: "\xff"},
		{Created: at, ID: "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", TLP: "red"},
		{Created: at, ACS: &ACS{Control: ControlSet{Classification: "S"}}},
	} {
		out, err := m.Append(nil)
		if err == nil {
			t.Errorf("%+v: written as %s", m, out)
		}
	}
}

func TestTLPDefinitions(t *testing.T) {
	for ref, name := range tlpRefs {
		text, ok := TLPDefinition(ref)
		if !ok {
			t.Fatalf("%s is not written", name)
		}
		m := readMarking(t, string(text))
		if m.ID != ref || m.TLP != name || m.TLPRef != ref || !m.Known() {
			t.Errorf("%s: %+v", text, m)
		}
	}
	want := `{"created":"2022-10-01T00:00:00.000Z","extensions":{"` + TLPExtension + `":{"extension_type":"property-extension","tlp_2_0":"amber+strict"}},"id":"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003","name":"TLP:AMBER+STRICT","spec_version":"2.1","type":"marking-definition"}`
	if got, _ := TLPDefinition("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"); string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, ok := TLPRef("amber+strict", false); ok {
		t.Error("TLP 1.0 has no amber+strict")
	}
	if ref, ok := TLPRef("TLP:WHITE", false); !ok || ref != "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9" {
		t.Error(ref)
	}
}

func TestGranular(t *testing.T) {
	const head = `{"type":"identity","spec_version":"2.1","id":"` + idA + `","name":"n","external_references":[{"source_name":"s"}],"labels":["a","b"],"granular_markings":`
	const red = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
	o, err := ParseObject([]byte(head + `[{"marking_ref":"` + red + `","selectors":["external_references.[0]","labels.[1]"]},{"lang":"fr","selectors":["name"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	all, err := o.GranularMarkings()
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	if all[0].Ref != red || all[0].Values[0].Get("source_name").Str() != "s" || all[0].Values[1].Str() != "b" || all[1].Lang != "fr" {
		t.Errorf("%+v", all)
	}
	for selector, want := range map[string]bool{"external_references.[0].source_name": true, "labels.[1]": true, "labels.[10]": false, "labels": false, "name": false} {
		if all[0].Covers(selector) != want {
			t.Errorf("%s: covered %t", selector, !want)
		}
	}
	for _, bad := range []string{
		`[]`, `5`, `[5]`, `[{"marking_ref":"` + red + `"}]`, `[{"selectors":["name"]}]`, `[{"lang":"fr","marking_ref":"` + red + `","selectors":["name"]}]`,
		`[{"lang":"fr","selectors":["labels.[2]"]}]`, `[{"lang":"fr","selectors":["labels.[01]"]}]`, `[{"lang":"fr","selectors":["labels.[0"]}]`,
		`[{"lang":"fr","selectors":["nothing"]}]`, `[{"lang":"fr","selectors":["name.x"]}]`, `[{"lang":"fr","selectors":[""]}]`,
		`[{"marking_ref":"` + idA + `","selectors":["name"]}]`, `[{"lang":"fr","selectors":["name"` + strings.Repeat(`,"name"`, maxSelectors) + `]}]`,
	} {
		o, err := ParseObject([]byte(head + bad + "}"))
		if err != nil {
			t.Fatal(err)
		}
		all, err := o.GranularMarkings()
		if err == nil {
			t.Errorf("%s: got %+v, want an error", bad, all)
		}
	}
}

func FuzzMarking(f *testing.F) {
	for _, s := range []string{acs, fullACS, indicator, `{"type":"marking-definition","id":"marking-definition--11111111-1111-4111-8111-111111111111","created":"2020-01-01T00:00:00Z","definition_type":"tlp","definition":{"tlp":"red"},"granular_markings":[{"lang":"en","selectors":["definition.tlp"]}]}`} {
		f.Add([]byte(s))
	}
	for _, ref := range []string{IEPExtension, CUIExtension, TLPExtension} {
		f.Add([]byte(`{"type":"marking-definition","id":"marking-definition--11111111-1111-4111-8111-111111111111","created":"2020-01-01T00:00:00Z","extensions":{"` + ref + `":{"control":"CUI","iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845","tlp":"red","tlp_2_0":"red"}}}`))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		o, err := ParseObject(in)
		if err != nil {
			return
		}
		parts, err := o.GranularMarkings()
		if err == nil {
			for _, g := range parts {
				if len(g.Values) != len(g.Selectors) || (g.Ref == "") == (g.Lang == "") {
					t.Fatalf("%+v", g)
				}
			}
		}
		m, err := o.Marking()
		if err != nil {
			return
		}
		out, err := m.Append(nil)
		if err != nil {
			return
		}
		again := readMarking(t, string(out))
		final, err := again.Append(nil)
		if err != nil || string(final) != string(out) {
			t.Fatalf("%s became %s, %v", out, final, err)
		}
	})
}
