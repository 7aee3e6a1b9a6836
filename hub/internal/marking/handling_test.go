package marking

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/stix"

	"github.com/google/go-cmp/cmp"
)

func TestHolds(t *testing.T) {
	tests := []struct {
		name, handling, clearance, reason string
	}{
		{"zero clearance", "U TLP:AMBER+STRICT", "U", ""},
		{"no read up, TLP", "U TLP:RED", "U", "is below TLP:RED"},
		{"no read up, level", "S TLP:GREEN", "C TLP:RED", "is below the level S"},
		{"level enough", "S TLP:GREEN", "TS", ""},
		{"compartment", "S//SI TLP:GREEN", "TS//TK", "is not read into SI"},
		{"compartments", "S//SI/TK TLP:GREEN", "TS//HCS/SI/TK", ""},
		{"releasable", "S TLP:GREEN REL GBR,USA", "S REL USA", ""},
		{"two nationalities both have to be released to", "S TLP:GREEN REL USA", "S REL FRA,USA", "is not within REL USA"},
		{"no nationality", "U TLP:GREEN REL USA", "U", "is not within REL USA"},
		{"releasable to nobody", "U TLP:GREEN REL -", "U REL USA", "is not within REL -"},
		{"part of an organization", "U TLP:GREEN ORG USA.USG", "U ORG USA.DHS.US-CERT", ""},
		{"other organization", "U TLP:GREEN ORG USA.DHS.US-CERT", "U ORG USA.DHS", "is not within ORG USA.DHS.US-CERT"},
		{"similar organization", "U TLP:GREEN ORG USA.DHS", "U ORG USA.DHSX", "is not within ORG USA.DHS"},
		{"groups and entities", "U TLP:GREEN SHARE NCC ENTITY CTR", "U SHARE IC,NCC ENTITY CTR", ""},
		{"unmarked", "U TLP:RED unmarked", "TS TLP:RED", "does not reach an item without markings"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseClearance(tt.clearance)
			if err != nil {
				t.Fatal(err)
			}
			ok, reason := mustHandling(t, tt.handling).Holds(c)
			if ok != (tt.reason == "") || reason != tt.reason {
				t.Errorf("%t %q, want %q", ok, reason, tt.reason)
			}
		})
	}
	ok, _ := Handling{}.Holds(NewClearance(contract.Red, TopSecret))
	if ok {
		t.Error("somebody holds the zero handling")
	}
}

func TestClearance(t *testing.T) {
	var zero Clearance
	if got := zero.String(); got != "U TLP:AMBER+STRICT" {
		t.Errorf("the zero clearance is %s", got)
	}
	if got := NewClearance(contract.Green, Secret).String(); got != "S TLP:GREEN" {
		t.Errorf("got %s", got)
	}
	for words, want := range map[string]string{
		"S//SI REL USA TLP:RED":    "S//SI REL USA TLP:RED",
		"S//TK/SI tlp:red REL USA": "S//SI/TK REL USA TLP:RED",
		"U ORG ISAC,DIB ORG DIB":   "U ORG DIB,ISAC TLP:AMBER+STRICT",
		"":                         "a clearance begins with its level",
		"X":                        `"X" is not a level`,
		"U TLP:BLUE":               "no part of a clearance",
		"U RED":                    "no part of a clearance",
		"U REL":                    "no part of a clearance",
		"U REL usa":                "is not a name",
		"S//si":                    "is not the name of a compartment",
	} {
		c, err := ParseClearance(words)
		got := c.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", words, got, want)
		}
	}
}

