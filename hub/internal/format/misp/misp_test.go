package misp

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/observable"
)

var update = flag.Bool("update", false, "write testdata/*.want")

// tell writes a record as one line, so that tables can be read by people.
func tell(r *format.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", r.Line, strings.TrimPrefix(r.Place, "5e2b7a40-0000-4000-8000-"))
	switch {
	case r.Problem != nil:
		return b.String() + " " + r.Problem.Code + ": " + r.Problem.Reason
	case r.Skip:
		return b.String() + " skip"
	case r.Revoked:
		b.WriteString(" revoked")
	}
	if r.Kind != observable.None {
		b.WriteString(" " + r.Kind.String())
	}
	b.WriteString(" <" + r.Value + r.Pattern + ">")
	if r.Category != contract.Other {
		b.WriteString(" " + r.Category.String())
	}
	fmt.Fprintf(&b, " %d%% credibility %d", r.Confidence, r.Credibility)
	for _, m := range r.Marks {
		b.WriteString(" " + m.String())
	}
	fmt.Fprintf(&b, " %q", r.Labels)
	if !r.Observed.IsZero() {
		b.WriteString(" at " + r.Observed.Format("2006-01-02T15:04:05Z"))
	}
	if !r.Until.IsZero() {
		b.WriteString(" until " + r.Until.Format("2006-01-02T15:04:05Z"))
	}
	fmt.Fprintf(&b, " (%s)", strings.ReplaceAll(r.Context, "\n", " / "))
	return b.String()
}

// all reads an input to its end; the last line is the error when it is not io.EOF.
func all(t testing.TB, r io.Reader, limit int) []string {
	t.Helper()
	var out []string
	m := New(r, format.Limits{Record: limit})
	for {
		rec, err := m.Next()
		var refused *format.Refused
		switch {
		case err == nil:
			out = append(out, tell(rec))
			continue
		case errors.Is(err, io.EOF):
		case errors.As(err, &refused):
			out = append(out, "refused "+refused.Code+": "+refused.Reason)
		default:
			t.Fatalf("a reader without errors gave %v", err)
		}
		return out
	}
}

// blind hides that an input can seek.
type blind struct{ r io.Reader }

func (b blind) Read(p []byte) (int, error) { return b.r.Read(p) }

