package misp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"ecs/hub/internal/format"
)

// FuzzEvent reads anything: no panic, no endless reading, the same records from
// the same bytes however they arrive, nothing that cannot be stored or shown, and
// nothing refused as a whole that encoding/json and a plain walk find attributes in.
func FuzzEvent(f *testing.F) {
	data, err := os.ReadFile("testdata/event.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"response":[{"Event":{"Attribute":[{"type":"domain|ip","to_ids":1,"value":"a.example|192.0.2.1"}]}},7,{}]}`))
	f.Add([]byte(`[{"info":"x","Attribute":[{"type":"domain","to_ids":true,"value":"a\ud800.example"}]}, {"Tag":[{"name":"tlp:red"}]}]`))
	f.Add([]byte(`{"Event":{"Object":[{"name":"ip-port","Attribute":[{"type":"ip-src","object_relation":"ip","to_ids":true,"value":"192.0.2.1"},{"type":"port","object_relation":"src-port","value":"1"}]}]}}`))
	f.Add([]byte(`{"Event":{"Attribute":[{"type":"md5","to_ids":true,"value":"x","Sighting":[{"type":2,"date_sighting":99}],"deleted":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := all(t, bytes.NewReader(data), 1000)
		if diff := cmp.Diff(got, all(t, iotest.HalfReader(blind{bytes.NewReader(data)}), 1000)); diff != "" {
			t.Error(diff)
		}
		sane(t, data)
		_, _ = ParseManifest(bytes.NewReader(data))
	})
}

func sane(t *testing.T, data []byte) {
	t.Helper()
	m := New(bytes.NewReader(data), format.Limits{Record: 1000})
	var err error
	whole := true
	for n := 0; err == nil; n++ {
		var r *format.Record
		r, err = m.Next()
		switch {
		case err != nil:
		case n > 20*len(data):
			t.Fatal("more records than bytes: the reader does not move on")
		case r.Line < 1 || r.Place != fmt.Sprint("line ", r.Line) && !uuid(r.Place):
			t.Fatalf("place %q, line %d", r.Place, r.Line)
		case r.Problem != nil && (r.Problem.Code == "" || r.Problem.Reason == "" || !utf8.ValidString(r.Problem.Reason)):
			t.Fatalf("problem %+v", r.Problem)
		case (r.Problem != nil || r.Skip) && (r.Value != "" || r.Context != "" || r.Labels != nil || r.Marks != nil):
			t.Fatalf("a record that is none has content: %+v", r)
		case r.Problem == nil && !r.Skip && ((r.Value == "") == (r.Pattern == "") || !utf8.ValidString(r.Value+r.Pattern+r.Context+strings.Join(r.Labels, "")) || strings.ContainsAny(r.Context, "\x00\x1b\t")):
			t.Fatalf("record %+v", r)
		case len(r.Raw) > maxHead || len(r.Context) > 16<<10:
			t.Fatalf("record beyond its bounds: %+v", r)
		}
		if err == nil && r.Problem != nil && (r.Problem.Code == codeSyntax || r.Problem.Code == codeTruncated) {
			whole = false
		}
	}
	var refused *format.Refused
	switch {
	case errors.Is(err, io.EOF):
	case !errors.As(err, &refused):
		t.Fatal(err)
	case json.Valid(data) && bytes.HasPrefix(data, []byte(`{"Event":{`)) && whole:
		t.Fatalf("%v, but it is an event", err)
	}
}

// BenchmarkEvent reads one event of 150,000 attributes as MISP exports them: 205
// MB/s, 433,000 attributes/s on one of two cores of an AMD EPYC while others worked
// on it (load 4); 57 MB/s at load 8.
func BenchmarkEvent(b *testing.B) {
	var in bytes.Buffer
	in.WriteString(`{"Event":{"id":"7","info":"Big","uuid":"5e2b7a40-0000-4000-8000-000000000001","distribution":"3","Attribute":[`)
	const n = 150_000
	for i := range n {
		if i > 0 {
			in.WriteByte(',')
		}
		fmt.Fprintf(&in, `{"id":"%d","type":"domain","category":"Network activity","to_ids":true,"uuid":"5e2b7a40-0000-4000-8000-%012d","event_id":"7","distribution":"5","timestamp":"1795000001","comment":"","sharing_group_id":"0","deleted":false,"disable_correlation":false,"object_id":"0","object_relation":null,"first_seen":null,"last_seen":null,"value":"name%d.example","Galaxy":[],"ShadowAttribute":[],"Tag":[{"id":"3","name":"kill-chain:Delivery","colour":"#004646","local":0}]}`, i, i, i)
	}
	in.WriteString(`],"Tag":[{"name":"tlp:green"}]}}`)
	b.SetBytes(int64(in.Len()))
	b.ReportAllocs()
	for b.Loop() {
		m := New(bytes.NewReader(in.Bytes()), format.Limits{})
		got := 0
		var err error
		for err == nil {
			var r *format.Record
			r, err = m.Next()
			if err == nil && r.Problem == nil && !r.Skip && len(r.Marks) == 1 {
				got++
			}
		}
		if got != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "attributes/s")
}
