package pattern

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// accepted are patterns and their canonical form; "" says that they are in it.
// Many are the examples of STIX 2.1 section 9.
var accepted = []struct{ in, want string }{
	{"[file:hashes.'SHA-256' = 'aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f']", ""},
	{"[email-message:from_ref.value MATCHES '.+\\\\@example\\\\.com$' AND email-message:body_multipart[*].body_raw_ref.name MATCHES '^Final Report.+\\\\.exe$']", ""},
	{"[file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4'] FOLLOWEDBY [windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\foo\\\\bar'] WITHIN 300 SECONDS", ""},
	{"[user-account:account_type = 'unix' AND user-account:user_id = '1007' AND user-account:account_login = 'Peter']", ""},
	{"[artifact:mime_type = 'application/vnd.tcpdump.pcap' AND artifact:payload_bin MATCHES '\\\\xd4\\\\xc3']", ""},
	{"[file:name = 'foo.dll' AND file:parent_directory_ref.path = 'C:\\\\Windows\\\\System32']", ""},
	{"[file:extensions.'windows-pebinary-ext'.sections[*].entropy > 7.0]", ""},
	{"[file:mime_type = 'image/bmp' AND file:magic_number_hex = h'ffd8']", ""},
	{"[network-traffic:dst_ref.type = 'domain-name' AND network-traffic:dst_ref.value = 'example.com'] REPEATS 5 TIMES WITHIN 1800 SECONDS", ""},
	{"[network-traffic:dst_ref.value ISSUBSET '2001:0db8:dead:beef:0000:0000:0000:0000/64']", ""},
	{"([ipv4-addr:value = '198.51.100.1/32' OR ipv4-addr:value = '203.0.113.33/32' OR ipv6-addr:value = '2001:0db8::1'] FOLLOWEDBY [domain-name:value = 'example.com']) WITHIN 600 SECONDS", ""},
	{"[x509-certificate:issuer = 'CN=WEBMAIL' AND x509-certificate:serial_number = '4c:0b:1d:19:74:86:a7:66:b4:1a:bf:40:27:21:76:28']", ""},
	{"[process:command_line MATCHES '^.+>-add GlobalSign.cer -c -s -r localMachine Root$'] FOLLOWEDBY [process:command_line MATCHES '^.+>-add GlobalSign.cer -c -s -r localMachineTrustedPublisher$'] WITHIN 300 SECONDS", ""},
	{"[file:created NOT IN (t'2016-01-01T00:00:00Z', t'2016-01-01T00:00:00.5Z')]", ""},
	{"[a:b = 1] START t'2016-06-01T00:00:00Z' STOP t'2016-07-01T00:00:00Z'", ""},
	{"[EXISTS file:name]", ""},
	{"[a:b IN ()]", ""},
	{"[a:b = 'it\\'s']", ""},
	{"[a:b = '']", ""},
	{"[a:b = b'dGVzdA==']", ""},
	{"[a:'b c'[0].'it\\'s'[*] = true]", ""},
	{"[a:'AND' = 1]", ""},
	{"[a:b = 1 AND (c:d = 2 OR e:f = 3)]", ""},
	{"[a:b = 1] AND ([c:d = 2] OR [e:f = 3])", ""},
	{"[a:b = 1] FOLLOWEDBY ([c:d = 2] FOLLOWEDBY [e:f = 3])", ""},
	{"([a:b = 1] WITHIN 5 SECONDS) WITHIN 3 SECONDS", ""},
	{"[file:hashes.SHA-256 = 'c' OR file:x-y.b = 1]", "[file:hashes.'SHA-256' = 'c' OR file:'x-y'.b = 1]"},
	{"([a:b = 1]) WITHIN 5 SECONDS WITHIN 6 SECONDS", "([a:b = 1] WITHIN 5 SECONDS) WITHIN 6 SECONDS"},
	{"[a:b='c']", "[a:b = 'c']"},
	{"[ a:b == 'c' OR\ta:b<>'d' ]", "[a:b = 'c' OR a:b != 'd']"},
	{"[(a:b = 1)]", "[a:b = 1]"},
	{"([a:b = 1])", "[a:b = 1]"},
	{"[(a:b = 1 OR c:d = 2) OR e:f = 3]", "[a:b = 1 OR c:d = 2 OR e:f = 3]"},
	{"[(a:b = 1 AND c:d = 2) OR e:f = 3]", "[a:b = 1 AND c:d = 2 OR e:f = 3]"},
	{"[a:b = 1] OR ([c:d = 2] OR [e:f = 3])", "[a:b = 1] OR [c:d = 2] OR [e:f = 3]"},
	{"([a:b = 1] FOLLOWEDBY [c:d = 2]) FOLLOWEDBY [e:f = 3]", "[a:b = 1] FOLLOWEDBY [c:d = 2] FOLLOWEDBY [e:f = 3]"},
	{"[a:b = +5 OR a:b = -0 OR a:b = .50 OR a:b = -0.0 OR a:b = 007.10]", "[a:b = 5 OR a:b = 0 OR a:b = 0.5 OR a:b = 0.0 OR a:b = 7.1]"},
	{"[a:'b' = h'FF' AND a:c = t'2020-01-01T00:00:00.000Z']", "[a:b = h'ff' AND a:c = t'2020-01-01T00:00:00Z']"},
	{"[a:b/* why */=1]// so", "[a:b = 1]"},
	{"\u00a0[a:b\u2003= 1]\u3000", "[a:b = 1]"},
	{"[a:b = 'é\nü']", ""},
	{"[a_b-c-:_d NOT = 1]", ""},
	{"[a:b = b'dGVzdB==']", "[a:b = b'dGVzdA==']"},
	{"[a:b = t'2016-12-31T23:59:60Z']", "[a:b = t'2017-01-01T00:00:00Z']"},
	{"[a:b = t'2020-01-01T00:00:00.500000000000Z']", "[a:b = t'2020-01-01T00:00:00.5Z']"},
	{"[a:b = h'']", ""},
	{"[a:LAST = 1]", "[a:'LAST' = 1]"},
	{"[a:b = 1] START '2016-06-01T00:00:00Z' STOP '2016-07-01T00:00:00Z'", "[a:b = 1] START t'2016-06-01T00:00:00Z' STOP t'2016-07-01T00:00:00Z'"},
	{"[file:hashes[*] = 'x']", ""},
	{"[a:b = 1] AND [a:b = 2] OR [a:b = 3] FOLLOWEDBY [a:b = 4]", ""},
	{"[a:b = 1] OR ([a:b = 2] AND [a:b = 3])", "[a:b = 1] OR [a:b = 2] AND [a:b = 3]"},
	{"([a:b = 1] FOLLOWEDBY [a:b = 2]) OR [a:b = 3]", ""},
	{"[a:b = 1] AND [a:b = 2] WITHIN 5 SECONDS", ""},
	{"[a:b = '\\\\u0041']", ""}, // no escape but the two: this is a backslash, u0041
}