func TestSample(t *testing.T) {
	data, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	got := all(t, bytes.NewReader(data), 8192)
	if *update {
		err = os.WriteFile("testdata/event.json.want", []byte(strings.Join(got, "\n")+"\n"), 0o644)
		if err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/event.json.want")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(got, all(t, iotest.OneByteReader(blind{bytes.NewReader(data)}), 8192)); diff != "" {
		t.Errorf("byte by byte it reads otherwise: %s", diff)
	}
	// What it gives is what observable reads.
	m := New(bytes.NewReader(data), format.Limits{})
	for err == nil {
		var r *format.Record
		r, err = m.Next()
		if err == nil && bytes.Contains(r.Raw, []byte("victim.example")) {
			t.Errorf("%s keeps who was attacked: %s", r.Place, r.Raw)
		}
		if err != nil || r.Problem != nil || r.Skip {
			continue
		}
		var bad error
		switch {
		case r.Pattern != "":
			_, bad = observable.Compile(r.Pattern)
		case r.Kind != observable.None:
			_, bad = observable.Make(r.Kind, r.Value)
		default:
			_, bad = observable.FromValue(r.Value)
		}
		if bad != nil {
			t.Errorf("%s: %v", r.Place, bad)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestWrappings shows that one event reads the same in all the forms that MISP
// gives it.
func TestWrappings(t *testing.T) {
	const event = `{"uuid":"5e2b7a40-0000-4000-8000-000000000001","Attribute":[{"type":"domain","to_ids":true,"value":"a.example"}],"info":"x","Tag":[{"name":"tlp:green"}]}`
	want := `line 1 domain <a.example> -1% credibility 0 TLP:GREEN ["x"] (domain / MISP event 5e2b7a40-0000-4000-8000-000000000001: x)`
	for _, tt := range []struct {
		name, in string
		n        int
	}{
		{"wrapped", `{"Event":` + event + `}`, 1},
		{"bare", event, 1},
		{"byte order mark", "\xef\xbb\xbf" + event, 1},
		{"response", `{"response":[{"Event":` + event + `},{"Event":` + event + `}]}`, 2},
		{"list", `[{"Event":` + event + `}, ` + event + `]`, 2},
		{"something before", `{"errors":[],"response":[` + event + `],"page":{"a":1}}`, 1},
		{"one in a response", `{"response":{"Event":` + event + `}}`, 1},
		{"empty list", `[]`, 0},
		{"empty response", `{"response":[]}`, 0},
		{"something behind", `{"Event":` + event + `,"Tag":[],"Attribute":[{"type":"domain","to_ids":true,"value":"b.example"}]}`, 1},
		{"no attributes", `{"Event":{"info":"x","Attribute":null,"Object":[]}}`, 0},
	} {
		for _, r := range []io.Reader{strings.NewReader(tt.in), blind{strings.NewReader(tt.in)}} {
			got := all(t, r, 1000)
			if len(got) != tt.n {
				t.Errorf("%s: %q", tt.name, got)
			}
			for _, g := range got {
				if diff := cmp.Diff("1 "+want, g); diff != "" {
					t.Errorf("%s: %s", tt.name, diff)
				}
			}
		}
	}
	got := all(t, strings.NewReader(`{"response":{"Attribute":[{"type":"domain","to_ids":true,"value":"a.example","Event":{"uuid":"5e2b7a40-0000-4000-8000-000000000001","info":"x","distribution":"4"},"Tag":[{"name":"tlp:green"}]}]}}`), 1000)
	attribute := []string{`1 line 1 domain <a.example> -1% credibility 0 TLP:GREEN TLP:AMBER+STRICT ["x"] (domain / MISP event 5e2b7a40-0000-4000-8000-000000000001: x)`}
	if diff := cmp.Diff(attribute, got); diff != "" {
		t.Error(diff)
	}
}

func manyTags(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`{"name":"t:%d"}`, i))
	}
	return strings.Join(all, ",")
}

