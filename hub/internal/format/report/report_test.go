package report

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/observable"
)

var demo = Option{Demonstration: true, FileNames: true}

func taken(list []Candidate) []string {
	var out []string
	for _, c := range list {
		if c.Take {
			out = append(out, c.Value)
		}
	}
	return out
}

func find(list []Candidate, value string) *Candidate {
	for i := range list {
		if list[i].Value == value {
			return &list[i]
		}
	}
	return nil
}

// TestCorpus reads reports as they are written, and compares with what an analyst
// would take and leave. It prints how much of it is right.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*.want")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d reports, %v", len(files), err)
	}
	var right, wrong, missed, offered, hidden int
	for _, f := range files {
		text, err := os.ReadFile(strings.TrimSuffix(f, ".want"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got := Extract(string(text), demo)
		must := map[string]string{}
		for s := bufio.NewScanner(bytes.NewReader(want)); s.Scan(); {
			verb, value, _ := strings.Cut(s.Text(), " ")
			must[value] = verb
			c := find(got, value)
			switch {
			case verb == "take" && c != nil && c.Take:
				right++
			case verb == "take":
				missed++
				t.Errorf("%s: %s is not taken: %+v", f, value, c)
			case c != nil && c.Take:
				t.Errorf("%s: %s is taken: %+v", f, value, c)
			case c != nil:
				offered++
				if len(c.Doubts) == 0 {
					t.Errorf("%s: %s is left without a reason", f, value)
				}
			default:
				hidden++
				t.Logf("%s: %s is not seen at all", f, value)
			}
		}
		for _, v := range taken(got) {
			if must[v] != "take" {
				wrong++
				t.Errorf("%s: %s is taken and should not be: %+v", f, v, find(got, v))
			}
		}
		for _, c := range got {
			if must[c.Value] == "" {
				t.Logf("%s: also offered: %s (%v)", f, c.Value, c.Doubts)
			}
		}
	}
	t.Logf("precision %d of %d, recall %d of %d; left with a reason %d, not seen %d", right, right+wrong, right, right+missed, offered, hidden)
}

func TestFound(t *testing.T) {
	text, err := os.ReadFile("testdata/vendor.md")
	if err != nil {
		t.Fatal(err)
	}
	f := Find(string(text), demo)
	if diff := cmp.Diff([]string{"TLP:AMBER+STRICT"}, f.Markings); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Operation Gray Lantern", "PuddleRAT", "CVE-2026-12345", "T1566.001", "T1204.002"}, f.Labels); diff != "" {
		t.Error(diff)
	}
	c := find(f.Candidates, "gate1.puddle-c2.example")
	if c.Line != 24 || c.Section != "PuddleRAT C2 servers" || c.Written != "gate1[.]puddle-c2[.]example" || c.Score != 90 || c.Category != contract.CommandAndControl ||
		string(text[c.Offset:c.Offset+len(c.Written)]) != c.Written || !slices.Contains(c.Labels, "PuddleRAT") {
		t.Errorf("%+v", c)
	}
	if s := find(f.Candidates, "203.0.113.77 8080/any").Sentence; s != `Its attachment "Invoice 2026-05.pdf.exe" downloads the second stage from 203.0.113[.]77:8080.` {
		t.Errorf("sentence: %s", s)
	}
}