// TestScopes shows that rules for some strike whom they may mean, and nobody else.
func TestScopes(t *testing.T) {
	tests := []struct {
		rule, clearance string
		yes             bool
	}{
		{"acs-dsply", "U REL USA ORG USA.DHS", false},
		{`acs-dsply="only ORG USA.DHS"`, "U ORG USA.DHS.US-CERT", true},
		{`acs-dsply="only ORG USA.DHS"`, "U ORG ISAC", false},
		{`acs-dsply="only ORG USA.DHS"`, "U", false},
		{`acs-dsply="only ORG ISAC or REL USA ORG USA.DHS"`, "U ORG USA.DHS", false},
		{`acs-dsply="only ORG ISAC or REL USA ORG USA.DHS"`, "U REL USA ORG USA.DHS", true},
		{`acs-dsply="only ORG ISAC or REL USA ORG USA.DHS"`, "U ORG ISAC", true},
		{`acs-dsply="not REL FRA"`, "U REL USA", true},
		{`acs-dsply="not REL FRA"`, "U REL FRA,USA", false},
		{`acs-dsply="not REL FRA"`, "U", false},
		{`acs-dsply="not REL FRA" acs-dsply="only ORG ISAC"`, "U REL USA", false},
		{`acs-dsply="not REL FRA" acs-dsply="only ORG ISAC"`, "U REL USA ORG ISAC", true},
	}
	for _, tt := range tests {
		t.Run(tt.rule+" "+tt.clearance, func(t *testing.T) {
			h := mustHandling(t, "U TLP:GREEN "+tt.rule)
			c, err := ParseClearance(tt.clearance)
			if err != nil {
				t.Fatal(err)
			}
			if a := h.MayFor(Show, c, day); a.Yes != tt.yes {
				t.Error(a)
			}
			if h.May(Show, day).Yes {
				t.Error("a rule for some does not deny to all together")
			}
		})
	}
}

func TestDates(t *testing.T) {
	h := mustHandling(t, `U TLP:CLEAR from=2026-11-21T12:00:00Z until=2026-11-22T12:00:00Z dispose=2026-11-23T12:00:00Z how="destroy"`)
	for _, tt := range []struct {
		at            time.Time
		hold, enforce string
	}{
		{day.Add(-1), "may be held", "may not be enforced: policy from 2026-11-21T12:00:00Z until 2026-11-22T12:00:00Z is not in effect (FIRST IEP 2.0)"},
		{day, "may be held", "may be enforced"},
		{day.Add(24*time.Hour - 1), "may be held", "may be enforced"},
		{day.Add(24 * time.Hour), "may be held", "may not be enforced: policy from 2026-11-21T12:00:00Z until 2026-11-22T12:00:00Z is not in effect (FIRST IEP 2.0)"},
		{day.Add(48 * time.Hour), "may not be held: disposition 2026-11-23T12:00:00Z is when it has to be disposed of: destroy", ""},
	} {
		if got := h.May(Hold, tt.at).String(); got != tt.hold {
			t.Errorf("%s: %s", tt.at, got)
		}
		if got := h.May(Enforce, tt.at).String(); tt.enforce != "" && got != tt.enforce {
			t.Errorf("%s: %s", tt.at, got)
		}
	}
	at, how := mustHandling(t, "U TLP:CLEAR dispose=2027-01-01T00:00:00Z").Join(h).Disposition()
	if !at.Equal(day.Add(48*time.Hour)) || !cmp.Equal(how, []string{"destroy"}) {
		t.Errorf("the earliest disposition is %s, %v", at, how)
	}
}

// TestParts shows what single parts are told as.
func TestParts(t *testing.T) {
	h := Combine(Parse("TLP:GREEN"), Parse("PAP:RED"), Parse("S//SI//REL TO USA, GBR"), Statement("Copyright"), iep(func(p *stix.IEP) {
		p.Encrypt, p.Attribution = "must", "must"
	}))
	nations, limited := h.ReleasableTo()
	attribute, encrypt, statements := h.Duties()
	got := []any{h.TLP(), h.PAP(), h.Level(), h.Controls(), nations, limited, attribute, encrypt, statements, h.Unknown(), h.Sealed(), len(h.Digest())}
	want := []any{contract.AmberStrict, PAPRed, Secret, []string{"SI"}, []string{"GBR", "USA"}, true, true, true, []string{"Copyright"}, false, false, 64}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, limited = Open().ReleasableTo()
	if limited || !(Handling{}).Unknown() || !Combine(Parse("x")).Unknown() || (Handling{}).Digest() != Combine().Digest() {
		t.Error("Open is limited, or what nobody marked is known")
	}
	b, err := h.MarshalText()
	if err != nil || string(b) != h.String() {
		t.Errorf("%s: %v", b, err)
	}
}

