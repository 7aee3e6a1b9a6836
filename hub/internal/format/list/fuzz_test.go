package list

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"ecs/hub/internal/format"
)

// FuzzList reads anything as every kind: no panic, no endless reading, the same
// records from the same bytes however they arrive, and nothing in them that
// cannot be stored or shown.
func FuzzList(f *testing.F) {
	samples, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for i, s := range samples {
		data, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i%len(Kinds), data)
		for line := range bytes.Lines(data) {
			f.Add(i/2%len(Kinds), line)
		}
	}
	f.Add(2, []byte("$ORIGIN .\n@ SOA . . ( 1\n1 ) \n*. CNAME .\n"))
	f.Add(3, []byte(`alert ip [[1.2.3.4],!5.6.7.8] any -> any [1:2,3] (content:"|"; depth:1; sid:1;)`))
	f.Fuzz(func(t *testing.T, kind int, data []byte) {
		if kind < 0 {
			return
		}
		o := Options{Kind: Kinds[kind%len(Kinds)], Name: "x.txt"}
		sane(t, data, o)
		got := all(t, bytes.NewReader(data), o, 200)
		if diff := cmp.Diff(got, all(t, iotest.HalfReader(bytes.NewReader(data)), o, 200)); diff != "" {
			t.Error(diff)
		}
		_, confidence := Detect(data, "")
		if confidence < 0 || confidence > 100 {
			t.Errorf("confidence %d", confidence)
		}
	})
}

func sane(t *testing.T, data []byte, o Options) {
	t.Helper()
	l, err := New(bytes.NewReader(data), format.Limits{Record: 200}, o)
	for n := 0; err == nil; n++ {
		var r *format.Record
		r, err = l.Next()
		switch {
		case err != nil:
		case n > 4*len(data):
			t.Fatal("more records than bytes: the reader does not move on")
		case r.Place != fmt.Sprint("line ", r.Line) || r.Line < 1 || r.Line > int64(bytes.Count(data, []byte("\n"))+1):
			t.Fatalf("place %q, line %d", r.Place, r.Line)
		case r.Problem != nil && (r.Problem.Code == "" || r.Problem.Reason == "" || !utf8.ValidString(r.Problem.Reason)):
			t.Fatalf("problem %+v", r.Problem)
		case (r.Problem != nil || r.Skip) && (r.Value != "" || r.Context != "" || r.Labels != nil):
			t.Fatalf("a record that is none has content: %+v", r)
		case r.Problem == nil && !r.Skip && (r.Value == "" || !utf8.ValidString(r.Value+r.Context+r.Reference) || strings.ContainsAny(r.Context, "\x00\x1b\t")):
			t.Fatalf("record %+v", r)
		case len(r.Raw) > 4<<10 || len(r.Context) > 2*maxContext+10 || len(r.Labels) > maxLabels+2:
			t.Fatalf("record beyond its bounds: %+v", r)
		}
	}
	var refused *format.Refused
	if !errors.Is(err, io.EOF) && !errors.As(err, &refused) {
		t.Fatal(err)
	}
}

