package sheet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/observable"
)

var small = format.Limits{Record: 2048, Total: 16 << 20}

// say gives a record in one line.
func say(r *format.Record) string {
	if r.Problem != nil {
		return r.Place + " " + r.Problem.Code
	}
	s := r.Place + " " + r.Value + r.Pattern
	if r.Kind != observable.None {
		s += " (" + r.Kind.String() + ")"
	}
	for _, m := range r.Marks {
		s += " " + m.String()
	}
	for _, l := range r.Labels {
		s += " #" + l
	}
	return s
}

func readAll(t testing.TB, open format.Open, r io.Reader) ([]string, []format.Record, error) {
	t.Helper()
	rd, err := open(r, small)
	if err != nil {
		return nil, nil, err
	}
	var lines []string
	var recs []format.Record
	for {
		rec, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return lines, recs, nil
		}
		if err != nil {
			return lines, recs, err
		}
		lines = append(lines, say(rec))
		keep := *rec
		keep.Raw = bytes.Clone(rec.Raw)
		recs = append(recs, keep)
	}
}

func TestOwnNames(t *testing.T) {
	file := "\xef\xbb\xbfvalue;type;category;confidence;tlp;valid_until;summary;context;reference;action;notify\r\n" +
		"# a comment\r\n" +
		"Bad.Example.COM.;;c2;80;TLP:GREEN;;\"C2 of \"\"X\"\";\nsecond line\";seen in a case;REF-1;sinkhole;no\r\n" + // 3, 4
		"198.51.100.7;address;scanning;;;;;;;;\r\n" + // 5
		"hxxps://evil[.]example/login;;phishing;;;;;;;;\r\n" + // 6
		"y.example;;malware;;;;;;;;\r\n" + // 7: no such category
		"z.example;;c2;900;;;;;;;\r\n" + // 8
		"w.example;c2\r\n" + // 9: too few fields
		"u.exam\xffple;;;;;;;;;;\r\n" + // 10
		"s.example;;;;;;\"never closed;;;;\r\n" + // 11, the limit comes before the end
		";;c2;;;;;;;;\r\n" + // 12: nothing
		"q.example;;;;;;a\u202eb;;;;\r\n" + // 13: turns the text around
		"p.example;;;;pink;;;;;;\r\n" + // 14
		"\r\n" +
		"o.example;;;;;;" + strings.Repeat("x", 3000) + ";;;;\r\n" + // 16
		"last.example;;;;;2027-01-31;;;;;" // 17
	want := []string{
		"line 3 Bad.Example.COM. TLP:GREEN", "line 5 198.51.100.7 (address)", "line 6 hxxps://evil[.]example/login", "line 7 BAD-VALUE",
		"line 8 BAD-VALUE", "line 9 SYNTAX", "line 10 BAD-UTF8", "line 11 ITEM-TOO-LARGE", "line 12 MISSING-FIELD", "line 13 BAD-VALUE",
		"line 14 BAD-VALUE", "line 16 ITEM-TOO-LARGE", "line 17 last.example",
	}
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(file), "byte by byte": iotest.OneByteReader(strings.NewReader(file))} {
		lines, recs, err := readAll(t, Open, r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
		first := recs[0]
		if first.Category != contract.CommandAndControl || first.Confidence != 80 || first.Summary != "C2 of \"X\";\nsecond line" ||
			first.Context != "seen in a case" || first.Reference != "REF-1" || !first.ActionSet || first.Action != contract.Sinkhole ||
			first.Notify == nil || *first.Notify || first.Enforce != nil || first.Disclosure != nil || first.Line != 3 {
			t.Errorf("%s: fields: %+v", name, first)
		}
		if last := recs[len(recs)-1]; last.Confidence != -1 || !last.Until.Equal(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)) || string(last.Raw) != "last.example;;;;;2027-01-31;;;;;" {
			t.Errorf("%s: last: %+v", name, last)
		}
	}
}

