package observable

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawValue draws what might be a value of a kind, in all its spellings.
func drawValue(t *rapid.T, k Kind) string {
	some := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	label := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9_-]{1,8}`), rapid.SampledFrom([]string{
		"Bücher", "straße", "例え", "ＷＷＷ", "xn--bcher-kva", "İ", "ﬀ", "0x1f", "٣", "a\u00adb", "☃", "1", "00", "%41", "ك",
	}))
	host := func() string {
		dots := rapid.SliceOfN(label, 1, 4).Draw(t, "labels")
		return strings.Join(dots, some("dot", ".", ".", "。", "．")) + some("end", "", "", ".", "..")
	}
	v4 := func() string {
		return fmt.Sprintf(some("form", "%d.%d.%d.%d", "%d.%d.%d.%d", "%03d.%d.%d.%d", "0x%x.%d.%d.%d", "::ffff:%d.%d.%d.%d"),
			rapid.Byte().Draw(t, "1"), rapid.Byte().Draw(t, "2"), rapid.Byte().Draw(t, "3"), rapid.Byte().Draw(t, "4"))
	}
	v6 := func() string {
		return some("IPv6", "2001:DB8::1", "2001:0db8:0:0:0:0:0:1", "::", "::1", "fe80::1%eth0", "::ffff:c000:201", "2001:db8::192.0.2.1", "1::2::3")
	}
	address := func() string {
		if rapid.Bool().Draw(t, "version") {
			return v6()
		}
		return v4()
	}
	switch k {
	case Domain:
		return host()
	case Addr:
		return address()
	case Prefix:
		return address() + some("slash", "/", "/", "") + fmt.Sprint(rapid.IntRange(0, 130).Draw(t, "bits"))
	case URL:
		if rapid.Bool().Draw(t, "simple") {
			return some("scheme", "http", "https") + "://" + rapid.StringMatching(`([a-z]{1,5}\.example|192\.0\.2\.[0-9]{1,3})(:(80|443|[0-9]{1,5}|\+1))?/[a-z./?=&]{0,8}`).Draw(t, "rest")
		}
		at := host()
		if rapid.Bool().Draw(t, "address") {
			at = strings.Replace(address(), "::", some("brackets", "::", "["), 1)
		}
		path := rapid.SliceOfN(rapid.SampledFrom([]string{"/", "a", ".", "..", "%2e", "%2F", "%zz", "%", "?", "#", "\\", " ", "é", ";", "%41", "%c3%a9", "|", "\t", "=", "&", "~", "//", "'"}), 0, 8).Draw(t, "path")
		return some("scheme", "http", "HTTP", "https", "ftp", "ws", "tcp", "ht tp", "h323") + some("slashes", "://", "://", ":/", ":///", ":\\\\", ":") +
			some("user", "", "", "u@", "u:p@", "@") + at + some("port", "", "", ":80", ":443", ":0080", ":", ":65536", ":8080") + some("/", "/", "", "/") + strings.Join(path, "")
	case Mail:
		local := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9.+!-]{1,8}`), rapid.SampledFrom([]string{`"a b"`, `"a"`, `"a\"b"`, "İ", "a\u0307", "é", ".a", "a..b", `"`, "\x01", "ﬀ", "ẞ"})).Draw(t, "local")
		at := host()
		if rapid.Bool().Draw(t, "literal") {
			at = "[" + some("tag", "", "IPv6:", "ipv6:") + address() + "]"
		}
		return some("open", "", "", "<") + local + "@" + at + some("close", "", "", ">")
	case Subject, FileName:
		return strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{" ", "\t", "\u00a0", "\u0085", "\u0130", "e\u0301", "/", "\\", "ſ", "Ω", "ß", "\u1e9e", "\u0345"})), 1, 6).Draw(t, "parts"), "")
	case Port:
		return ""
	default:
		n := map[Kind]string{MD5: "32", SHA1: "40", SHA256: "64", SHA512: "128"}[k]
		return rapid.StringMatching("[0-9a-fA-F]{"+n+"}|[0-9a-g]{32}").Draw(t, "hash")
	}
}

// TestIdempotent: a canonical value is its own canonical value, and an atom comes
// back from its pattern.
func TestIdempotent(t *testing.T) {
	taken := map[Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		for k := Domain; k <= SHA512; k++ {
			v := drawValue(t, k)
			once, err := Canonical(k, v)
			if err != nil || k == Port {
				continue
			}
			taken[k]++
			twice, err := Canonical(k, once)
			if err != nil || twice != once {
				t.Fatalf("%s: %q became %q and then %q, %v", k, v, once, twice, err)
			}
			a, err := Make(k, v)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Compile(Pattern(a))
			if err != nil || len(c.Atoms) != 1 || c.Atoms[0] != a {
				t.Fatalf("%s: %q gives %v, whose pattern gives %v, %v", k, v, a, c.Atoms, err)
			}
		}
	})
	for k := Domain; k <= SHA512; k++ {
		if k != Port && taken[k] == 0 {
			t.Errorf("no value of kind %s was taken", k)
		}
	}
}

// TestShortcuts: what is decided without looking closely is what a close look
// gives.
func TestShortcuts(t *testing.T) {
	plain, good := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		v := drawValue(t, URL)
		if plainURL(v) {
			plain++
			slow, err := rewrittenURL(v)
			if err != nil || slow != v {
				t.Fatalf("%q is not plain: %q, %v", v, slow, err)
			}
		}
		v = strings.ToLower(drawValue(t, Domain))
		err := hostError(v)
		if goodHost(v) != (err == nil) {
			t.Fatalf("goodHost of %q: %v; %v", v, goodHost(v), err)
		}
		if err == nil {
			good++
		}
		v = drawValue(t, Kind(rapid.IntRange(int(Domain), int(Mail)).Draw(t, "kind")))
		if _, ok, _ := fromAddress(v); ok && !strings.Contains(v, "/") && !maybeAddress(v) {
			t.Fatalf("%q is an address", v)
		}
	})
	if plain == 0 || good == 0 {
		t.Errorf("%d plain URLs, %d good names", plain, good)
	}
}
