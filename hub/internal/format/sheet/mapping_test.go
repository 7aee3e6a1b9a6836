package sheet

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/hub/internal/format"
)

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		`{"columns":[{"header":"a","field":"value"}]}`: "",
		`{"columns":[]}`: "0 of them",
		`{"columns":[{"header":"a","field":"context"}]}`:                                                         "no column is the value",
		`{"columns":[{"field":"value"}]}`:                                                                        "neither header nor number",
		`{"columns":[{"header":"a","field":"value"},{"header":" A","field":"context"}]}`:                         "named twice",
		`{"columns":[{"header":"a","field":"value"},{"header":"b","field":"tlp"},{"header":"c","field":"tlp"}]}`: "another column already",
		`{"columns":[{"header":"a","field":"valeu"}]}`:                                                           "no field",
		`{"columns":[{"header":"a","field":"value","kind":"tree"}]}`:                                             "kind",
		`{"columns":[{"header":"a","field":"value","splitt":","}]}`:                                              "unknown field",
		`{"header":-1,"columns":[{"header":"a","field":"value"}]}`:                                               "needs numbers",
		`{"header":-2,"columns":[{"header":"a","field":"value"}]}`:                                               "header",
		`{"separator":"x","columns":[{"header":"a","field":"value"}]}`:                                           "separator",
		`{"dates":"ydm","columns":[{"header":"a","field":"value"}]}`:                                             "dates",
		`{"zone":"Mars","columns":[{"header":"a","field":"value"}]}`:                                             "zone",
		`{"scale":"0-5","columns":[{"header":"a","field":"value"}]}`:                                             "scale",
		`{"constants":{"value":"x"},"columns":[{"header":"a","field":"value"}]}`:                                 "cannot be the same",
		`{"constants":{"tlp":"pink"},"columns":[{"header":"a","field":"value"}]}`:                                "cannot be",
		`{"constants":{"shade":"x"},"columns":[{"header":"a","field":"value"}]}`:                                 "no field",
		`{"kinds":{"x":"tree"},"columns":[{"header":"a","field":"value"}]}`:                                      "no kind",
		`{"categories":{"x":"bad"},"columns":[{"header":"a","field":"value"}]}`:                                  "categories",
		`{"markings":{"x":" "},"columns":[{"header":"a","field":"value"}]}`:                                      "becomes nothing",
		`{"columns":[{"header":"a","field":"value"}]} {}`:                                                        "followed by",
		`{"columns":` + strings.Repeat(" ", maxMappingBytes):                                                     "limit",
	} {
		_, err := ParseMapping([]byte(text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.100s: %v, want %q", text, err, want)
		}
	}
}

func TestScales(t *testing.T) {
	for _, c := range []struct {
		scale, v       string
		n, credibility int
		bad            bool
	}{
		{"", "80", 80, 0, false},
		{"", "80%", 80, 0, false},
		{"", "101", 0, 0, true},
		{"", "-1", 0, 0, true},
		{"", "NaN%", 0, 0, true},
		{"0-10", "7", 70, 0, false},
		{"0-10", "11", 0, 0, true},
		{"0-1", "0,85", 85, 0, false},
		{"words", "Medium", 50, 0, false},
		{"words", "some", 0, 0, true},
		{"probability", "Almost  certain", 90, 0, false},
		{"admiralty", "B2", 70, 2, false},
		{"admiralty", "6", -1, 6, false},
		{"admiralty", "G2", 0, 0, true},
	} {
		n, credibility, bad := confidence(c.scale, c.v)
		if (bad != nil) != c.bad || bad == nil && (n != c.n || credibility != c.credibility) {
			t.Errorf("%s %q: %d, %d, %v", c.scale, c.v, n, credibility, bad)
		}
	}
}

