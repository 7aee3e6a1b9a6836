package personal_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/hub/internal/policy/personal"
)

// got writes what was found as "kind: text".
func got(text string, es []personal.Element) []string {
	var out []string
	for _, e := range es {
		out = append(out, e.Kind.String()+": "+text[e.Start:e.End])
	}
	return out
}

func TestFind(t *testing.T) {
	tests := map[string][]struct {
		text string
		want []string
	}{
		"mail": {
			{"sent by jane.doe@mail.example to all", []string{"mail address: jane.doe@mail.example", "name: jane.doe"}},
			{"doe.jane@mail.example", []string{"mail address: doe.jane@mail.example", "name: doe.jane"}},
			{"j.doe@mail.example,jdoe@mail.example", []string{
				"mail address: j.doe@mail.example", "name: j.doe", "mail address: jdoe@mail.example", "name: jdoe",
			}},
			{"info@mail.example abuse@mail.example", []string{"mail address: info@mail.example", "mail address: abuse@mail.example"}},
			{"mailto:x17[at]mail[.]example.", []string{"mail address: x17[at]mail[.]example"}},
			{"x17 (at) mail (dot) example", nil},
			{"x17(at)mail(dot)example", []string{"mail address: x17(at)mail(dot)example"}},
			{"x17 @ mail.example", []string{"mail address: x17 @ mail.example"}},
			{"e=x17%40mail.example&b", []string{"mail address: x17%40mail.example"}},
			{"x17@[192.0.2.1]", []string{"mail address: x17@[192.0.2.1]"}},
			{"jörg@mäil.example", []string{"mail address: jörg@mäil.example"}},
			{"@handle and a@b and @types/node@18.2 and 5 @ 3", nil},
			{"<a.doe+tag@x.mail.example>", []string{"mail address: a.doe+tag@x.mail.example", "name: a.doe+tag"}},
		},
		"telephone": {
			{"call +1 202 555 0143 now", []string{"telephone number: +1 202 555 0143"}},
			{"call +12025550143.", []string{"telephone number: +12025550143"}},
			{"(202) 555-0143", []string{"telephone number: (202) 555-0143"}},
			{"1-202-555-0143", []string{"telephone number: 1-202-555-0143"}},
			{"0049 30 1234567", []string{"telephone number: 0049 30 1234567"}},
			{"(030) 123 45 67", []string{"telephone number: (030) 123 45 67"}},
			{"020 7946 0958", []string{"telephone number: 020 7946 0958"}},
			{"01 23 45 67 89", []string{"telephone number: 01 23 45 67 89"}},
			{"01.23.45.67.89", []string{"telephone number: 01.23.45.67.89"}},
			{"Phone: 5550143777", []string{"telephone number: 5550143777"}},
			{"2024-03-15 12:30:45, 15.03.2024 12:30, 03/15/2024", nil},
			{"192.0.2.1 and 198.51.100.200:8080 and 10.0.19045.4046", nil},
			{"1718236800 1718236800123 00:11:22 100-200-300", nil},
			{"+2024-03-15 is a date, +1 is a number, C++ 2011", nil},
			{"1,234,567,890 and 123 456 789 bytes", nil},
			{"7f3b0c1e-1234-4567-8901-123456789012", nil},
			{"CVE-2024-123456 AS64496 KB5034441 T1059.001", nil},
			{"ISBN 978-3-16-148410-0", nil},
		},
		"numbers of states and banks": {
			{"SSN 536-90-4399", []string{"national id: 536-90-4399"}},
			{"social security 536904399", []string{"national id: 536904399"}},
			{"536904399", nil},
			{"ITIN 912-70-1234", []string{"national id: 912-70-1234"}},
			{"AB 12 34 56 C and AB123456C", []string{"national id: AB 12 34 56 C", "national id: AB123456C"}},
			{"BG 12 34 56 C", nil},
			{"NHS number 943 476 5919", []string{"national id: 943 476 5919"}},
			{"SIN 046-454-286", []string{"national id: 046-454-286"}},
			{"12345678Z and 12345678A", []string{"national id: 12345678Z"}},
			{"X1234567L", []string{"national id: X1234567L"}},
			{"S1234567D", []string{"national id: S1234567D"}},
			{"1 84 12 76 451 089 46", []string{"national id: 1 84 12 76 451 089 46"}},
			{"184127645108946 and 184127645108947", []string{"national id: 184127645108946"}},
			{"86095742719 and 86095742718", []string{"national id: 86095742719"}},
			{"RSSMRA85T10A562S", []string{"national id: RSSMRA85T10A562S"}},
			{"BSN 111222333", []string{"national id: 111222333"}},
			{"111222333", nil},
			{"85.07.30-033.28", []string{"national id: 85.07.30-033.28"}},
			{"44051401359", []string{"national id: 44051401359"}},
			{"811218-9876 19811218-9876 811218-9875", []string{"national id: 811218-9876", "national id: 19811218-9876"}},
			{"131052-308T", []string{"national id: 131052-308T"}},
			{"131052A308T", []string{"national id: 131052A308T"}},
			{"CPR 211062-5629", []string{"national id: 211062-5629"}},
			{"15076500565", []string{"national id: 15076500565"}},
			{"756.9217.0769.85", []string{"national id: 756.9217.0769.85"}},
			{"SVNR 1237 010180", []string{"national id: 1237 010180"}},
			{"736028/5163", []string{"national id: 736028/5163"}},
			{"OIB 94577403194", []string{"national id: 94577403194"}},
			{"EGN 7523169263", []string{"national id: 7523169263"}},
			{"NIF 123456789", []string{"national id: 123456789"}},
			{"10000000146", []string{"national id: 10000000146"}},
			{"529.982.247-25", []string{"national id: 529.982.247-25"}},
			{"12.345.678-5", []string{"national id: 12.345.678-5"}},
			{"11010519491231002X", []string{"national id: 11010519491231002X"}},
			{"2341 2341 2346", []string{"national id: 2341 2341 2346"}},
			{"2341 2341 2345", nil},
			{"ID number 8001015009087", []string{"national id: 8001015009087"}},
			{"TFN 123 456 782", []string{"national id: 123 456 782"}},
			{"passport no. C01234567", []string{"national id: C01234567"}},
			{"GB82 WEST 1234 5698 7654 32", []string{"account number: GB82 WEST 1234 5698 7654 32"}},
			{"de89370400440532013000", []string{"account number: de89370400440532013000"}},
			{"GB82 WEST 1234 5698 7654 33", nil},
			{"4111 1111 1111 1111 and 378282246310005", []string{"account number: 4111 1111 1111 1111", "account number: 378282246310005"}},
			{"4111 1111 1111 1112", nil},
			{"IMEI 490154203237518", []string{"hardware address: 490154203237518"}},
			{"000-12-3456 666-12-3456 900-12-3456 123-00-3456 123-45-0000 078-05-1120", nil},
			{"d41d8cd98f00b204e9800998ecf8427e 123456789012345678901234567890", nil},
		},
		"paths": {
			{`drops C:\Users\jdoe\AppData\x.exe`, []string{"user name: jdoe"}},
			{`C:\\Users\\Jane Doe\\AppData`, []string{"user name: Jane Doe"}},
			{`c:/users/jdoe/x and \\srv01\Users\jdoe2\x`, []string{"user name: jdoe", "user name: jdoe2"}},
			{`C:\Documents and Settings\jdoe\x`, []string{"user name: jdoe"}},
			{`"/home/jdoe/.ssh/id" /Users/jdoe/Library`, []string{"user name: jdoe", "user name: jdoe"}},
			{`file:///home/jdoe/x`, []string{"user name: jdoe"}},
			{`C:\Users\Public\x C:\Users\%USERNAME%\a /home/user/x /usr/lib/x C:\Windows\Temp\x.dll`, nil},
			{`https://evil.example/home/login https://evil.example/users/list`, nil},
			{`\Users\`, nil},
		},
		"URLs": {
			{"see hxxps://evil[.]example/?email=j.doe&b=1", []string{"query value: j.doe"}},
			{"see http://jd:pw@evil.example/x", []string{"user information: jd:pw"}},
			{"https://evil.example/a?b=c&t=1718236800&v=1.2.3&page=some-words-in-a-title", nil},
			{"https://evil.example/a?id=550e8400-e29b-41d4-a716-446655440000", []string{"query value: 550e8400-e29b-41d4-a716-446655440000"}},
			{"https://report.example/?hash=d41d8cd98f00b204e9800998ecf8427e&name=CVE-2019-14802#diff-d41d8cd98f00b204e9800998ecf8427e", nil},
			{"https://evil.example/?name=x17%40mail.example", []string{"mail address: x17%40mail.example", "query value: x17%40mail.example"}},
			{"https://evil.example/?name=Jane+Doe", []string{"query value: Jane+Doe"}},
			{"https://evil.example/a?token=a8Fk2lQ9zX41", []string{"query value: a8Fk2lQ9zX41"}},
			{"https://evil.example/a?tel=%2B12025550143", []string{"query value: %2B12025550143"}},
			{"https://evil.example/a?x=%2B12025550143", []string{"query value: %2B12025550143"}},
		},
		"names": {
			{"Dr. Jane Doe and Mr Smith", []string{"name: Jane Doe", "name: Smith"}},
			{"Herr Prof. Müller", []string{"name: Müller"}},
			{"Dear Jane,", []string{"name: Jane"}},
			{"Dear Customer, Hello World! Hi All,", nil},
			{"user: Jane Doe", []string{"name: Jane Doe"}},
			{"Author: Hildegunst von Mythenmetz wrote it", []string{"name: Hildegunst von Mythenmetz"}},
			{"name: Jane Unheardof", []string{"name: Jane Unheardof"}},
			{"Account Name: JohnDoe", []string{"name: JohnDoe"}},
			{"[file:name = 'a.exe'] name: Northnet Backbone, \"name\": \"c2.example\", owner: Acme Hospital", nil},
			{"username: jdoe", []string{"name: jdoe"}},
			{"user: the one who clicked, username: admin, user: root", nil},
			{"From: \"Jane Q. Doe\" <x17@mail.example>", []string{"name: Jane Q. Doe", "mail address: x17@mail.example"}},
			{"Kind regards,\nHildegunst\n", []string{"name: Hildegunst"}},
			{"was sent to John Smith in March", []string{"name: John Smith"}},
			{"Jane A. Miller", []string{"name: Jane A. Miller"}},
			{"Cobalt Strike beacon of Wizard Spider, Dr Web, MS Word, Mr. Robot", nil},
			{"The From field. Thanks to the sensors. Target: Windows Server", nil},
			{"Lazarus Group, Charming Kitten, Mustang Panda, Silent Librarian, Agent Tesla, Emotet", nil},
		},
		"devices and positions": {
			{"3c:22:fb:10:20:30 and 3C-22-FB-10-20-30 and 3c22.fb10.2030", []string{
				"hardware address: 3c:22:fb:10:20:30", "hardware address: 3C-22-FB-10-20-30", "hardware address: 3c22.fb10.2030",
			}},
			{"ff:ff:ff:ff:ff:ff 01:00:5e:00:00:fb 33:33:00:00:00:01", nil},
			{"AA:BB:CC:10:20:30:40:50:60:70:80:90:A0:B0:C0:D0:E0:F0:11:22 2001:db8:aa:bb:cc:dd:ee:ff", nil},
			{"at 48.858844, 2.294351 today", []string{"position: 48.858844, 2.294351"}},
			{"-33.8568 151.2153", []string{"position: -33.8568 151.2153"}},
			{"48.8588° N, 2.2943° E", []string{"position: 48.8588° N, 2.2943° E"}},
			{`48°51'30"N 2°17'40"E`, []string{`position: 48°51'30"N 2°17'40"E`}},
			{"1.2, 3.4 and 99.12345, 200.12345 and 10.0.0.1, 1.0.0.1", nil},
		},
	}
	for group, tt := range tests {
		t.Run(group, func(t *testing.T) {
			for _, tt := range tt {
				if diff := cmp.Diff(tt.want, got(tt.text, personal.Find("f", tt.text))); diff != "" {
					t.Errorf("%s\n%s", tt.text, diff)
				}
			}
		})
	}
}

func TestPersonLike(t *testing.T) {
	for local, want := range map[string]bool{
		"jane.doe": true, "doe.jane": true, "j.doe": true, "jane_doe": true, "jane-doe": true, "jane.doe+x": true, "jane.q.doe": true,
		"janedoe": true, "jdoe": true, "jdoe17": true, "jane.doe17": true, "xaviera.unheardof": true,
		"info": false, "no-reply": false, "abuse": false, "invoice.update": false, "mail-server": false, "x17": false, "": false,
		"bounce.1234": false, "first-class": false, "a.b.c.d": false, "news.letter": false, "it.support": false,
	} {
		if got := personal.PersonLike(local); got != want {
			t.Errorf("%s: %t, want %t", local, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	tests := []struct{ text, want string }{
		{"nothing here", "nothing here"},
		{"ask jane.doe@mail.example or +1 202 555 0143", "ask [mail address removed] or [telephone number removed]"},
		{`C:\Users\jdoe\x.exe dropped`, `C:\Users\[user name removed]\x.exe dropped`},
		{"https://evil.example/a?email=j.doe&b=1", "https://evil.example/a?email=[query value removed]&b=1"},
		{"http://jd:pw@evil.example/x", "http://[user information removed]@evil.example/x"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			es := personal.Find("f", tt.text)
			if got := personal.Redact(tt.text, es); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			slices.Reverse(es)
			if got := personal.Redact(tt.text, es); got != tt.want {
				t.Errorf("in another order: %q", got)
			}
		})
	}
	if got := personal.Redact("abc", []personal.Element{{Start: 2, End: 99, Kind: personal.Name}, {Start: 50, End: 60, Kind: personal.Name}}); got != "ab[name removed]" {
		t.Errorf("outside of the text: %q", got)
	}
}

func TestNarrow(t *testing.T) {
	tests := []struct{ value, want string }{
		{"https://evil.example/a/b?email=jane@mail.example", "https://evil.example/a/b"},
		{"https://evil.example/u/jane@mail.example/x?y=1", "https://evil.example/u/"},
		{"https://evil.example/jane@mail.example", "https://evil.example/"},
		{"https://evil.example/a?b=1", ""},
	}
	for _, tt := range tests {
		es := personal.FindURL("value", tt.value)
		n, ok := personal.Narrow(tt.value, es)
		if n.Value != tt.want || ok != (tt.want != "") || ok && n.Loss == "" {
			t.Errorf("%s: %+v, want %q", tt.value, n, tt.want)
		}
		if ok && len(personal.FindURL("value", n.Value)) > 0 {
			t.Errorf("%s: narrowed to %s, which has some still", tt.value, n.Value)
		}
	}
}

func TestDetail(t *testing.T) {
	for _, e := range personal.Find("label 2", "ask jane.doe@mail.example or +1 202 555 0143") {
		back, ok := personal.ParseDetail(e.Detail())
		back.Kind = e.Kind
		if !ok || back != e {
			t.Errorf("%+v came back as %+v", e, back)
		}
	}
	for _, s := range []string{"", "summary: nothing", "x: y (bytes 1 to", "x: y (bytes 2 to 1)", "x: y (bytes a to b)"} {
		if e, ok := personal.ParseDetail(s); ok {
			t.Errorf("%q was read as %+v", s, e)
		}
	}
}

// pieces are what texts of the property test are made of, with what sits between.
var pieces = []string{
	"jane.doe@mail.example", "+1 202 555 0143", "536-90-4399", `C:\Users\jdoe\x`, "https://evil.example/?email=j.doe", "Dear Jane,",
	"Mr Smith", "GB82 WEST 1234 5698 7654 32", "3c:22:fb:10:20:30", "48.858844, 2.294351", "user: Jane Doe", "x", "the", "@", "0", "12",
	"-", "/", "[at]", "http://a:b@c.example/", "John Smith", "?id=550e8400-e29b-41d4-a716-446655440000", "regards,\nJane\n", ".", "(", "mail.example",
}

// TestCleanIsClean: what is left of any text has no element, and the rest of the
// text stays.
func TestCleanIsClean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces")
		text := strings.Join(parts, rapid.SampledFrom([]string{"", " ", ", ", "\n"}).Draw(t, "between"))
		clean, es := personal.Clean(text)
		if left := personal.Find("", clean); len(left) > 0 {
			t.Fatalf("%q became %q, which has %v", text, clean, got(clean, left))
		}
		if len(es) == 0 && clean != text {
			t.Fatalf("%q has nothing, and became %q", text, clean)
		}
	})
}