// TestResume shows that a list that is read twice, in any portions, gives the
// same records, and that each line gives the same whatever stands in others.
func TestResume(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{
			"a.example", "", "# note", "192.0.2.1 # x", "b\xff", "hxxp://c[.]example/", "/path", "d.example:80", strings.Repeat("e", 300),
		}), 1, 40).Draw(t, "lines")
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		in := strings.Join(lines, end)
		var want []string
		for i, line := range lines {
			for _, r := range read(t, line) {
				want = append(want, fmt.Sprint(i+1, strings.TrimPrefix(r, "1")))
			}
		}
		if diff := cmp.Diff(want, read(t, in)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func read(t *rapid.T, in string) (out []string) {
	l, err := New(strings.NewReader(in), format.Limits{Record: 200}, Options{Kind: Plain})
	for err == nil {
		var r *format.Record
		r, err = l.Next()
		if err == nil {
			out = append(out, tell(r))
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return out
}

// TestZoneParser compares with a parser of zone files that others wrote: the
// owners that it finds are the names that we give.
func TestZoneParser(t *testing.T) {
	label := rapid.StringMatching(`[a-z][a-z0-9-]{0,6}[a-z0-9]`)
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString("$ORIGIN rpz.example.\n$TTL 60\n@ IN SOA ns.example. root.example. (1 2\n 3 4 ; five\n 5 )\n IN NS ns.example.\n")
		n := rapid.IntRange(1, 20).Draw(t, "records")
		for range n {
			owner := label.Draw(t, "a") + "." + label.Draw(t, "b")
			if rapid.Bool().Draw(t, "absolute") {
				owner += ".rpz.example."
			}
			b.WriteString(rapid.SampledFrom([]string{"", "*."}).Draw(t, "star") + owner)
			b.WriteString(rapid.SampledFrom([]string{" ", "\t", " 300 ", " IN ", " 1h IN ", " IN 5 "}).Draw(t, "gap"))
			b.WriteString(rapid.SampledFrom([]string{"CNAME .", "CNAME *.", "cname (\n . )", "A 192.0.2.1", `TXT "a;(" b`, "CNAME x.example. ; note"}).Draw(t, "data") + "\n")
		}
		var want, got []string
		p := dns.NewZoneParser(strings.NewReader(b.String()), "", "")
		for rr, ok := p.Next(); ok; rr, ok = p.Next() {
			owner := strings.TrimSuffix(rr.Header().Name, ".rpz.example.")
			if owner != rr.Header().Name {
				want = append(want, strings.TrimPrefix(owner, "*."))
			}
		}
		if p.Err() != nil || len(want) != n {
			t.Fatalf("%v in\n%s", p.Err(), b.String())
		}
		l, err := New(strings.NewReader(b.String()), format.Limits{}, Options{Kind: RPZ})
		for err == nil {
			var r *format.Record
			r, err = l.Next()
			switch {
			case err != nil:
			case r.Problem != nil:
				t.Fatalf("%v in\n%s", r.Problem, b.String())
			case !r.Skip:
				got = append(got, r.Value)
			case len(got) > 0:
				got = append(got, got[len(got)-1]) // more data of the same owner
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s in\n%s", diff, b.String())
		}
	})
}

func TestDetect(t *testing.T) {
	for _, k := range Kinds {
		files, err := filepath.Glob("testdata/*." + string(k))
		if err != nil || len(files) == 0 {
			t.Fatal(err)
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		got, confidence := Detect(bytes.ReplaceAll(data, []byte("\xff"), nil), "")
		if got != k || confidence < 50 {
			t.Errorf("%s is taken for %q with confidence %d", files[0], got, confidence)
		}
	}
	for _, tt := range []struct {
		in, name string
		want     Kind
		sure     bool
	}{
		{"value,tlp\na.example,green\n", "x.csv", "", false},
		{"Dear colleagues,\nwe have seen a.example and others.\nRegards\n", "x.txt", Plain, false},
		{`{"Event":{}}`, "x.json", "", false},
		{"", "", "", false},
		{"# only comments\n", "x.rules", Suricata, true},
		{"a.example\nb.example\nc.exa", "", Plain, true},
		{"8.8.8.8 # a note\n8.8.4.4 53/udp\n198.51.100.1\t10\n", "", Plain, true},
	} {
		got, confidence := Detect([]byte(tt.in), tt.name)
		if tt.sure && got != tt.want || (confidence >= 50) != tt.sure {
			t.Errorf("%q: %q with confidence %d", tt.in, got, confidence)
		}
	}
}

// BenchmarkList reads 100,000 lines of each kind, on one of two cores of an AMD
// EPYC while others worked on it (load 4), in millions of lines a second: list 6.7,
// hosts 6.0, rpz 2.9, zeek 5.5, maltrail 16, suricata 1.05.
func BenchmarkList(b *testing.B) {
	for _, bench := range []struct {
		kind Kind
		line string
	}{
		{Plain, "some-name-%d.example\n"},
		{Hosts, "0.0.0.0 some-name-%d.example\n"},
		{RPZ, "some-name-%d.example CNAME .\n"},
		{Zeek, "some-name-%d.example\tIntel::DOMAIN\tsource\twhy\n"},
		{Maltrail, "some-name-%d.example\n"},
		{Suricata, `alert dns any any -> any any (msg:"m"; dns.query; content:"some-name-%d.example"; nocase; endswith; classtype:domain-c2; sid:1; rev:1;)` + "\n"},
	} {
		b.Run(string(bench.kind), func(b *testing.B) {
			var in bytes.Buffer
			in.WriteString("#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\n")
			if bench.kind == RPZ {
				in.Reset()
				in.WriteString("$ORIGIN rpz.example.\n@ SOA . . 1 1 1 1 1\n")
			}
			const n = 100_000
			for i := range n {
				fmt.Fprintf(&in, bench.line, i)
			}
			b.SetBytes(int64(in.Len()))
			b.ReportAllocs()
			for b.Loop() {
				l, err := New(bytes.NewReader(in.Bytes()), format.Limits{}, Options{Kind: bench.kind, Name: "family.txt"})
				got := 0
				for err == nil {
					var r *format.Record
					r, err = l.Next()
					if err == nil && r.Problem == nil && !r.Skip {
						got++
					}
				}
				if got != n {
					b.Fatal(got, err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