func TestMoments(t *testing.T) {
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		dates, v string
		want     time.Time
	}{
		{"", "2026-01-02", day},
		{"", "2026-01-02 13:04", day.Add(13*time.Hour + 4*time.Minute)},
		{"", "2026-01-02 13:04:05 UTC", day.Add(13*time.Hour + 4*time.Minute + 5*time.Second)},
		{"", "2026-01-02T01:00:00+01:00", day},
		{"", "2 January 2026", day},
		{"", "46024", day},
		{"dmy", "2.1.2026", day},
		{"dmy", "02/01/2026 1:00 PM", day.Add(13 * time.Hour)},
		{"mdy", "1/2/2026", day},
		{"unix", "1767312000", day},
		{"unix-ms", "1767312000000", day},
		{"", "02/01/2026", time.Time{}},
		{"", "1.2.3", time.Time{}},
		{"unix", "1", time.Time{}},
		{"", "1601-01-01", time.Time{}},
	} {
		p := &plan{mapping: &Mapping{Dates: c.dates}}
		for range 2 { // the second time by the layout of the first
			got, bad := p.moment(ValidFrom, &cell{text: c.v})
			if (bad != nil) != c.want.IsZero() || bad == nil && !got.Equal(c.want) {
				t.Errorf("%s %q: %v, %v", c.dates, c.v, got, bad)
			}
		}
	}
}

func TestSuggest(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want []Field
		then []string
	}{
		"messy": {
			"Weekly report;;;;;\nTLP:AMBER;;;;;\n\nNr.;IOC;Type;First Seen;Threat Type;Weird thing\n1;a[.]example, b[.]example;Domain Name;31.01.2026;Ransomware;x\n2;192.0.2.1;IPv4;01.02.2026;C2;y\n",
			[]Field{Context, Value, Type, ValidFrom, Labels, Context},
			[]string{"line 5, value 1 a[.]example (domain) TLP:AMBER #Ransomware", "line 5, value 2 b[.]example (domain) TLP:AMBER #Ransomware", "line 6 192.0.2.1 (address) TLP:AMBER #C2"},
		},
		"feed in comments": {
			"# made by nobody\n# \"first_seen_utc\",\"dst_ip\",\"dst_port\",\"malware\"\n\"2026-01-02 03:04:05\",\"192.0.2.9\",\"443\",\"PuddleRAT\"\n",
			[]Field{ValidFrom, Value, Port, Labels},
			[]string{"line 3 192.0.2.9 443/any (address) #PuddleRAT"},
		},
		"several values": {
			"Domain,IP Address,MD5,Confidence,Marking,\nc.example,192.0.2.3,,High,TLP:GREEN,\nd.example,,5eb63bbbe01eeed093cb22bb8f5acdc3,Low,,\n",
			[]Field{Value, Value, Value, Confidence, Marking},
			[]string{"line 2, value 1 c.example (domain) TLP:GREEN", "line 2, value 2 192.0.2.3 (address) TLP:GREEN", "line 3, value 1 d.example (domain)", "line 3, value 2 5eb63bbbe01eeed093cb22bb8f5acdc3 (md5)"},
		},
		"no words": {
			"A\tB\na.example\tTLP:RED\nb.example\tTLP:RED\n",
			[]Field{Value, Marking},
			[]string{"line 2 a.example TLP:RED", "line 3 b.example TLP:RED"},
		},
	} {
		s, err := Look(strings.NewReader(c.file), small, "", 50)
		if err != nil {
			t.Fatal(name, err)
		}
		p := s.Suggest()
		if !p.Complete {
			t.Fatalf("%s: %v", name, p.Mapping.Check())
		}
		var got []Field
		for i, col := range p.Mapping.Columns {
			got = append(got, col.Field)
			if p.Reasons[i].Why == "" {
				t.Errorf("%s: column %s has no reason", name, col.Header)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s%+v", name, diff, p.Reasons)
		}
		recs, _, err := Preview(strings.NewReader(c.file), small, &p.Mapping, 10)
		if err != nil {
			t.Fatal(name, err)
		}
		var then []string
		for i := range recs {
			then = append(then, say(&recs[i]))
		}
		if diff := cmp.Diff(c.then, then); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestPreview(t *testing.T) {
	m := &Mapping{Columns: []Column{{Header: "ioc", Field: Value}, {Header: "who", Field: Ignore}}}
	recs, left, err := Preview(strings.NewReader("ioc,who\na.example,x\nb.example,\nc.example,y\n"), format.Limits{}, m, 2)
	if err != nil || len(recs) != 2 || string(recs[0].Raw) != "a.example,x" || len(left) != 1 || left[0].Cells != 1 {
		t.Errorf("%+v %+v %v", recs, left, err)
	}
}
