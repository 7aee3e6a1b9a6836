package observable

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type vector struct {
	Kind  string
	In    string
	Out   string
	Error bool
}

func vectors(tb testing.TB) []vector {
	tb.Helper()
	b, err := os.ReadFile("../test/vectors/observable.json")
	if err != nil {
		tb.Fatal(err)
	}
	var out []vector
	err = json.Unmarshal(b, &out)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Kind+" "+clip(v.In), func(t *testing.T) {
			k, err := ParseKind(v.Kind)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Canonical(k, v.In)
			if v.Error {
				if err == nil {
					t.Fatalf("got %q, want an error", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != v.Out {
				t.Errorf("got %q, want %q", got, v.Out)
			}
		})
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for k := None; k <= SHA512; k++ {
		for name, v := range map[string]string{
			"bad UTF-8": "a\xff.example",
			"huge":      strings.Repeat("a", maxInput+1),
		} {
			got, err := Canonical(k, v)
			if err == nil {
				t.Errorf("%s, %s: got %q, want an error", k, name, clip(got))
			}
		}
	}
	_, err := Canonical(None, "x")
	if err == nil {
		t.Error("kind none has no canonical form")
	}
}

func TestMakeDropsFullPrefix(t *testing.T) {
	got, err := Make(Prefix, "192.0.2.9/32")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Atom{Kind: Addr, Value: "192.0.2.9"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFromValue(t *testing.T) {
	for in, want := range map[string]Atom{
		"example.com":                        {Kind: Domain, Value: "example.com"},
		"Evil[.]Example":                     {Kind: Domain, Value: "evil.example"},
		".example.com":                       {Kind: Domain, Value: "example.com"},
		"例え。テスト":                             {Kind: Domain, Value: "xn--r8jz45g.xn--zckzah"},
		"192.0.2.1":                          {Kind: Addr, Value: "192.0.2.1"},
		"192[.]0[.]2[.]1":                    {Kind: Addr, Value: "192.0.2.1"},
		"2001:db8::1":                        {Kind: Addr, Value: "2001:db8::1"},
		"192.0.2.9/24":                       {Kind: Prefix, Value: "192.0.2.0/24"},
		"192.0.2.9/32":                       {Kind: Addr, Value: "192.0.2.9"},
		"192.0.2.1:443":                      {Kind: Addr, Value: "192.0.2.1", Port: 443},
		"[2001:db8::1]:443":                  {Kind: Addr, Value: "2001:db8::1", Port: 443},
		"192.0.2.1 443/tcp":                  {Kind: Addr, Value: "192.0.2.1", Port: 443, Proto: 6},
		"192.0.2.0/24 any/udp":               {Kind: Prefix, Value: "192.0.2.0/24", Proto: 17},
		"443/tcp":                            {Kind: Port, Port: 443, Proto: 6},
		"udp/53":                             {Kind: Port, Port: 53, Proto: 17},
		"4444/any":                           {Kind: Port, Port: 4444},
		"hxxps://example[.]com/a":            {Kind: URL, Value: "https://example.com/a"},
		"example.com/gate.php":               {Kind: URL, Value: "http://example.com/gate.php"},
		"192.0.2.1/gate.php":                 {Kind: URL, Value: "http://192.0.2.1/gate.php"},
		"Bad@Example.com":                    {Kind: Mail, Value: "bad@example.com"},
		"mailto:bad@example.com":             {Kind: Mail, Value: "bad@example.com"},
		"bad[at]example[.]com":               {Kind: Mail, Value: "bad@example.com"},
		"D41D8CD98F00B204E9800998ECF8427E":   {Kind: MD5, Value: "d41d8cd98f00b204e9800998ecf8427e"},
		strings.Repeat("ab", 20):             {Kind: SHA1, Value: strings.Repeat("ab", 20)},
		strings.Repeat("ab", 32):             {Kind: SHA256, Value: strings.Repeat("ab", 32)},
		" " + strings.Repeat("ab", 64) + " ": {Kind: SHA512, Value: strings.Repeat("ab", 64)},
	} {
		got, err := FromValue(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
		again, err := FromValue(got.String())
		if err != nil || again != got {
			t.Errorf("%q: String %q reads back as %v, %v", in, got.String(), again, err)
		}
	}
	for _, in := range []string{
		"", "word", "*.example.com", "192.0.2.0/33", "evil.example:8080", "443", "0/tcp", "99999/tcp",
		"/etc/passwd", "192.0.2.1:0", "192.0.2.1 tcp", "some words here", "192.0.2.300",
	} {
		got, err := FromValue(in)
		if err == nil {
			t.Errorf("%q: got %+v, want an error", in, got)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for i, v := range []string{"Example.com.", "192.0.2.1/24", "http://a.example/%7e/../b", "A@b.example", "İstanbul", "ﬀ.example", "\"a\\\"b\"@x.example"} {
		f.Add(uint8(i), v)
	}
	f.Fuzz(func(t *testing.T, kind uint8, v string) {
		k := Kind(kind%uint8(SHA512)) + 1
		once, err := Canonical(k, v)
		if err != nil {
			return
		}
		twice, err := Canonical(k, once)
		if err != nil {
			t.Fatalf("%s: %q became %q, which is refused: %v", k, v, once, err)
		}
		if once != twice {
			t.Fatalf("%s: %q became %q and then %q", k, v, once, twice)
		}
	})
}

func FuzzFromValue(f *testing.F) {
	for _, v := range []string{"192.0.2.1:443", "443/tcp", "hxxp://a[.]example/", "a@b.example", "x.example/y"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		a, err := FromValue(v)
		if err != nil {
			return
		}
		again, err := FromValue(a.String())
		if err != nil || again != a {
			t.Fatalf("%q gave %+v; its String %q gives %+v, %v", v, a, a.String(), again, err)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	for name, v := range map[string]struct {
		kind Kind
		in   string
	}{
		"domain": {Domain, "www.example.com"}, "Domain": {Domain, "WWW.Example.COM."}, "IDN": {Domain, "bücher.example"},
		"address": {Addr, "192.0.2.1"}, "URL": {URL, "HTTP://Example.com:80/a/../b?c=%7e"}, "mail": {Mail, "John@Example.com"},
		"subject": {Subject, "Your  invoice"}, "SHA-256": {SHA256, sha256Hex},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := Canonical(v.kind, v.in)
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFromValue(b *testing.B) {
	for name, in := range map[string]string{
		"domain": "www.example.com", "defanged": "www[.]example[.]com", "address": "192.0.2.1", "IPv6": "2001:db8::1", "prefix": "192.0.2.0/24",
		"address:port": "192.0.2.1:443", "URL": "http://example.com/a/b.php?id=1", "URL with port": "http://192.0.2.1:8080/a", "defanged URL": "hxxp://example[.]com/a", "mail": "john@example.com",
		"SHA-256": sha256Hex, "MD5": md5Hex,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := FromValue(in)
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
