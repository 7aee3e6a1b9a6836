package misp

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/hub/internal/format"
	"ecs/observable"
)

func each(all []Attribute) iter.Seq2[Attribute, error] {
	return func(yield func(Attribute, error) bool) {
		for _, a := range all {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// TestWriteRead shows that what is written is read again as it was.
func TestWriteRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[0-9a-f]{8}-0000-4000-8000-[0-9a-f]{12}`)
		text := rapid.StringMatching(`[a-zA-Z0-9 <>&"\\é☃./]{1,20}`)
		e := Event{
			UUID: id.Draw(t, "event"), Info: "i" + strings.TrimSpace(text.Draw(t, "info")), Org: "o", Tags: []string{"tlp:green", "family:" + text.Draw(t, "tag")},
			Date: time.Unix(rapid.Int64Range(1_000_000_000, 2_000_000_000).Draw(t, "date"), 0).UTC(),
		}
		var want, got []string
		var attributes []Attribute
		for range rapid.IntRange(0, 6).Draw(t, "attributes") {
			v := rapid.SampledFrom([]string{
				"a.example", "192.0.2.1", "192.0.2.0/24", "192.0.2.1:443", "192.0.2.1 443/tcp", "2001:db8::1", "4444/udp", "https://a.example/?q=\"<&>", "x@a.example",
				"d41d8cd98f00b204e9800998ecf8427e", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			}).Draw(t, "value")
			atom, err := observable.FromValue(v)
			if err != nil {
				t.Fatal(err)
			}
			a := Attribute{
				UUID: id.Draw(t, "uuid"), ToIDS: true, Comment: "c" + text.Draw(t, "comment"),
				LastSeen: time.UnixMicro(rapid.Int64Range(1_000_000_000_000_000, 2_000_000_000_000_000).Draw(t, "seen")).UTC(),
			}
			a.Type, a.Value = TypeOf(atom)
			attributes = append(attributes, a)
			want = append(want, a.UUID+" "+a.LastSeen.String()+" "+observable.Pattern(atom))
		}
		var b bytes.Buffer
		err := Write(&b, e, each(attributes))
		if err != nil {
			t.Fatal(err)
		}
		m := New(bytes.NewReader(b.Bytes()), format.Limits{})
		for err == nil {
			var r *format.Record
			r, err = m.Next()
			if err != nil {
				break
			}
			if r.Problem != nil || len(r.Marks) != 1 || !strings.Contains(r.Context, e.Info) {
				t.Fatalf("%+v, %v of\n%s", r, r.Problem, b.String())
			}
			pattern := r.Pattern
			if pattern == "" {
				a, ferr := observable.FromValue(r.Value)
				if ferr != nil {
					t.Fatal(ferr)
				}
				pattern = observable.Pattern(a)
			}
			got = append(got, r.Reference+" "+r.Observed.String()+" "+pattern)
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s of\n%s", diff, b.String())
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	e := Event{UUID: "5e2b7a40-0000-4000-8000-000000000001", Date: time.Unix(1_700_000_000, 0)}
	good := Attribute{UUID: e.UUID, Type: "domain", Value: "a.example"}
	broken := errors.New("the database is away")
	for _, tt := range []struct {
		name string
		e    Event
		a    Attribute
		err  error
	}{
		{"event without UUID", Event{}, good, nil},
		{"attribute without UUID", e, Attribute{Type: "domain", Value: "a.example"}, nil},
		{"attribute without value", e, Attribute{UUID: e.UUID, Type: "domain"}, nil},
		{"type without category", e, Attribute{UUID: e.UUID, Type: "mutex", Value: "x"}, nil},
		{"broken sequence", e, good, broken},
	} {
		var b bytes.Buffer
		err := Write(&b, tt.e, func(yield func(Attribute, error) bool) { yield(tt.a, tt.err) })
		if err == nil || tt.err != nil && !errors.Is(err, tt.err) || bytes.HasSuffix(bytes.TrimSpace(b.Bytes()), []byte("}}")) {
			t.Errorf("%s: %v, wrote %q", tt.name, err, b.String())
		}
	}
}

func TestWriteIsJSON(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, Event{UUID: "5e2b7a40-0000-4000-8000-000000000001", Date: time.Date(2026, 11, 21, 23, 0, 0, 0, time.UTC), Org: "Hub", Info: "Selection", Tags: []string{"tlp:clear"}}, each([]Attribute{
		{UUID: "5e2b7a40-0000-4000-8000-000000000002", Type: "domain", Value: "a.example", ToIDS: true, FirstSeen: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		{UUID: "5e2b7a40-0000-4000-8000-000000000003", Type: "ip-dst", Value: "192.0.2.1", Category: "External analysis", Tags: []string{"x"}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Event":{"uuid":"5e2b7a40-0000-4000-8000-000000000001","info":"Selection","date":"2026-11-21","timestamp":"1795302000","publish_timestamp":"1795302000","published":true,"analysis":"2","threat_level_id":"4","Orgc":{"name":"Hub"},"Tag":[{"name":"tlp:clear"}],"Attribute":[
{"uuid":"5e2b7a40-0000-4000-8000-000000000002","type":"domain","category":"Network activity","value":"a.example","to_ids":true,"timestamp":"1795302000","comment":"","deleted":false,"disable_correlation":false,"first_seen":"2026-01-02T03:04:05.000000+00:00"},
{"uuid":"5e2b7a40-0000-4000-8000-000000000003","type":"ip-dst","category":"External analysis","value":"192.0.2.1","to_ids":false,"timestamp":"1795302000","comment":"","deleted":false,"disable_correlation":false,"Tag":[{"name":"x"}]}
]}}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestManifest(t *testing.T) {
	got, err := ParseManifest(strings.NewReader(`{
 "5E2B7A40-0000-4000-8000-000000000002":{"info":"two","Orgc":{"id":"2","name":"CERT"},"analysis":"2","date":"2026-11-19","threat_level_id":"1","timestamp":"1795000000","Tag":[{"name":"tlp:green","colour":"#0"},{"name":"x"}]},
 "5e2b7a40-0000-4000-8000-000000000001":{"timestamp":1795000001}}`))
	want := []ManifestEntry{
		{UUID: "5e2b7a40-0000-4000-8000-000000000002", Info: "two", Org: "CERT", Date: "2026-11-19", Timestamp: time.Unix(1795000000, 0).UTC(), Tags: []string{"tlp:green", "x"}},
		{UUID: "5e2b7a40-0000-4000-8000-000000000001", Timestamp: time.Unix(1795000001, 0).UTC()},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for _, bad := range []string{
		``, `[]`, `{`, `{"../../etc/passwd":{}}`, `{"5e2b7a40-0000-4000-8000-000000000001":7}`, `{"5e2b7a40-0000-4000-8000-000000000001":{"timestamp":"x"}}`,
		`{"5e2b7a40-0000-4000-8000-000000000001":{},"5E2B7a40-0000-4000-8000-000000000001":{}}`, `{} x`, `{"5e2b7a40-0000-4000-8000-000000000001":{"a":}}`,
		`{"5e2b7a40-0000-4000-8000-000000000001":{"info":"` + strings.Repeat("x", maxEvent) + `"}}`,
	} {
		got, err := ParseManifest(strings.NewReader(bad))
		if err == nil {
			t.Errorf("%.60s is read as %v", bad, got)
		}
	}
	got, err = ParseManifest(strings.NewReader(`{}`))
	if err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}
