package contract

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var moment = time.Date(2026, 11, 21, 12, 0, 0, 123_000_000, time.UTC)

func example() *Indicator {
	return &Indicator{
		ID: ID{0x5b, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15}, CreatedBy: "identity--5b1e4a86-0c5c-4b3f-8a57-2f6d3c7e91a5",
		Created: moment, Modified: moment, Pattern: `[domain-name:value = 'bad.example']`,
		ValidFrom: moment, ValidUntil: moment.Add(24 * time.Hour), Confidence: 80, Marking: Amber,
		Category: Phishing, Action: Sinkhole, Summary: "A <name> used for phishing & more.", Disclosure: 2, Enforce: true, Display: true, Notify: true,
	}
}

func TestCanonicalForm(t *testing.T) {
	got, err := example().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"confidence":80,"created":"2026-11-21T12:00:00.123Z","created_by_ref":"identity--5b1e4a86-0c5c-4b3f-8a57-2f6d3c7e91a5",` +
		`"description":"A <name> used for phishing & more.","extensions":{"extension-definition--5b1e4a86-0c5c-4b3f-8a57-2f6d3c7e91a4":` +
		`{"action":"sinkhole","category":"phishing","disclosure":2,"display":true,"enforce":true,"extension_type":"property-extension","notify":true}},` +
		`"id":"indicator--5b010203-0405-4607-8809-0a0b0c0d0e0f","indicator_types":["malicious-activity"],"modified":"2026-11-21T12:00:00.123Z",` +
		`"object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"],"pattern":"[domain-name:value = 'bad.example']",` +
		`"pattern_type":"stix","spec_version":"2.1","type":"indicator","valid_from":"2026-11-21T12:00:00.123Z","valid_until":"2026-11-22T12:00:00.123Z"}`
	if string(got) != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if !json.Valid(got) {
		t.Fatal("not JSON")
	}
}

const (
	markA = "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab"
	markB = "marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9"
)

func TestFurtherMarkings(t *testing.T) {
	x := example()
	x.Markings = []string{markA, markB}
	body, err := x.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	want := `"object_marking_refs":["` + Amber.Ref() + `","` + markA + `","` + markB + `"],"pattern"`
	if !strings.Contains(string(body), want) {
		t.Fatalf("%s\nlacks %s", body, want)
	}
	again, err := ParseIndicator(body)
	if err != nil || len(again.Markings) != 2 || again.Markings[1] != markB || again.Marking != Amber {
		t.Fatalf("%+v %v", again, err)
	}
	for _, refs := range []string{`"` + markA + `","` + Amber.Ref() + `"`, `"` + Amber.Ref() + `","` + markB + `","` + markA + `"`, ``} {
		_, err = ParseIndicator([]byte(strings.Replace(string(body), want, `"object_marking_refs":[`+refs+`],"pattern"`, 1)))
		if err == nil {
			t.Errorf("taken: %s", refs)
		}
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for name, change := range map[string]func(*Indicator){
		"no id":            func(x *Indicator) { x.ID = ID{} },
		"no pattern":       func(x *Indicator) { x.Pattern = "" },
		"no end":           func(x *Indicator) { x.ValidUntil = time.Time{} },
		"end at beginning": func(x *Indicator) { x.ValidUntil = x.ValidFrom },
		"long pattern":     func(x *Indicator) { x.Pattern = strings.Repeat("a", MaxPattern+1) },
		"long summary":     func(x *Indicator) { x.Summary = strings.Repeat("a", MaxSummary+1) },
		"long by escapes":  func(x *Indicator) { x.Pattern = strings.Repeat("\x01", MaxPattern) },
		"bad UTF-8":        func(x *Indicator) { x.Summary = "\xff" },
		"bad creator":      func(x *Indicator) { x.CreatedBy = "\xff" },
		"confidence":       func(x *Indicator) { x.Confidence = 101 },
		"below zero":       func(x *Indicator) { x.Confidence = -1 },
		"disclosure":       func(x *Indicator) { x.Disclosure = 4 },
		"marking":          func(x *Indicator) { x.Marking = Red + 1 },
		"category":         func(x *Indicator) { x.Category = Scanning + 1 },
		"action":           func(x *Indicator) { x.Action = Shadow + 1 },
		"no definition":    func(x *Indicator) { x.Markings = []string{"marking-definition--1"} },
		"capitals":         func(x *Indicator) { x.Markings = []string{strings.ToUpper(markB[20:])} },
		"out of order":     func(x *Indicator) { x.Markings = []string{markB, markA} },
		"twice":            func(x *Indicator) { x.Markings = []string{markA, markA} },
		"TLP as well":      func(x *Indicator) { x.Markings = []string{Red.Ref()} },
		"too many":         func(x *Indicator) { x.Markings = make([]string, MaxMarks+1) },
	} {
		x := example()
		change(x)
		_, err := x.Canonical()
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func genID(t *rapid.T) ID {
	var id ID
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	id[15] |= 1 // never zero
	return id
}

func genIndicator(t *rapid.T) *Indicator {
	at := func(label string) time.Time {
		return time.UnixMilli(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, label)).UTC()
	}
	x := &Indicator{
		ID: genID(t), CreatedBy: rapid.String().Draw(t, "by"), Created: at("created"), Modified: at("modified"),
		Pattern: rapid.StringN(1, 200, 2000).Draw(t, "pattern"), ValidFrom: at("from"),
		Confidence: rapid.IntRange(0, 100).Draw(t, "confidence"), Marking: TLP(rapid.IntRange(0, 4).Draw(t, "tlp")),
		Revoked: rapid.Bool().Draw(t, "revoked"), Category: Category(rapid.IntRange(0, 5).Draw(t, "category")),
		Action: Action(rapid.IntRange(0, 3).Draw(t, "action")), Summary: rapid.StringN(0, 100, 1000).Draw(t, "summary"),
		Disclosure: uint8(rapid.IntRange(0, 3).Draw(t, "disclosure")),
		Enforce:    rapid.Bool().Draw(t, "enforce"), Display: rapid.Bool().Draw(t, "display"), Notify: rapid.Bool().Draw(t, "notify"),
	}
	if rapid.Bool().Draw(t, "marked") {
		x.Markings = []string{markA, markB}[rapid.IntRange(0, 1).Draw(t, "marks"):]
	}
	x.ValidUntil = x.ValidFrom.Add(time.Duration(rapid.Int64Range(1, 1e9).Draw(t, "life")) * time.Millisecond)
	return x
}

// What one side writes the other reads, to the last field.
func TestIndicatorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := genIndicator(t)
		object, err := x.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		y, err := ParseIndicator(object)
		if err != nil {
			t.Fatalf("%v: %s", err, object)
		}
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("%+v\n%+v", x, y)
		}
		// Any JSON reader that sorts nothing anew understands the same strings.
		var plain map[string]any
		err = json.Unmarshal(object, &plain)
		if err != nil || plain["pattern"] != x.Pattern {
			t.Fatalf("pattern %q, %v", plain["pattern"], err)
		}
	})
}

func TestParseIndicatorRefuses(t *testing.T) {
	good, err := example().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	swap := func(old, new string) []byte {
		out := bytes.Replace(good, []byte(old), []byte(new), 1)
		if bytes.Equal(out, good) {
			t.Fatalf("%q is not in the example", old)
		}
		return out
	}
	for name, object := range map[string][]byte{
		"empty": nil, "not JSON": []byte("{"), "null": []byte("null"), "array": []byte("[]"),
		"blank":             swap(`,"created"`, `, "created"`),
		"trailing":          append(bytes.Clone(good), '\n'),
		"unknown field":     swap(`"pattern_type"`, `"note":"x","pattern_type"`),
		"field twice":       swap(`"confidence":80`, `"confidence":80,"confidence":80`),
		"other order":       swap(`"enforce":true,"extension_type":"property-extension"`, `"extension_type":"property-extension","enforce":true`),
		"unknown category":  swap(`"phishing"`, `"unwanted"`),
		"unknown marking":   swap(`55d920b0`, `55d920b1`),
		"no marking":        swap(`"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"`, ``),
		"other extension":   swap(ExtensionID, "extension-definition--00000000-0000-4000-8000-000000000000"),
		"microseconds":      swap(`12:00:00.123Z`, `12:00:00.123000Z`),
		"offset":            swap(`"created":"2026-11-21T12:00:00.123Z"`, `"created":"2026-11-21T13:00:00.123+01:00"`),
		"upper-case id":     swap(`0a0b0c0d0e0f`, `0A0B0C0D0E0F`),
		"escaped otherwise": swap(`<name>`, `\u003cname\u003e`),
		"other type":        swap(`"type":"indicator"`, `"type":"malware"`),
		"revoked false":     swap(`"spec_version"`, `"revoked":false,"spec_version"`),
		"huge":              append(bytes.Clone(good), bytes.Repeat([]byte(" "), MaxObject)...),
	} {
		_, err := ParseIndicator(object)
		if err == nil {
			t.Errorf("%s: accepted %s", name, object)
		}
	}
}

func FuzzParseIndicator(f *testing.F) {
	good, err := example().Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(Amber.Ref()+`"`), []byte(Amber.Ref()+`","`+markA+`","`+markB+`"`), 1))
	f.Add([]byte(`{"extensions":{"` + ExtensionID + `":null},"object_marking_refs":[""]}`))
	f.Add(bytes.Repeat([]byte(`{"extensions":`), 1000))
	f.Fuzz(func(t *testing.T, object []byte) {
		x, err := ParseIndicator(object)
		if err != nil {
			return
		}
		again, err := x.Canonical()
		if err != nil || !bytes.Equal(again, object) {
			t.Fatalf("accepted what it would not write: %s", object)
		}
	})
}

func TestID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := genID(t)
		for _, s := range []string{id.String(), idPrefix + strings.ToUpper(strings.TrimPrefix(id.String(), idPrefix))} {
			got, err := ParseID(s)
			if err != nil || got != id {
				t.Fatalf("%s: %s, %v", s, got, err)
			}
		}
	})
	for _, s := range []string{"", "indicator--", "malware--5b010203-0405-4607-8809-0a0b0c0d0e0f", "5b010203-0405-4607-8809-0a0b0c0d0e0f", "indicator--5b010203-0405-4607-8809-0a0b0c0d0e0", "indicator--5b010203x0405-4607-8809-0a0b0c0d0e0f", "indicator--5b010203-0405-4607-8809-0a0b0c0d0e0g", "indicator--5b01-02030405-4607-8809-0a0b0c0d0e0f", " indicator--5b010203-0405-4607-8809-0a0b0c0d0e0f"} {
		_, err := ParseID(s)
		if err == nil {
			t.Errorf("%q is no identifier", s)
		}
	}
	a, b := NewID(), NewID()
	if a == b || a.IsZero() || a.String()[25] != '4' {
		t.Fatalf("new identifiers %s and %s", a, b)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("indicator--5b010203-0405-4607-8809-0a0b0c0d0e0f")
	f.Add("indicator---5b010203-0405-4607-8809-0a0b0c0d0e0")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err == nil && !strings.EqualFold(id.String(), s) {
			t.Fatalf("%q became %s", s, id)
		}
	})
}