// TestNames shows the words for what is outside the closed lists.
func TestNames(t *testing.T) {
	got := []string{
		Level(9).String(), PAP(9).String(), Use(99).String(), Answer{Use: 99}.String(), Kind(99).String(), Mark{}.String(), KindIEP.String(),
		OfTLP(9).String(), OfPAP(9).String(), Parse("amber").String(), OfTLP(9).Handling().String(),
	}
	want := []string{"unknown", "PAP:unknown", "unknown", "unknown use", "unknown", "no marking", "IEP 2.0", "TLP", "PAP", "TLP:AMBER", `U TLP:AMBER+STRICT unknown="TLP"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err := Use(99).MarshalText()
	if err == nil {
		t.Error("a use outside the closed list is written")
	}
}

func TestDefaults(t *testing.T) {
	byDefault := Combine(Parse("TLP:AMBER"))
	for _, tt := range []struct {
		name  string
		marks []Mark
		want  string
	}{
		{"no marks", nil, "U TLP:AMBER"},
		{"marks that do not say who", []Mark{Parse("PAP:RED")}, "U TLP:AMBER PAP:RED"},
		{"marks that do", []Mark{Parse("PAP:RED"), Parse("TLP:GREEN")}, "U TLP:GREEN PAP:RED"},
		{"an unknown one", []Mark{Unknown("x")}, `U TLP:AMBER+STRICT unknown="x"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := CombineOr(byDefault, tt.marks...).String(); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	if h := Combine(); h.May(Hold, day).Yes || h.String() != "U TLP:RED unmarked" {
		t.Errorf("no marks at all are %s", h)
	}
}

// TestMany shows that more than we keep becomes what nobody meets, not less.
func TestMany(t *testing.T) {
	h := Open()
	for i := range 100 {
		h = h.Join(Combine(Unknown(fmt.Sprint(i)), Statement(fmt.Sprint("Copyright ", i)), Parse(fmt.Sprintf("TS//SAR-%d//NF", i))))
	}
	want := "TS//* TLP:AMBER+STRICT REL USA statement unknown"
	if h.String() != want {
		t.Errorf("got %s, want %s", h, want)
	}
	if ok, _ := h.Holds(NewClearance(contract.Red, TopSecret)); ok {
		t.Error("somebody is read into more than there is")
	}
}

// TestOneMarkIsBounded shows that the bounds hold for single marks, too.
func TestOneMarkIsBounded(t *testing.T) {
	words := "SI-G"
	for i := range 70 {
		words += fmt.Sprintf(" A%d", i)
	}
	for _, m := range []Mark{Parse("TS//" + words), Parse(`dni-ism:scicontrols="` + words + `"`)} {
		h := m.Handling()
		if !h.Equal(Open().Join(h)) || !cmp.Equal(h.Controls(), []string{"*"}) {
			t.Errorf("%s", h)
		}
	}
	_, err := ParseHandling("TS//" + strings.Join(lineage(words), "/") + " TLP:CLEAR")
	if err == nil {
		t.Error("more compartments are read than are kept")
	}
}

func TestParseHandlingRefuses(t *testing.T) {
	for _, words := range []string{
		"", "U", "X TLP:RED", "U TLP:BLUE", "U tlp:red", "U TLP:RED ", "U  TLP:RED", "TLP:RED U", "U TLP:RED TLP:RED", "U TLP:WHITE", "U TLP:CLEAR PAP:CLEAR",
		"U TLP:RED REL", "U TLP:RED REL USA,AUS", "U TLP:RED REL usa", "U TLP:RED ORG USA,USA.DHS", "U TLP:RED ORG ISAC REL USA", "U TLP:RED nonsense", "U TLP:RED cui cui",
		"U TLP:RED fouo cui", `U TLP:RED cui="x"`, `U TLP:RED unknown=""`, `U TLP:RED unknown=x`, `U TLP:RED unknown="x`, `U TLP:RED unknown unknown="x"`,
		`U TLP:RED acs-dsply="ORG ISAC"`, `U TLP:RED acs-dsply="only ORG ISAC or ORG DIB"`, `U TLP:RED acs-dsply="not ORG ISAC or ORG DIB"`, "U TLP:RED dispose=soon",
		"U TLP:RED dispose=2026-11-21T13:00:00+01:00", "U TLP:RED until=0001-01-01T00:00:00Z", `U TLP:RED how="destroy" dispose=2026-11-21T12:00:00Z`,
		"U TLP:RED unknown=\"a\\x00\"", `U TLP:RED unknown="a  b"`, `U TLP:RED unknown="(" dispose=2026-11-21T12:00:00Z how=""`,
		"S//TK/SI TLP:RED", "S// TLP:RED", `U TLP:RED statement="` + strings.Repeat("x", 2000) + `"`,
	} {
		h, err := ParseHandling(words)
		if err == nil {
			t.Errorf("%q is read as %q", words, h)
		}
	}
}

func TestJSON(t *testing.T) {
	h := Combine(Parse("TLP:AMBER"), Parse("PAP:AMBER"), Parse("S//SI//REL TO USA, GBR"))
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"text":"S//SI TLP:AMBER+STRICT PAP:AMBER REL GBR,USA","tlp":"amber+strict","pap":"PAP:AMBER","level":"S","controls":["SI"],"releasable_to":["GBR","USA"],` +
		`"may":{"detect":true,"enforce":false,"hold":true,"name-source":true,"notify":true,"pass-on":true,"share":false,"show":true,"tear-line":true},"disclosure":0,"sealed":false,` +
		`"reasons":["may not be enforced: PAP:AMBER forbids actions that the adversary can see (PAP)",` +
		`"may not be shared further: TLP:AMBER+STRICT keeps it to the recipient's organization (FIRST TLP 2.0); S is classified: only for cleared people and providers; SI is for people who are read into it; REL GBR,USA is for those alone",` +
		`"a customer may be told only that it happened: TLP:AMBER+STRICT keeps it to the recipient's organization (FIRST TLP 2.0); S is classified: only for cleared people and providers; SI is for people who are read into it; REL GBR,USA is for those alone"]}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
	var back Handling
	err = json.Unmarshal(b, &back)
	if err != nil || !back.Equal(h) {
		t.Errorf("%s came back (%v)", back, err)
	}
	err = json.Unmarshal([]byte(`{"text":"U"}`), &back)
	if err == nil || !back.Equal(Handling{}) {
		t.Errorf("%s is read from a text that is none", back)
	}
}

func BenchmarkCombine(b *testing.B) {
	marks := []Mark{Parse("TLP:AMBER"), Parse("PAP:GREEN")}
	b.ReportAllocs()
	for b.Loop() {
		_ = Combine(marks...).String()
	}
}

func BenchmarkParse(b *testing.B) {
	for _, words := range []string{"TLP:AMBER", "S//SI//REL TO USA, GBR", `acs-marking:caveat="FISA"`, "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"} {
		b.Run(words, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = Parse(words)
			}
		})
	}
}

func BenchmarkParseHandling(b *testing.B) {
	text := "U TLP:AMBER acs-dsply acs-ecs acs-fouo acs-idsrc acs-tearline acs-tenot"
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseHandling(text)
	}
}

func BenchmarkMay(b *testing.B) {
	h := Combine(Parse("TLP:AMBER"), Parse("PAP:GREEN"), Parse("U//FOUO"))
	b.ReportAllocs()
	for b.Loop() {
		_ = h.May(Enforce, day)
	}
}