func TestRefused(t *testing.T) {
	const event = `{"uuid":"5e2b7a40-0000-4000-8000-000000000001","Attribute":[{"type":"domain","to_ids":true,"value":"a.example"}`
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", ``, "refused FORMAT: not an event of MISP: it ends too soon"},
		{"text", `a.example`, "refused FORMAT: not JSON, which events of MISP are"},
		{"UTF-16", "\xff\xfe[\x00", "refused BAD-UTF8: it is UTF-16: save it as UTF-8"},
		{"other JSON", `{"type":"bundle","objects":[]}`, "refused FORMAT: not an event of MISP: it has neither Event nor response nor Attribute"},
		{"manifest", `{"5e2b7a40-0000-4000-8000-000000000001":{"info":"x"}}`, "refused FORMAT: it is the manifest of a feed: deliver the events that it names"},
		{"cut off", `{"Event":` + event, "1 line 1 TRUNCATED: the input ends inside of this event: nothing of it is taken, because its markings may be missing"},
		{"brackets", `{"Event":` + event + `}]}`, "1 line 1 SYNTAX: the input cannot be read from here on: not JSON"},
		{"deep", `{"Event":{"x":` + strings.Repeat("[", 300) + `}}`, "1 line 1 SYNTAX: the input cannot be read from here on: values are nested too deeply"},
		{"not a list", `{"Event":{"Attribute":7}}`, "1 line 1 WRONG-TYPE: Attribute is not a list"},
		{"no event", `{"Event":7}`, "1 line 1 WRONG-TYPE: Event is not what MISP writes there"},
		{"numbers", `[7]`, "1 line 1 WRONG-TYPE: an event was expected, not another JSON value"},
		{"tags broken", `{"Event":{"Attribute":[{"type":"domain","to_ids":true,"value":"a.example"}],"Tag":[{"name" 7}]}}`, "1 line 1 SYNTAX: what the event says of itself cannot be read: Tag: a colon is missing at byte 9"},
		{"list of something else", `[{"type":"indicator"}]`, "1 line 1 MISSING-FIELD: neither an event of MISP nor an object around one"},
		{"too many tags", `{"Event":{"Tag":[` + manyTags(300) + `],"Attribute":[{"type":"domain","to_ids":true,"value":"a.example"}]}}`, "1 line 1 ITEM-TOO-LARGE: the event has more tags than can be told apart"},
		{"too many tags of one", `{"Event":{"Attribute":[{"type":"domain","to_ids":true,"value":"a.example","Tag":[` + manyTags(300) + `]}]}}`, "1 line 1 ITEM-TOO-LARGE: the attribute has more tags than can be told apart"},
		{"long object", `{"Event":{"Object":[{"name":"` + strings.Repeat("x", 9000) + `","Attribute":[{"type":"domain","to_ids":true,"value":"a.example"}]}]}}`, "1 line 1 ITEM-TOO-LARGE: it is longer than 8000 bytes"},
		{"long tags", `{"Event":{"Tag":[` + manyTags(600) + `],"Attribute":[]}}`, "1 line 1 ITEM-TOO-LARGE: what the event says of itself is too long: Tag"},
		{"two distributions", `{"Event":{"distribution":0,"distribution":3,"Attribute":[{"type":"domain","to_ids":true,"value":"a.example"}]}}`, "1 line 1 domain <a.example> -1% credibility 0 TLP:AMBER+STRICT [] (domain / MISP event)"},
		{"after the end", `[] x`, "1 line 1 SYNTAX: the input cannot be read from here on: something follows the end of the JSON value"},
	} {
		for _, r := range []io.Reader{strings.NewReader(tt.in), blind{strings.NewReader(tt.in)}} {
			if diff := cmp.Diff([]string{tt.want}, all(t, r, 8000)); diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
		}
	}
}

// TestLongEvent shows that an event of any length is read when the input can go
// back, and refused as a whole when it cannot: its tags stand at the end.
func TestLongEvent(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"Event":{"Attribute":[`)
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&b, "{\"type\":\"domain\",\"to_ids\":true,\"value\":\"n%d.example\"},\n", i)
	}
	b.WriteString(`{"type":"domain","to_ids":true,"value":"` + strings.Repeat("x", 5000) + `"}],"Tag":[{"name":"tlp:red"}]}}`)
	m := New(strings.NewReader(b.String()), format.Limits{Record: 1000})
	for i := range n {
		r, err := m.Next()
		if err != nil || r.Value != fmt.Sprintf("n%d.example", i) || len(r.Marks) != 1 || r.Marks[0].String() != "TLP:RED" || r.Line != int64(i+1) {
			t.Fatalf("%d: %+v, %v", i, r, err)
		}
	}
	r, err := m.Next()
	if err != nil || r.Problem == nil || r.Problem.Code != codeTooLarge || len(r.Raw) != maxHead {
		t.Fatalf("%+v, %v", r, err)
	}
	_, err = m.Next()
	if !errors.Is(err, io.EOF) || len(m.s.buf) > 2<<20 {
		t.Fatalf("%v, %d bytes held", err, len(m.s.buf))
	}
	got := all(t, blind{strings.NewReader(b.String())}, 1000)
	want := []string{"1 line 1 ITEM-TOO-LARGE: the event is longer than 4 MiB, and its markings may stand at its end: deliver it as a file"}
	if len(got) != 1 || got[0] != want[0] {
		t.Errorf("%d records, the first %.200s", len(got), got[0])
	}
}

// TestBroken shows that an error of the input comes as it is.
func TestBroken(t *testing.T) {
	broken := errors.New("the disk is gone")
	m := New(io.MultiReader(strings.NewReader(`{"Event":{"Attribute":[`), iotest.ErrReader(broken)), format.Limits{})
	var err error
	for err == nil {
		_, err = m.Next()
	}
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