func TestPrint(t *testing.T) {
	for _, c := range accepted {
		t.Run(c.in, func(t *testing.T) {
			p, err := Parse(c.in)
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want == "" {
				want = c.in
			}
			got := p.String()
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			again, err := Parse(got)
			if err != nil {
				t.Fatal(err)
			}
			opts := []cmp.Option{
				cmpopts.IgnoreFields(Test{}, "Pos"), cmpopts.IgnoreFields(Observe{}, "Pos"),
				cmpopts.IgnoreFields(Qualified{}, "Pos"), cmpopts.EquateEmpty(),
			}
			if diff := cmp.Diff(p, again, opts...); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTree(t *testing.T) {
	got, err := Parse("[a:b[*].c NOT IN ('x', 2)] WITHIN 1.5 SECONDS OR [EXISTS d:e[1]]")
	if err != nil {
		t.Fatal(err)
	}
	want := &Pattern{Root: &Combined{Op: Or, Items: []Observation{
		&Qualified{
			Of: &Observe{Expr: &Test{
				Path: Path{Type: "a", Steps: []Step{{Key: "b"}, {Kind: Any}, {Key: "c"}}},
				Not:  true, Op: In, Pos: 1,
				Values: []Literal{{Kind: String, Text: "x"}, {Kind: Int, Int: 2}},
			}},
			With: Within{Literal{Kind: Float, Float: 1.5}}, Pos: 27,
		},
		&Observe{Expr: &Test{
			Path: Path{Type: "d", Steps: []Step{{Key: "e"}, {Kind: Index, Index: 1}}}, Op: Exists, Pos: 50,
		}, Pos: 49},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrors(t *testing.T) {
	deep := strings.Repeat("(", 65)
	for _, c := range []struct {
		in  string
		pos int
		msg string // part of the message
	}{
		{"", 0, "want an observation"},
		{"[]", 1, "want an object type"},
		{"a:b = 1", 0, "want an observation"},
		{"[a:b = 1", 8, "want ]"},
		{"[a:b = 1]]", 9, "want AND"},
		{"[a:b = 1] garbage", 10, "want AND"},
		{"[a:b]", 4, "comparison operator"},
		{"[a:b =]", 6, "want a constant"},
		{"[a = 1]", 3, "want :"},
		{"[a: = 1]", 4, "name of a property"},
		{"[a:b = \"x\"]", 7, "double quotes"},
		{"[a:b = 'x]", 7, "closing quote"},
		{"[a:b = 'C:\\Windows']", 10, "written twice"},
		{"[a:b = h'abc']", 7, "hexadecimal"},
		{"[a:b = b'a']", 7, "base64"},
		{"[a:b = b'']", 7, "base64"},
		{"[a:b = b'dGVzd===']", 7, "base64"},
		{"[a:b = t'2016-12-31T23:59:61Z']", 7, "timestamp"},
		{"[a:b = t'9999-12-31T23:59:60Z']", 7, "9999"},
		{"[a:b = t'2020-01-01T00:00:00.0000000001Z']", 7, "finer"},
		{"[a:b = t'2023-02-29T00:00:00Z']", 7, "timestamp"},
		{"[a:b = t'2020-13-01T00:00:00Z']", 7, "timestamp"},
		{"[a:b = t'2020-01-01T00:00:00']", 7, "timestamp"},
		{"[a:b = t'2020-01-01T00:00:00.Z']", 7, "fraction"},
		{"[a:b > true]", 7, "no order"},
		{"[a:b LIKE 1]", 10, "wants a string"},
		{"[a:b IN 1]", 8, "want ("},
		{"[a:b IN (1 2)]", 11, "want ,"},
		{"[a:b IN (1,)]", 11, "want a constant"},
		{"[a:b = 01]", 7, "leading zero"},
		{"[a:b = 1x]", 8, "letter in a number"},
		{"[a:b = 99999999999999999999]", 7, "outside 64 bits"},
		{"[a:b = -]", 7, "sign without"},
		{"[a:b[-1] = 1]", 5, "number of an element"},
		{"[a:b[1.5] = 1]", 5, "number of an element"},
		{"[a:b NOT EXISTS]", 9, "comparison operator"},
		{"[EXISTS a:b = 1]", 12, "want ]"},
		{"[NOT a:b = 1]", 1, "want an object type"},
		{"[a:b and c:d]", 5, "comparison operator"},
		{"[a:b = 1 FOLLOWEDBY c:d = 1]", 9, "want ]"},
		{"[a:b = 1] and [a:b = 1]", 10, "want AND"},
		{"[a:b = 1] WITHIN 0 SECONDS", 17, "above zero"},
		{"[a:b = 1] WITHIN -1.0 SECONDS", 17, "above zero"},
		{"[a:b = 1] WITHIN 5 MINUTES", 19, "want SECONDS"},
		{"[a:b = 1] REPEATS 1.0 TIMES", 18, "integer above zero"},
		{"[a:b = 1] REPEATS 0 TIMES", 18, "integer above zero"},
		{"[a:b = 1] WITHIN 5 SECONDS WITHIN 5 SECONDS", 27, "twice"},
		{"[a:b = 1] START t'2020-01-02T00:00:00Z' STOP t'2020-01-01T00:00:00Z'", 16, "later"},
		{"[a:b = 1] START '2020' STOP '2021'", 16, "two timestamps"},
		{"[a:b = 1] /* open", 10, "comment"},
		{"[a:b = 1] \x00", 10, "unexpected character"},
		{"[a:b = '\xff']", 8, "UTF-8"},
		{deep, 64, "nested deeper"},
		{"[" + deep, 65, "nested deeper"},
		{"[a:b IN (" + strings.Repeat("1,", 10000) + "1)]", 0, "more than"},
		{strings.Repeat(" ", 64<<10) + "[", 64 << 10, "limit"},
	} {
		_, err := Parse(c.in)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%.60q: got %v, want an *Error", c.in, err)
			continue
		}
		budget := strings.Contains(c.msg, "deeper") || strings.Contains(c.msg, "more than") || c.msg == "limit"
		if e.Budget != budget {
			t.Errorf("%.60q: Budget is %v", c.in, e.Budget)
		}
		if c.pos != 0 && e.Pos != c.pos || !strings.Contains(e.Msg, c.msg) {
			t.Errorf("%.60q: got %d %q, want %d %q", c.in, e.Pos, e.Msg, c.pos, c.msg)
		}
	}
}

func TestDepthAtLimit(t *testing.T) {
	n := DefaultLimits.Depth
	_, err := Parse(strings.Repeat("(", n) + "[a:b = 1]" + strings.Repeat(")", n))
	if err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range accepted {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		p, err := Parse(in)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Pos < 0 || e.Pos > len(in) {
				t.Fatalf("bad error %#v", err)
			}
			return
		}
		once := p.String()
		again, err := Limits{Bytes: 1 << 30}.Parse(once)
		if err != nil {
			t.Fatalf("%q printed as %q, which is refused: %v", in, once, err)
		}
		twice := again.String()
		if once != twice {
			t.Fatalf("%q printed as %q and then as %q", in, once, twice)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const in = "[domain-name:value = 'example.com' OR ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]"
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		_, err := Parse(in)
		if err != nil {
			b.Fatal(err)
		}
	}
}

// TestVectors runs what is in test/vectors for anybody: patterns with their
// canonical form, or with the position of what is wrong.
func TestVectors(t *testing.T) {
	b, err := os.ReadFile("../../test/vectors/pattern.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		In, Out string
		Error   *int
	}
	err = json.Unmarshal(b, &vectors)
	if err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 100 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		p, err := Parse(v.In)
		var e *Error
		switch {
		case v.Error != nil && (!errors.As(err, &e) || e.Pos != *v.Error):
			t.Errorf("%s: got %v, want an error at %d", v.In, err, *v.Error)
		case v.Error == nil && err != nil:
			t.Errorf("%s: %v", v.In, err)
		case v.Error == nil && p.String() != v.Out:
			t.Errorf("%s: got %s, want %s", v.In, p, v.Out)
		}
	}
}