func TestForms(t *testing.T) {
	for text, want := range map[string]string{
		"hxxp://a[.]example/x":                         "http://a.example/x",
		"hXXps[:]//a(.)example":                        "https://a.example/",
		"h**ps://a{.}example/":                         "https://a.example/",
		"hxxp[s]://a[dot]example/":                     "https://a.example/",
		"meow://a[.]example/":                          "http://a.example/",
		"a [.] b [.] example":                          "a.b.example",
		"a[.b.]example":                                "a.b.example",
		"a\\.b\\.example":                              "a.b.example",
		"x dot b dot example":                          "x.b.example",
		"a.b[d0t]example":                              "a.b.example",
		"a\u200b[.]\u00adexample":                      "a.example",
		"a．example":                                    "a.example",
		"bücher[.]example":                             "xn--bcher-kva.example",
		"x[at]a[.]example":                             "x@a.example",
		"sender: x at a dot example":                   "x@a.example",
		"mailto:x@a[.]example":                         "x@a.example",
		"192[.]0[.]2[.]1":                              "192.0.2.1",
		"192.0.2[.]1[:]443":                            "192.0.2.1 443/any",
		"tcp://192.0.2[.]1:4444":                       "192.0.2.1 4444/tcp",
		"192.0.2[.]0/24,":                              "192.0.2.0/24",
		"192.0.2[.]1/gate.php":                         "http://192.0.2.1/gate.php",
		"[2001:db8[:]:1]:443":                          "2001:db8::1 443/any",
		"2001:db8[:]:/48":                              "2001:db8::/48",
		"(hxxp://a[.]example/x(1))":                    "http://a.example/x(1)",
		"[hxxp://a[.]example/x](hxxp://a[.]example/x)": "http://a.example/x",
		"\"hxxp://a[.]example/x\".":                    "http://a.example/x",
		"**a[.]example**":                              "a.example",
		"*.a[.]example":                                "a.example",
		"hxxp://a[.]example/x, hxxp://a[.]example/x":   "http://a.example/x",
		"hxxp://a[.]example/x=\r\ny?z=3D1":             "http://a.example/xy?z=1",
		"<hxxp://a[.]example/x\n  y>":                  "http://a.example/xy",
		"hxxp:\\/\\/a[.]example\\/x":                   "http://a.example/x",
		"domain:a[.]example":                           "a.example",
		"url=hxxp://a[.]example/":                      "http://a.example/",
		"a[.]example:8080":                             "a.example",
		"a[.]example:8080/x":                           "http://a.example:8080/x",
		"MD5:5eb63bbbe01eeed093cb22bb8f5acdc3":         "5eb63bbbe01eeed093cb22bb8f5acdc3",
		"invoice[.]exe":                                "",
		"see section 1.2.3.4":                          "",
		"connect the dot to the line":                  "",
		"look at the dot and wait":                     "",
		"see you (at) noon, room[.]":                   "",
		"hxxp://":                                      "",
		"C:\\Users\\x\\.ssh":                           "",
		"kernel32.dll, e.g. this, i.e. that. And":      "",
		"12:30:45 on 1.2.2026; ::; a::b::c":            "",
	} {
		got := strings.Join(taken(Extract(text, Option{Demonstration: true})), " ")
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestDoubts(t *testing.T) {
	for _, c := range []struct{ text, value, code string }{
		{"See https://a.example/x for more.", "https://a.example/x", "fanged"},
		{"hxxp://a[.]example/<id>", "http://a.example/", "placeholder"},
		{"The site a[.]example is not malicious.", "a.example", "harmless"},
		{"It imitates the bank good[.]example.", "good.example", "harmless"},
		{"# Not affected\n\n- a[.]example\n", "a.example", "harmless"},
		{"# References\n\nhxxp://a[.]example/\n", "http://a.example/", "references"},
		{"update to version 9.8.7.6 now", "9.8.7.6", "version"},
		{"Browser/9.8.7.6 was seen", "9.8.7.6", "version"},
		{"127.0.0[.]1", "127.0.0.1", "not-public"},
		{"virustotal[.]com knows it", "virustotal.com", "well-known"},
		{"invoice[.]pdf", "invoice.pdf", "file-name"},
		{"evil[.]nosuchtld", "evil.nosuchtld", "no-such-domain"},
		{"d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e", "empty-file"},
		{"in commit 2aae6c35c94fcfb415dbe95f408b9ce91ee846ed", "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed", "commit"},
		{"Contact us at x[at]a[.]example", "x@a.example", "contact"},
		{"hxxp://www.own[.]example/post", "http://www.own.example/post", "publisher"},
	} {
		got := find(Extract(c.text, Option{Demonstration: true, Publisher: []string{"own.example"}}), c.value)
		if got == nil || got.Take || !slices.ContainsFunc(got.Doubts, func(d Doubt) bool { return d.Code == c.code && d.Why != "" }) {
			t.Errorf("%q: %+v, want doubt %s", c.text, got, c.code)
		}
	}
	if c := find(Extract("hxxp://a[.]example/ and 192.0.2[.]1", Option{}), "192.0.2.1"); c.Take || c.Doubts[0].Code != "example" {
		t.Errorf("a name of examples is taken: %+v", c)
	}
}

func TestOptions(t *testing.T) {
	const text = "# Indicators\n\nbad[.]example and plain.example\n"
	opt := Option{Demonstration: true}
	if diff := cmp.Diff([]string{"bad.example"}, taken(Extract(text, opt))); diff != "" {
		t.Error(diff)
	}
	opt.Fanged = true
	if diff := cmp.Diff([]string{"bad.example", "plain.example"}, taken(Extract(text, opt))); diff != "" {
		t.Error(diff)
	}
	opt = Option{Take: []string{"plain.example"}, Leave: []string{"bad.example"}}
	if diff := cmp.Diff([]string{"plain.example"}, taken(Extract(text, opt))); diff != "" {
		t.Error(diff)
	}
}

func TestMerge(t *testing.T) {
	c := Extract("In a[.]example we trust.\n\n# C2 servers\n\n- a[.]example\n- A[.]EXAMPLE.\n", demo)
	if len(c) != 1 || c[0].Count != 3 || c[0].Line != 5 || c[0].Section != "C2 servers" || c[0].Places[0].Line != 1 {
		t.Errorf("%+v", c)
	}
	c = Extract("# C2\n\na[.]example\n\n# Update\n\nThe name a[.]example is a false positive.\n", demo)
	if len(c) != 1 || c[0].Take {
		t.Errorf("a false positive is taken: %+v", c)
	}
}

func records(t testing.TB, open format.Open, text string) ([]format.Record, error) {
	t.Helper()
	rd, err := open(strings.NewReader(text), format.Limits{Record: 4096})
	if err != nil {
		return nil, err
	}
	var out []format.Record
	for {
		rec, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, *rec)
	}
}

func TestRecords(t *testing.T) {
	recs, err := records(t, demo.Open, "TLP:GREEN\n\nhxxp://a[.]example/ is a C2 of CVE-2026-1111.\nSee https://b.example/.\n")
	if err != nil || len(recs) != 2 {
		t.Fatal(recs, err)
	}
	r := recs[0]
	if r.Value != "http://a.example/" || r.Kind != observable.URL || r.Place != "line 3" || r.Line != 3 || r.Confidence != -1 || r.Category != contract.CommandAndControl ||
		len(r.Marks) != 1 || r.Marks[0].String() != "TLP:GREEN" || !slices.Contains(r.Labels, "CVE-2026-1111") ||
		string(r.Raw) != "hxxp://a[.]example/ is a C2 of CVE-2026-1111." || r.Context != "Report, line 3: hxxp://a[.]example/ is a C2 of CVE-2026-1111." {
		t.Errorf("%+v", r)
	}
	if r := recs[1]; !r.Skip || r.Value != "" || r.Place != "line 4" {
		t.Errorf("%+v", r)
	}
	opt := demo
	opt.Fanged = true
	recs, err = records(t, opt.Open, "Have a look: https://b.example/")
	if err != nil || len(recs) != 1 || recs[0].Confidence != 25 || !slices.Contains(recs[0].Labels, "fanged") {
		t.Errorf("%+v, %v", recs, err)
	}
	for text, want := range map[string]string{"%PDF-1.7": "PDF", "a\xff": "UTF-8", "nothing here": "nothing", strings.Repeat("x", MaxText+1): "bytes"} {
		_, err := records(t, Open, text)
		var whole *format.Refused
		if !errors.As(err, &whole) || !strings.Contains(whole.Reason, want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func corpus(t testing.TB) string {
	var b strings.Builder
	for _, n := range []string{"vendor.md", "mail.txt", "appendix.txt"} {
		text, err := os.ReadFile("testdata/" + n)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

func BenchmarkExtract(b *testing.B) {
	text := strings.Repeat(corpus(b), 60)
	b.SetBytes(int64(len(text)))
	n := 0
	for b.Loop() {
		n = len(Extract(text, demo))
	}
	b.ReportMetric(float64(n), "candidates")
}

// BenchmarkHostile are texts made to take long.
func BenchmarkHostile(b *testing.B) {
	for name, unit := range map[string]string{
		"colons": "a:", "dots": "a.", "brackets": "[", "at": "a@", "schemes": "hxxp://", "spaces": "a dot ", "lines": "\n", "quotes": "'", "urls": "hxxp://a[.]example/(", "angles": "<hxxp://a\n", "values": "a[.]example ",
	} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(unit, 1<<20/len(unit))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Extract(text, demo)
			}
		})
	}
}

func FuzzExtract(f *testing.F) {
	f.Add(corpus(f))
	page, err := os.ReadFile("testdata/page.html")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(page))
	f.Add("<a>\x00</a><p>&#91;a[.]example</p><h1>x")
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range Extract(text, demo) {
			if c.Offset < 0 || c.Offset > len(text) || c.Line < 1 || c.Line != 1+strings.Count(text[:c.Offset], "\n") || c.Count < len(c.Places) || len(c.Places) == 0 {
				t.Fatalf("%+v", c)
			}
			if c.Take && len(c.Doubts) > 0 || !c.Take && len(c.Doubts) == 0 {
				t.Fatalf("%+v: taken with doubts or left without", c)
			}
			a, err := observable.Make(c.Kind, c.Value)
			if c.Kind != observable.Port && !strings.Contains(c.Value, " ") && (err != nil || a.Value != c.Value) {
				t.Fatalf("%s is not canonical: %v", c.Value, err)
			}
			if len(c.Sentence) > 3*maxSentence+maxAddress*2 || strings.ContainsAny(c.Sentence, "\n\x00\u202e") {
				t.Fatalf("sentence %q", c.Sentence)
			}
		}
	})
}

// TestSameAgain shows that a report gives the same records each time, so that a
// broken delivery goes on by counting.
func TestSameAgain(t *testing.T) {
	a, b := fmt.Sprint(Extract(corpus(t), demo)), fmt.Sprint(Extract(corpus(t), demo))
	if a != b {
		t.Error("two readings differ")
	}
}
