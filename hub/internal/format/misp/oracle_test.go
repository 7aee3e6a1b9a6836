package misp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/hub/internal/format"
)

// member is one member of a JSON object; a list of them keeps an order, which a
// map does not.
type member struct {
	name string
	json string
}

func object(t *rapid.T, members []member) string {
	gap := rapid.SampledFrom([]string{"", " ", "\n", "\t\r\n"})
	var parts []string
	for _, i := range rapid.Permutation(indices(len(members))).Draw(t, "order") {
		parts = append(parts, gap.Draw(t, "a")+`"`+members[i].name+`"`+gap.Draw(t, "b")+":"+gap.Draw(t, "c")+members[i].json+gap.Draw(t, "d"))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func indices(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

// TestOracle compares with encoding/json, which holds everything at once: the
// records are the attributes in their order, with all tags of event and attribute,
// wherever these stand.
func TestOracle(t *testing.T) {
	text := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	tag := rapid.SampledFrom([]string{"tlp:red", "tlp:green", "PAP:AMBER", "family:one", `x:y="é\"☃"`})
	tags := func(t *rapid.T) string {
		var all []string
		for _, name := range rapid.SliceOfNDistinct(tag, 0, 3, rapid.ID).Draw(t, "tags") {
			all = append(all, object(t, []member{{"name", text(name)}, {"colour", `"#ffffff"`}}))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	rapid.Check(t, func(t *rapid.T) {
		var events []string
		for range rapid.IntRange(1, 3).Draw(t, "events") {
			attribute := func() string {
				return object(t, []member{
					{"type", text(rapid.SampledFrom([]string{"domain", "md5", "mac-address"}).Draw(t, "type"))},
					{"value", text(rapid.StringMatching(`[a-zé"\\/☃\n]{1,10}x`).Draw(t, "value"))},
					{"to_ids", rapid.SampledFrom([]string{"true", "false", `"1"`, `"0"`}).Draw(t, "to_ids")},
					{"deleted", rapid.SampledFrom([]string{"true", "false"}).Draw(t, "deleted")},
					{"comment", text(rapid.StringMatching(`[a-z}{\]\[",:]{0,12}`).Draw(t, "comment"))},
					{"Galaxy", `[{"a":[1.5e3,null,{"b":"]}"}]}]`},
					{"Tag", tags(t)},
				})
			}
			list := func() string {
				var all []string
				for range rapid.IntRange(0, 4).Draw(t, "attributes") {
					all = append(all, attribute())
				}
				return "[" + strings.Join(all, ",") + "]"
			}
			e := object(t, []member{
				{"info", text("an event")}, {"Tag", tags(t)}, {"Attribute", list()}, {"RelatedEvent", `[{"Event":{"Attribute":[{"type":"domain","to_ids":true,"value":"never"}]}}]`},
			})
			if rapid.Bool().Draw(t, "wrapped") {
				e = `{"Event":` + e + `}`
			}
			events = append(events, e)
		}
		in := "[" + strings.Join(events, ",") + "]"
		if rapid.Bool().Draw(t, "response") {
			in = `{"response":` + in + `}`
		}
		want := oracle(t, in)
		for _, r := range []io.Reader{strings.NewReader(in), blind{strings.NewReader(in)}} {
			var got []string
			m := New(r, format.Limits{})
			var err error
			for err == nil {
				var r *format.Record
				r, err = m.Next()
				switch {
				case err != nil:
				case r.Problem != nil:
					got = append(got, r.Problem.Code)
				case r.Skip:
					got = append(got, "skip")
				default:
					var marks []string
					for _, k := range r.Marks {
						marks = append(marks, k.String())
					}
					slices.Sort(marks)
					got = append(got, fmt.Sprint(r.Value, r.Revoked, slices.Compact(marks)))
				}
			}
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s of\n%s", diff, in)
			}
		}
	})
}

func oracle(t *rapid.T, in string) (out []string) {
	var events []json.RawMessage
	err := json.Unmarshal([]byte(in), &events)
	if err != nil {
		var whole struct{ Response []json.RawMessage }
		err = json.Unmarshal([]byte(in), &whole)
		events = whole.Response
	}
	if err != nil {
		t.Fatalf("%v in %s", err, in)
	}
	marks := map[string]string{"tlp:red": "TLP:RED", "tlp:green": "TLP:GREEN", "PAP:AMBER": "PAP:AMBER"}
	for _, raw := range events {
		var wrapped struct{ Event *tagged }
		var e tagged
		err = json.Unmarshal(raw, &wrapped)
		if err == nil {
			err = json.Unmarshal(raw, &e)
		}
		if err != nil {
			t.Fatal(err)
		}
		if wrapped.Event != nil {
			e = *wrapped.Event
		}
		for _, a := range e.Attribute {
			ids := a.ToIDS == true || a.ToIDS == "1"
			var all []string
			for _, name := range append(slices.Clone(e.Tag), a.Tag...) {
				if marks[name.Name] != "" {
					all = append(all, marks[name.Name])
				}
			}
			slices.Sort(all)
			switch {
			case !a.Deleted && !ids, a.Deleted && a.Type == "mac-address":
				out = append(out, "skip")
			case a.Type == "mac-address":
				out = append(out, codeUnobservable)
			default:
				out = append(out, fmt.Sprint(strings.TrimSpace(a.Value), a.Deleted, slices.Compact(all)))
			}
		}
	}
	return out
}

// tagged is an event or an attribute.
type tagged struct {
	Type, Value string
	ToIDS       any `json:"to_ids"`
	Deleted     bool
	Tag         []struct{ Name string }
	Attribute   []tagged
}

// TestManyEvents shows that each of several long events keeps its own marks, in an
// input that does not begin where the file does.
func TestManyEvents(t *testing.T) {
	var b strings.Builder
	b.WriteString(`garbage[`)
	const events, n = 4, 6000
	marks := []string{"TLP:RED", "TLP:GREEN", "TLP:AMBER", "TLP:CLEAR"}
	for e := range events {
		if e > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(`{"Event":{"Attribute":[`)
		for i := range n {
			if i > 0 {
				b.WriteString(",\n")
			}
			fmt.Fprintf(&b, `{"type":"domain","to_ids":true,"value":"n%d-%d.example","comment":"some words to make it longer"}`, e, i)
		}
		fmt.Fprintf(&b, `],"Tag":[{"name":%q}]}}`, strings.ToLower(marks[e]))
	}
	b.WriteString(`]`)
	r := strings.NewReader(b.String())
	_, err := r.Seek(int64(len("garbage")), io.SeekStart)
	if err != nil {
		t.Fatal(err)
	}
	m := New(r, format.Limits{Record: 1000})
	for e := range events {
		for i := range n {
			rec, err := m.Next()
			if err != nil || rec.Problem != nil || rec.Value != fmt.Sprintf("n%d-%d.example", e, i) || len(rec.Marks) != 1 || rec.Marks[0].String() != marks[e] || rec.Line != int64(e*n+i+1) {
				t.Fatalf("event %d, attribute %d: %+v, %v", e, i, rec, err)
			}
		}
	}
	_, err = m.Next()
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		in   string
		from int
		to   int
	}{
		{`{"Event" : {"info":"x"`, 90, 100},
		{`[{"id":"1","Orgc":{"name":"x"},"info":"y"`, 90, 100},
		{`{"response":[{"Event":{`, 90, 100},
		{`{"response":[]}`, 50, 70},
		{`{"type":"bundle","id":"bundle--1","objects":[{"name":"Event"}`, 0, 0},
		{`{"type":"indicator","spec_version":"2.1","description":"\"Attribute\" : x"`, 0, 0},
		{`value,"Event":1`, 0, 0},
		{``, 0, 0},
	} {
		got := Detect([]byte(tt.in))
		if got < tt.from || got > tt.to {
			t.Errorf("%s: %d", tt.in, got)
		}
	}
}