func TestRefusedAsAWhole(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"nothing":       {"", "no header line"},
		"only comments": {"# a\n\n", "no header line"},
		"misspelled":    {"value,tpl\n", `unknown column "tpl" in line 1`},
		"ignore":        {"value,ignore\n", `unknown column "ignore"`},
		"twice":         {"value,Value\n", "named twice"},
		"no value":      {"tlp,summary\n", "neither a column value nor a column pattern"},
		"UTF-16":        {"\xff\xfev\x00", "UTF-16"},
		"open quote":    {"\"value,tlp\n", "header in line 1 cannot be read"},
		"old workbook":  {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"},
		"broken zip":    {"PK\x03\x04 and nothing", ".xlsx"},
		"wide":          {"value" + strings.Repeat(",", 600) + "\n", "limit 512"},
	} {
		_, _, err := readAll(t, Open, strings.NewReader(c.file))
		var whole *format.Refused
		if !errors.As(err, &whole) || !strings.Contains(whole.Reason, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestMapped(t *testing.T) {
	m := Mapping{
		Separator: "\t", Header: 3,
		Columns: []Column{
			{Header: "First Seen", Field: ValidFrom},
			{Number: 2, Field: Value, Split: ", "},
			{Header: "kind", Field: Type},
			{Header: "Port", Field: Port},
			{Header: "Conf", Field: Confidence},
			{Header: "Handling", Field: Marking},
			{Header: "Analyst", Field: Ignore},
			{Header: "Notes", Field: Context},
			{Header: "More", Field: Context, Optional: true},
			{Header: "Family", Field: Labels},
		},
		Constants: map[Field]string{Category: "c2", Labels: "batch 7", Credibility: "B2"},
		Dates:     "dmy", Zone: "+02:00", Scale: "words",
		Markings: map[string]string{"Partners only": "tlp:amber"},
		Kinds:    map[string]string{"Rechner": "address"},
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	const file = "Report 12 (TLP:GREEN)\n\n" +
		"first  seen\tIOC\tKind\tPort\tConf\tHandling\tAnalyst\tNotes\tFamily\t\n" +
		"31.01.2026 14:30\ta[.]example, b[.]example\tdomain-name\t\tHigh\tPartners only\tsomebody\tseen twice\tOne; Two\t\n" + // 4
		"01.02.2026\t192.0.2.1\tRechner\t443\tlow\t\tsomebody\t\t\t\n" + // 5
		"2026-02-01T00:00:00Z\t192.0.2.2|8080\tip-dst|port\t\t\t\t\t\t\t\n" + // 6
		"\tc.example|192.0.2.3\tdomain|ip\t\t\ttlp:red\t\t\t\t\n" + // 7
		"\td.example\tthing\t\t\t\t\t\t\t\n" + // 8
		"\te.example\t\t\t\t\t\t\t\tlost?\n" + // 9
		"02/13/2026\tf.example\t\t\t\t\t\t\t\t\n" + // 10
		"\t , \t\t\t\t\t\t\t\t\n" // 11
	rd, err := m.Open(strings.NewReader(file), small)
	if err != nil {
		t.Fatal(err)
	}
	lines, recs, err := readAll(t, func(io.Reader, format.Limits) (format.Reader, error) { return rd, nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"line 4, value 1 a[.]example (domain) TLP:GREEN TLP:AMBER #One #Two #batch 7", "line 4, value 2 b[.]example (domain) TLP:GREEN TLP:AMBER #One #Two #batch 7",
		"line 5 192.0.2.1 443/any (address) TLP:GREEN #batch 7",
		"line 6 192.0.2.2 8080/any (address) TLP:GREEN #batch 7",
		"line 7, value 1 c.example (domain) TLP:GREEN TLP:RED #batch 7", "line 7, value 2 192.0.2.3 (address) TLP:GREEN TLP:RED #batch 7",
		"line 8 BAD-VALUE", "line 9 SYNTAX", "line 10 BAD-VALUE", "line 11 MISSING-FIELD",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Fatal(diff)
	}
	if r := recs[0]; r.Confidence != 85 || r.Credibility != 2 || r.Category != contract.CommandAndControl || r.Context != "Notes: seen twice" ||
		!r.From.Equal(time.Date(2026, 1, 31, 12, 30, 0, 0, time.UTC)) {
		t.Errorf("fields: %+v", r)
	}
	if diff := cmp.Diff([]Left{{Header: "Analyst", Number: 7, Cells: 2}}, rd.(*Reader).Left()); diff != "" {
		t.Errorf("ignored: %s", diff)
	}
}

func TestMappingDoesNotFit(t *testing.T) {
	m := Mapping{Columns: []Column{{Header: "IOC", Number: 1, Field: Value}, {Header: "Handling", Field: Marking}}}
	for name, c := range map[string]struct{ header, want string }{
		"another column":    {"IOC,Handling,Caveats", "is not in the mapping: it could be a marking"},
		"a column less":     {"IOC", "is not in the header"},
		"another order":     {"Handling,IOC", `column 1 is "Handling", and the mapping says "IOC"`},
		"twice":             {"IOC,Handling,handling", "twice"},
		"a header too many": {"IOC,Handling,,x", "is not in the mapping"},
	} {
		_, _, err := readAll(t, m.Open, strings.NewReader(c.header+"\n1,2,3,4\n"))
		var whole *format.Refused
		if !errors.As(err, &whole) || !strings.Contains(whole.Reason, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestHeaderInAComment(t *testing.T) {
	m := Mapping{Header: 2, Columns: []Column{{Header: "dst_ip", Field: Value}, {Header: "dst_port", Field: Port}}}
	lines, _, err := readAll(t, m.Open, strings.NewReader("# a feed\n# \"dst_ip\",\"dst_port\"\n# TLP:CLEAR\n\"192.0.2.1\",\"443\"\n# end\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"line 4 192.0.2.1 443/any TLP:CLEAR"}, lines); diff != "" {
		t.Error(diff)
	}
	m = Mapping{Header: NoHeader, Columns: []Column{{Number: 2, Field: Value}, {Number: 1, Field: Ignore}}}
	lines, _, err = readAll(t, m.Open, strings.NewReader("1,a.example\n2,b.example,x\n3\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"line 1 a.example", "line 2 SYNTAX", "line 3 MISSING-FIELD"}, lines); diff != "" {
		t.Error(diff)
	}
}

// failing gives an error of its own behind some bytes.
func TestErrorOfTheInput(t *testing.T) {
	broken := errors.New("the line broke")
	_, _, err := readAll(t, Open, io.MultiReader(strings.NewReader("value\na.example\n"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("%v, want the error of the input", err)
	}
}

func csvOf(n int) string {
	var b strings.Builder
	b.WriteString("value,type,category,confidence,tlp,valid_until,summary,reference\n")
	for i := range n {
		fmt.Fprintf(&b, "host-%d.bad.example,domain,c2,%d,green,2027-12-31,\"Command, and control\",REF-%d\n", i, i%100, i)
	}
	return b.String()
}

func BenchmarkCSV(b *testing.B) {
	const rows = 20_000
	file := csvOf(rows)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		rd, err := Open(strings.NewReader(file), format.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for ; ; n++ {
			rec, err := rd.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || rec.Problem != nil {
				b.Fatal(err, rec.Problem)
			}
		}
		if n != rows {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
