package marking

import (
	"slices"
	"strings"
	"testing"

	"ecs/contract"
	"ecs/stix"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var author = Author{Identity: "identity--8a5b2e0c-6f43-4a0d-9c8e-3f1f6c1d2b7a", Custodian: "USA.DHS", Guide: "999191", Since: day}

// TestMarkings shows that what is written on a release object is read back as the
// same handling, through the bytes.
func TestMarkings(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, h Handling) {
		refs, definitions := h.Markings(author)
		byID := map[string]*stix.Marking{}
		for _, m := range definitions {
			b, err := m.Append(nil)
			if err != nil {
				t.Fatalf("%s: %v", h, err)
			}
			byID[m.ID] = readBack(t, b)
		}
		var marks []Mark
		for _, ref := range refs {
			marks = append(marks, FromSTIX(ref, byID[ref]))
		}
		if got := Combine(marks...); !got.Equal(h) {
			t.Fatalf("came back different:\n%s\n%s\n%v", h, got, marks)
		}
		again, _ := h.Markings(author)
		if !slices.Equal(refs, again) {
			t.Fatalf("%s: identifiers change: %v, %v", h, refs, again)
		}
		if refs[0] != h.TLP().Ref() || slices.ContainsFunc(refs[1:], func(r string) bool { _, ok := contract.TLPByRef(r); return ok }) {
			t.Fatalf("%s: there is not one reference for TLP 2.0: %v", h, refs)
		}
	}
	t.Run("any", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			h := handlings().Filter(func(h Handling) bool { return h.read }).Draw(t, "h")
			check(t, h)
		})
	})
	t.Run("from marks", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			check(t, Combine(rapid.SliceOfN(marks(), 1, 4).Draw(t, "marks")...))
		})
	})
	t.Run("unmarked", func(t *testing.T) {
		refs, definitions := Handling{}.Markings(author)
		if refs != nil || definitions != nil {
			t.Errorf("an unmarked item would be released as %v", refs)
		}
	})
}

func readBack(t interface{ Fatalf(string, ...any) }, b []byte) *stix.Marking {
	r := stix.NewReader(strings.NewReader(string(b)), stix.Limits{})
	o, err := r.Next()
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	m, err := o.Marking()
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return m
}

// TestWritten shows what is written for some handlings that people have.
func TestWritten(t *testing.T) {
	sealed := &stix.ACS{DefaultPermit: true, ShareDefault: true, Control: stix.ControlSet{Classification: "U", Sensitivities: []string{ECS}}, Privileges: []stix.Privilege{{Action: "DSPLY"}}}
	tests := []struct {
		name string
		h    Handling
		want []string // of each reference what it says
	}{
		{"TLP alone", Combine(Parse("TLP:GREEN")), []string{"TLP green"}},
		{"PAP has identifiers of its own", Combine(Parse("TLP:RED"), Parse("PAP:AMBER")), []string{"TLP red", "PAP:AMBER"}},
		{"PAP that restricts nothing is not said", Combine(Parse("TLP:RED"), Parse("PAP:WHITE")), []string{"TLP red"}},
		{"ACS is said in ACS", Combine(Parse("TLP:AMBER"), newMark(KindACS, "", true, fromACS(sealed))), []string{"TLP amber", "ACS U TLP:AMBER acs-dsply acs-ecs"}},
		{"an ACS action limited to a scope", mustHandling(t, `U TLP:AMBER acs-idsrc="only ORG USA.DHS"`), []string{"TLP amber", `ACS U TLP:GREEN acs-idsrc="only ORG USA.DHS"`}},
		{"two scopes need two ACS markings", mustHandling(t, `U TLP:AMBER acs-idsrc="only ORG USA.DHS" acs-idsrc="only REL USA"`), []string{"TLP amber", `ACS U TLP:GREEN acs-idsrc="only ORG USA.DHS"`, `ACS U TLP:GREEN acs-idsrc="only REL USA"`}},
		{"the rest is a statement", Combine(Parse("CUI//SP-CTI")), []string{"TLP amber", `statement Handling: U TLP:AMBER cui cui-specified="SP-CTI"`}},
		{"classified is never said in ACS", mustHandling(t, `S//SI TLP:AMBER+STRICT acs-dsply`), []string{"TLP amber+strict", "statement Handling: S//SI TLP:AMBER+STRICT acs-dsply"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refs, definitions := tt.h.Markings(author)
			var got []string
			for _, ref := range refs {
				i := slices.IndexFunc(definitions, func(m *stix.Marking) bool { return m.ID == ref })
				m := FromSTIX(ref, nil)
				switch {
				case i < 0 && m.Kind() == KindTLP:
					got = append(got, "TLP "+m.Handling().TLP().String())
				case i < 0:
					got = append(got, m.String())
				case definitions[i].ACS != nil:
					got = append(got, "ACS "+fromACS(definitions[i].ACS).String())
				default:
					got = append(got, "statement "+definitions[i].Statement)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func mustHandling(t *testing.T, words string) Handling {
	t.Helper()
	h, err := ParseHandling(words)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
