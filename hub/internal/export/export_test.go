package export_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/export"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/observable"
	"ecs/stix"
)

var (
	now     = time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC)
	program = export.Identity{ID: "identity--8a5b2e0c-6f43-4a0d-9c8e-3f1f6c1d2b7a", Name: "Sample Program", Created: now.AddDate(-1, 0, 0)}
)

func all(*export.Row) (bool, string) { return true, "" }

func options() export.Options {
	return export.Options{May: all, Program: program, At: now, Title: "A selection", Context: true}
}

func rowsOf(rows []export.Row) iter.Seq2[export.Row, error] {
	return func(yield func(export.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// of gives a row of a pattern, with all fields set.
func of(n int, pattern string) export.Row {
	c, err := observable.Compile(pattern)
	if err != nil {
		panic(err)
	}
	var id contract.ID
	copy(id[:], fmt.Sprintf("%016d", n))
	id[6], id[8] = 0x40, 0x80
	return export.Row{Item: indicator.Item{
		ID: id, State: indicator.InForce, Version: 1, Pattern: c.Pattern, Kind: c.Atoms[0].Kind, Value: c.Atoms[0].String(), Services: c.Services,
		Category: contract.CommandAndControl, Action: contract.Sinkhole, Confidence: 80, TLP: contract.Amber, Enforce: true, Display: true, Notify: true,
		Disclosure: 2, Labels: "Family A\nbotnet", Summary: "Control server", Context: "Found in a memory dump",
		ValidFrom: now, ValidUntil: now.AddDate(0, 1, 0), Observed: now.Add(-time.Hour), Created: now, Modified: now,
	}, Handling: marking.OfTLP(contract.Amber).Handling(), Sources: []export.Grade{{Reliability: "B", Credibility: 2}}}
}

func value(n int, v string) export.Row {
	a, err := observable.FromValue(v)
	if err != nil {
		panic(err)
	}
	return of(n, observable.Pattern(a))
}

func write(t testing.TB, f string, rows []export.Row, o export.Options) (string, export.Report) {
	t.Helper()
	how, err := export.ByName(f)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	r, err := how.Write(&b, rowsOf(rows), o)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), r
}

// What may not be written is in no output, and is counted in each.
func TestWithheld(t *testing.T) {
	hidden, sealed, secret, purged := value(1, "hidden.example"), value(2, "sealed.example"), value(3, "secret.example"), value(4, "purged.example")
	sealed.Item.Display = false
	purged.Item.Pattern, purged.Item.Value = "", ""
	unmarked, other := value(5, "unmarked.example"), value(6, "other.example")
	unmarked.Handling, other.Handling = marking.Handling{}, marking.OfTLP(contract.Red).Handling()
	rows := []export.Row{value(0, "open.example"), hidden, sealed, secret, purged, unmarked, other}
	o := options()
	o.May = func(r *export.Row) (bool, string) {
		switch r.Item.Value {
		case "hidden.example":
			return false, ""
		case "secret.example":
			return false, "above\nyour clearance"
		default:
			return true, ""
		}
	}
	for _, f := range export.Formats {
		t.Run(f.Name, func(t *testing.T) {
			text, r := write(t, f.Name, rows, o)
			for _, v := range []string{"hidden", "sealed.example", "secret", "unmarked.example", "other.example", hidden.Item.ID.String()[11:], secret.Item.ID.String()[11:]} {
				if strings.Contains(text, v) {
					t.Errorf("%q is in the output:\n%s", v, text)
				}
			}
			want := map[string]int64{"above\nyour clearance": 1, export.WhySealed: 1, export.WhyEmpty: 1, export.WhyUnmarked: 2}
			if diff := cmp.Diff(want, r.Withheld); diff != "" || r.Written != 1 || r.Held() != 5 {
				t.Errorf("written %d: %s", r.Written, diff)
			}
			if !strings.Contains(text, "open.example") || !strings.Contains(text, "1 written, 5 withheld: above your clearance 1, ") {
				t.Errorf("the output does not say what it holds:\n%s", text)
			}
			o := o
			o.May = nil
			text, r = write(t, f.Name, rows, o)
			if r.Written != 0 || r.Held() != 7 || strings.Contains(text, ".example") {
				t.Errorf("without a decision %d were written", r.Written)
			}
			var none bytes.Buffer
			broken := errors.New("the database is away")
			_, err := f.Write(&none, func(yield func(export.Row, error) bool) { yield(export.Row{}, broken) }, options())
			if !errors.Is(err, broken) {
				t.Errorf("an error of the rows gives %v", err)
			}
			_, err = f.Write(full{}, rowsOf(slices.Repeat(rows, 2000)), options())
			if !errors.Is(err, io.ErrShortWrite) {
				t.Errorf("a full disk gives %v", err)
			}
		})
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestSTIX(t *testing.T) {
	released := value(1, "released.example")
	x := contract.Indicator{
		ID: released.Item.ID, CreatedBy: program.ID, Created: now, Modified: now.Add(time.Minute), Pattern: released.Item.Pattern,
		ValidFrom: now, ValidUntil: now.AddDate(0, 1, 0), Marking: contract.Green, Display: true, Summary: "As it was released <&>",
	}
	var err error
	released.Object, err = x.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	broken := value(2, "broken.example")
	broken.Item.ValidUntil = now.AddDate(0, 0, -1)
	malware := `{"type":"malware","spec_version":"2.1","id":"malware--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061","created":"2026-11-21T12:00:00.000Z","modified":"2026-11-21T12:00:00.000Z","is_family":true,"name":"A family"}`
	relation := func(to contract.ID, how string) string {
		return `{"type":"relationship","spec_version":"2.1","id":"relationship--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0062","created":"2026-11-21T12:00:00.000Z","modified":"2026-11-21T12:00:00.000Z","relationship_type":"indicates","source_ref":"` +
			how + to.String()[len("i"):] + `","target_ref":"malware--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061"}`
	}
	further := []string{malware, relation(released.Item.ID, "i"), relation(broken.Item.ID, "i"), relation(broken.Item.ID, `\u0069`), "{}"}
	o := options()
	o.More = func(yield func([]byte, error) bool) {
		for _, f := range further {
			if !yield([]byte(f), nil) {
				return
			}
		}
	}
	text, r := write(t, "stix", []export.Row{value(0, "new.example"), released, broken, value(3, "192.0.2.1:443")}, o)
	if r.Written != 3 || r.Objects != 2 || r.Withheld[export.WhyObject] != 1 || r.Withheld[export.WhyNames] != 2 || r.Withheld[export.WhyBroken] != 1 {
		t.Errorf("report %+v", r)
	}
	in := stix.NewReader(strings.NewReader(text), stix.Limits{})
	var types []string
	known := map[string]bool{}
	for {
		obj, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range obj.Markings {
			if !known[m] {
				t.Errorf("%s carries %s, which does not stand before it", obj.ID, m)
			}
		}
		known[obj.ID] = true
		types = append(types, obj.Type)
		if obj.Type == "indicator" {
			_, err = obj.Indicator()
			if err != nil {
				t.Error(err)
			}
			_, err = contract.ParseIndicator(obj.Raw)
			if err != nil {
				t.Errorf("not canonical: %v", err)
			}
			if obj.ID == released.Item.ID.String() && !bytes.Equal(obj.Raw, released.Object) {
				t.Error("a released object was changed")
			}
		}
		if obj.Type == "marking-definition" {
			m, err := obj.Marking()
			if err != nil || m.TLP == "" {
				t.Errorf("%s: %v", obj.Raw, err)
			}
		}
	}
	want := []string{"identity", "marking-definition", "indicator", "marking-definition", "indicator", "indicator", "malware", "relationship", "note"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Error(diff)
	}
	if stix.CheckID(in.BundleID()) != nil || stix.TypeOf(in.BundleID()) != "bundle" {
		t.Errorf("bundle id %q", in.BundleID())
	}
	_, err = export.STIX(io.Discard, rowsOf(nil), export.Options{May: all})
	if !errors.Is(err, export.ErrOptions) {
		t.Errorf("without an author: %v", err)
	}
}

func TestMISP(t *testing.T) {
	quiet := of(2, "[ipv4-addr:value = '192.0.2.7' OR domain-name:value = 'two.example']")
	quiet.Item.Enforce, quiet.Item.TLP, quiet.Handling = false, contract.Red, marking.OfTLP(contract.Red).Handling()
	quiet.Item.Labels = "TLP:CLEAR\nFamily \"B\""
	text, r := write(t, "misp", []export.Row{value(0, "one.example"), value(1, "192.0.2.1 443/tcp"), quiet}, options())
	var got struct {
		Event struct {
			UUID, Info, Date string
			Attribute        []struct {
				UUID, Type, Category, Value, Comment string
				ToIDs                                bool `json:"to_ids"`
				Tag                                  []struct{ Name string }
			}
			Tag []struct{ Name string }
		}
	}
	err := json.Unmarshal([]byte(text), &got)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	seen := map[string]bool{}
	for _, a := range got.Event.Attribute {
		if seen[a.UUID] {
			t.Errorf("uuid %s twice", a.UUID)
		}
		seen[a.UUID] = true
		line := fmt.Sprintf("%s %s %t", a.Type, a.Value, a.ToIDs)
		for _, g := range a.Tag {
			line += " " + g.Name
		}
		lines = append(lines, line)
	}
	const rest = ` admiralty-scale:source-reliability="b" admiralty-scale:information-credibility="2" ecs:category="c2" misp:confidence-level="usually-confident" ecs:confidence="80" ecs:action="sinkhole" ecs:disclosure="2" ecs:notify="true" ecs:valid-from="2026-11-21T12:00:00.123456Z" ecs:valid-until="2026-12-21T12:00:00.123456Z" `
	want := []string{
		"domain one.example true tlp:amber PAP:GREEN" + rest + "Family A botnet",
		"stix2-pattern [network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443 AND network-traffic:protocols[*] = 'tcp'] true tlp:amber PAP:GREEN" + rest + "Family A botnet",
		"domain two.example false tlp:red PAP:AMBER" + rest + `Family "B"`,
		"ip-dst 192.0.2.7 false tlp:red PAP:AMBER" + rest + `Family "B"`,
		"comment 3 written, 0 withheld; not in this format: context for analysts 3, labels that look like markings 1 false",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if r.Written != 3 || len(got.Event.Tag) != 0 || got.Event.Date != "2026-11-21" {
		t.Errorf("event %+v, report %+v", got.Event, r)
	}
	if strings.Contains(text, "memory dump") {
		t.Error("the context for analysts is in the event")
	}
}

func TestList(t *testing.T) {
	rows := []export.Row{value(0, "one.example"), value(1, "two.example"), value(2, "192.0.2.1"), of(3, "[domain-name:value IN ('a.example', 'b.example')]"), of(4, "[email-message:subject = '# Invoice']")}
	text, r := write(t, "list", rows, options())
	want := "# domain\none.example\ntwo.example\n# address\n192.0.2.1\n# domain\na.example\nb.example\n# subject\n# handling of the whole: U TLP:AMBER\n# 4 written, 0 withheld; not in this format: values that begin as a comment 1\n"
	if text != want || r.Written != 4 {
		t.Errorf("%s\nwant\n%s", text, want)
	}
	o := options()
	o.Kind = observable.Addr
	text, r = write(t, "list", rows, o)
	if text != "192.0.2.1\n# handling of the whole: U TLP:AMBER\n# 1 written, 0 withheld; not in this format: values of another kind 5\n" || r.Written != 1 {
		t.Errorf("addresses alone:\n%s", text)
	}
}

// Markings that a format cannot say keep a row out of it; a bundle says them all.
func TestMarkings(t *testing.T) {
	secret, statement, passive := value(0, "classified.example"), value(1, "statement.example"), value(2, "passive.example")
	secret.Handling = marking.Parse("S//SI//REL TO USA, GBR").Handling()
	statement.Handling = marking.Combine(marking.OfTLP(contract.Amber), marking.Statement("(c) Sample Program; \"ask\" before use"))
	passive.Handling = marking.Combine(marking.OfTLP(contract.Amber), marking.OfPAP(marking.PAPRed))
	rows := []export.Row{secret, statement, passive}
	for i := range rows {
		rows[i].Item.TLP = rows[i].Handling.TLP()
		rows[i].Item.Handling = int64(i + 1)
	}
	rows = append(rows, rows...)
	for _, f := range []string{"csv", "misp"} {
		text, r := write(t, f, rows, options())
		if r.Written != 2 || r.Withheld[export.WhyMarkings] != 4 || strings.Contains(text, "classified.example") || !strings.Contains(text, "PAP:RED") {
			t.Errorf("%s: %s\n%s", f, &r, text)
		}
	}
	text, _ := write(t, "list", rows, options())
	joined := secret.Handling.Join(statement.Handling).Join(passive.Handling)
	if !strings.Contains(text, "# handling of the whole: "+joined.String()+"\n") {
		t.Errorf("the list does not say how it is to be handled:\n%s", text)
	}
	text, r := write(t, "stix", rows, options())
	if r.Written != 6 {
		t.Fatalf("%s", &r)
	}
	in := stix.NewReader(strings.NewReader(text), stix.Limits{})
	definitions := map[string]*stix.Marking{}
	n := 0
	for {
		o, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch o.Type {
		case "marking-definition":
			if definitions[o.ID] != nil {
				t.Errorf("%s is defined twice", o.ID)
			}
			definitions[o.ID], err = o.Marking()
			if err != nil {
				t.Fatal(err)
			}
		case "indicator":
			var marks []marking.Mark
			for _, ref := range o.Markings {
				marks = append(marks, marking.FromSTIX(ref, definitions[ref]))
			}
			if got := marking.Combine(marks...); !got.Equal(rows[n].Handling) {
				t.Errorf("%s is read back as %s", rows[n].Handling, got)
			}
			n++
		}
	}
	if n != len(rows) {
		t.Errorf("%d indicators", n)
	}
}

// The same rows and options give the same bytes, for every format.
func TestSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(anyRow, 0, 8).Draw(t, "rows")
		o := options()
		o.May = func(r *export.Row) (bool, string) {
			return r.Item.Confidence%3 != 0, []string{"", "one", "two"}[r.Item.Confidence/3%3]
		}
		for _, f := range export.Formats {
			var a, b bytes.Buffer
			_, err := f.Write(&a, rowsOf(rows), o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Write(&b, rowsOf(rows), o)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a.Bytes(), b.Bytes()) {
				t.Fatalf("%s gives\n%s\nand\n%s", f.Name, a.Bytes(), b.Bytes())
			}
			if f.Name == "stix" || f.Name == "misp" {
				if !json.Valid(a.Bytes()) {
					t.Fatalf("%s is not JSON:\n%s", f.Name, a.Bytes())
				}
			}
		}
	})
}