func TestLongText(t *testing.T) {
	text := strings.Repeat("x ", personal.Limit)
	es := personal.Find("f", text)
	if len(es) != 1 || es[0].Kind != personal.Unread || es[0].Start != personal.Limit || es[0].End != len(text) {
		t.Errorf("%d bytes: %v", len(text), es)
	}
}

// FuzzFind: places lie in the text, the same text gives the same, and what is
// cleaned is clean.
func FuzzFind(f *testing.F) {
	for _, p := range pieces {
		f.Add(p)
	}
	f.Add(strings.Join(pieces, " "))
	f.Add("11010519491231002X 131052A308T RSSMRA85T10A562S 12.345.678-K \xff\xfe@a.b Mr \xc3")
	f.Fuzz(func(t *testing.T, text string) {
		es := personal.Find("f", text)
		for _, e := range es {
			if e.Start < 0 || e.Start >= e.End || e.End > len(text) || e.Kind == 0 || e.Why == "" {
				t.Fatalf("%+v in %d bytes", e, len(text))
			}
		}
		if diff := cmp.Diff(es, personal.Find("f", text)); diff != "" {
			t.Fatal(diff)
		}
		personal.FindURL("value", text)
		clean, _ := personal.Clean(text)
		if left := personal.Find("", clean); len(left) > 0 {
			t.Fatalf("%q became %q, which has %v", text, clean, got(clean, left))
		}
	})
}
