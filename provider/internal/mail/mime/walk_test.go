package mime

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecs/observable"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type finds map[string]bool

func (f finds) Find(p Place, k observable.Kind, v []byte) {
	f[fmt.Sprintf("%s %s %s", p, k, v)] = true
}

func walk(raw string, b Budget, piece int) (finds, Result) {
	f := finds{}
	w := NewWalker(b, AllDigests, f)
	for i := 0; i < len(raw); i += piece {
		_, _ = w.Write([]byte(raw[i:min(i+piece, len(raw))]))
	}
	return f, w.Close()
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func sha(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func zipped(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range names {
		w, err := z.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, "contents of "+n)
	}
	err := z.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func b64(b []byte) string {
	s := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(s) > 76 {
		out.WriteString(s[:76] + "\n")
		s = s[76:]
	}
	return out.String() + s + "\n"
}

const payload = "MZ this is not really a program\r\n\x00\x01\x02"

func cases(t testing.TB) []struct {
	name, raw string
	want      []string
	signs     Signs
} {
	inner := zipped(t, "deep.exe")
	outer := func() []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, _ := z.Create("inner.zip")
		_, _ = w.Write(inner)
		_ = z.Close()
		return b.Bytes()
	}()
	attachment := "From: a@example.com\nContent-Type: multipart/mixed; boundary=\"xx\"\n\n--xx\nContent-Type: text/plain\n\nhello\n" +
		"--xx\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"run.exe\"\n\n"
	return []struct {
		name, raw string
		want      []string
		signs     Signs
	}{
		{
			"plain text", "From: A <Bad@Evil.example>\nSubject: hi  there\n\nsee http://evil.example/a?b=c, or www.other.test.\n",
			[]string{"from mail-address Bad@Evil.example", "subject subject hi  there", "url url http://evil.example/a?b=c", "host domain evil.example", "host domain www.other.test"},
			0,
		},
		{
			"attachment", attachment + b64([]byte(payload)) + "--xx--\n",
			[]string{"attachment-name file-name run.exe", "attachment sha256 " + sha([]byte(payload))},
			0,
		},
		{
			"no closing boundary", attachment + b64([]byte(payload)),
			[]string{"attachment sha256 " + sha([]byte(payload))},
			0,
		},
		{
			"noise in base64", attachment + strings.ReplaceAll(b64([]byte(payload)), "IG", "I!G") + "--xx--\n",
			[]string{"attachment sha256 " + sha([]byte(payload))},
			BadEncoding,
		},
		{
			"boundary with trailing space", strings.ReplaceAll(attachment, "--xx\n", "--xx \t\n") + b64([]byte(payload)) + "--xx-- \n",
			[]string{"attachment sha256 " + sha([]byte(payload))},
			0,
		},
		{
			"boundary is not named", strings.Replace(attachment, "; boundary=\"xx\"", "", 1) + b64([]byte(payload)) + "--xx--\n",
			[]string{"attachment sha256 " + sha([]byte(payload))},
			NoBoundary,
		},
		{
			"two content types", strings.Replace(attachment, "Content-Type: multipart", "Content-Type: multipart/mixed; boundary=yy\nContent-Type: multipart", 1) + b64([]byte(payload)),
			[]string{"attachment sha256 " + sha([]byte(payload))},
			TwiceHeader,
		},
		{
			"two encodings", strings.Replace(attachment, "Encoding: base64", "Encoding: 7bit\nContent-Transfer-Encoding: base64", 1) + b64([]byte(payload)) + "--xx--\n",
			[]string{"attachment sha256 " + sha([]byte(payload))},
			TwiceHeader,
		},
		{
			"comment in encoding", strings.Replace(attachment, "Encoding: base64", "Encoding: base64 (yes)", 1) + b64([]byte(payload)) + "--xx--\n",
			[]string{"attachment sha256 " + sha([]byte(payload))},
			0,
		},
		{
			"zip in zip", attachment + b64(outer) + "--xx--\n",
			[]string{"archive-member-name file-name inner.zip", "archive-member-name file-name deep.exe", "archive-member sha256 " + sha([]byte("contents of deep.exe"))},
			0,
		},
		{
			"zip with a prefix", strings.Replace(attachment, "run.exe", "run.zip", 1) + b64(append([]byte("junk before"), inner...)) + "--xx--\n",
			[]string{"archive-member sha256 " + sha([]byte("contents of deep.exe"))},
			0,
		},
		{
			"zip without its directory", attachment + b64(inner[:len(inner)-60]) + "--xx--\n",
			[]string{"archive-member-name file-name deep.exe", "archive-member sha256 " + sha([]byte("contents of deep.exe"))},
			BadArchive,
		},
		{
			"message within, base64", "From: a@example.com\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + b64([]byte("From: in@ner.example\nSubject: within\n\nhttp://deep.example/\n")),
			[]string{"from mail-address in@ner.example", "subject subject within", "url url http://deep.example/"},
			0,
		},
		{
			"RFC 2231 name", strings.Replace(attachment, `filename="run.exe"`, "filename*0*=utf-8''%72un;\n filename*1=.exe", 1) + b64([]byte(payload)),
			[]string{"attachment-name file-name run.exe"},
			0,
		},
		{
			"RFC 2047 name", strings.Replace(attachment, `"run.exe"`, `"=?utf-8?B?cnVuLmV4ZQ==?="`, 1) + b64([]byte(payload)),
			[]string{"attachment-name file-name run.exe"},
			0,
		},
		{
			"RFC 2047 subject cut in a character", "Subject: =?utf-8?B?4oKs4g==?= =?utf-8?B?gqw=?=\n\nx\n",
			[]string{"subject subject €€"},
			0,
		},
		{
			"quoted-printable html", "Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n<a href=3D\"http://evil.exa=\nmple/p\">x</a><img src=3D'//img.example/i'>\n",
			[]string{"url url http://evil.example/p", "url url http://img.example/i"},
			0,
		},
		{
			"html broken by elements and entities", "Content-Type: text/html\n\n<p>go to ev<b>il.ex</b>ample now, or &#101;vil2.example <a href='http:\\\\evil3.example/x'>y</a><base href='https://b.example/d/'><a href=rel>z</a>\n",
			[]string{"host domain evil.example", "host domain evil2.example", `url url http://evil3.example/x`, "url url https://b.example/d/rel"},
			0,
		},
		{
			"style and refresh", "Content-Type: text/html\n\n<meta http-equiv=refresh content='0;url=http://r.example/'><p style=\"background:url(http://s.example/x)\">\n",
			[]string{"url url http://r.example/", "host domain s.example"},
			0,
		},
		{
			"an URL within an URL", "Content-Type: text/html\n\n<a href='https://r.example/go?to=http://evil.example/x&amp;a=b'>y</a>\n",
			[]string{"url url http://evil.example/x&a=b", "host domain evil.example"},
			0,
		},
		{
			"utf-16", "Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64\n\n" + b64([]byte("h\x00t\x00t\x00p\x00:\x00/\x00/\x00w\x00.\x00e\x00x\x00a\x00m\x00p\x00l\x00e\x00/\x00")),
			[]string{"url url http://w.example/"},
			0,
		},
		{
			"utf-7", "Content-Type: text/plain; charset=utf-7\n\nhttp:+AC8ALw-w.example/x\n",
			[]string{"url url http://w.example/x"},
			0,
		},
		{
			"address with comments", "From: (c) bad (x) @ (y) evil . example (z)\n\n.\n",
			[]string{"from mail-address bad@evil.example"},
			0,
		},
		{
			"quoted local part", "From: \"b\\ad\"@evil.example\n\n.\n",
			[]string{"from mail-address bad@evil.example"},
			0,
		},
		{
			"group and two", "From: g: a@one.example, <b@two.example>;\nReply-To: c@three.example\nSender: d@four.example\n\n.\n",
			[]string{"from mail-address a@one.example", "from mail-address b@two.example", "reply-to mail-address c@three.example", "sender mail-address d@four.example"},
			0,
		},
		{
			"two From", "From: a@one.example\nFrom: b@two.example\n\n.\n",
			[]string{"from mail-address a@one.example", "from mail-address b@two.example"},
			TwiceHeader,
		},
		{
			"line that is no header", "From: a@one.example\nnonsense http://evil.example/q\nSubject: later\n",
			[]string{"url url http://evil.example/q"},
			BadHeader,
		},
		{"ideographic dot", "\nevil\u3002example\n", []string{"host domain evil.example"}, 0},
		{
			"text after the end", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\nhttp://after.example/\n",
			[]string{"url url http://after.example/"},
			OutsideParts,
		},
		{
			"html attachment", strings.NewReplacer("run.exe", "page.html", "application/octet-stream", "application/x-thing").Replace(attachment) + b64([]byte("<a href=http://h.example/1>")),
			[]string{"url url http://h.example/1"},
			0,
		},
		{
			"nested multipart", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=ab\n\n--ab\nContent-Type: text/plain\n\nhttp://one.example/\n--ab--\n--a\nContent-Type: text/plain\n\nhttp://two.example/\n--a--\n",
			[]string{"url url http://one.example/", "url url http://two.example/"},
			0,
		},
	}
}

func TestWalk(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.name, func(t *testing.T) {
			got, res := walk(crlf(c.raw), Budget{}, 1<<20)
			for _, w := range c.want {
				if !got[w] {
					t.Errorf("missing %q in %v", w, got)
				}
			}
			if res.Signs&c.signs != c.signs {
				t.Errorf("signs %q, want %q", res.Signs, c.signs)
			}
			if res.Over != 0 {
				t.Errorf("over budget: %s", res.Over)
			}
			lf, _ := walk(c.raw, Budget{}, 1<<20)
			for _, w := range c.want {
				if !lf[w] {
					t.Errorf("with bare line feeds: missing %q", w)
				}
			}
		})
	}
}

// TestPiecesDoNotMatter checks that how the bytes come does not change what is
// found: mail servers cut messages anywhere.
func TestPiecesDoNotMatter(t *testing.T) {
	all := cases(t)
	rapid.Check(t, func(t *rapid.T) {
		raw := crlf(rapid.SampledFrom(all).Draw(t, "case").raw)
		whole, a := walk(raw, Budget{}, len(raw))
		cut, b := walk(raw, Budget{}, rapid.IntRange(1, 200).Draw(t, "piece"))
		if d := cmp.Diff(whole, cut); d != "" {
			t.Fatalf("found differently: %s", d)
		}
		if a.Signs != b.Signs || a.Parts != b.Parts {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

func TestBudgets(t *testing.T) {
	nest := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return b.String()
	}
	bomb := func() string {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, _ := z.Create("zeros")
		_, _ = io.CopyN(w, zero{}, 3<<20)
		_ = z.Close()
		return "Content-Type: application/zip\nContent-Transfer-Encoding: base64\n\n" + b64(b.Bytes())
	}()
	for _, c := range []struct {
		name, raw string
		b         Budget
		want      Limits
	}{
		{"bytes", strings.Repeat("x", 100), Budget{Bytes: 99}, OverBytes},
		{"depth", nest(40), Budget{Depth: 30}, OverDepth},
		{"messages within messages", strings.Repeat("Content-Type: message/rfc822\n\n", 60), Budget{}, OverDepth},
		{"parts", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 200), Budget{Parts: 100}, OverParts},
		{"header", "Subject: " + strings.Repeat("x", 5000) + "\n\n", Budget{HeaderBytes: 1000}, OverHeader},
		{"finds", "\n" + strings.Repeat("a.example ", 200), Budget{Finds: 100}, OverFinds},
		{"decoded", "\n" + strings.Repeat("abcdefghi\n", 3000), Budget{Decoded: 9000}, OverDecoded},
		{"archive", bomb, Budget{ArchiveBytes: 100}, OverArchive},
		{"inflated", bomb, Budget{Inflated: 1 << 20}, OverInflated},
		{"shared memory", bomb, Budget{Shared: NewPool(10)}, OverArchive},
		{"nothing", nest(3), Budget{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, res := walk(crlf(c.raw), c.b, 4096)
			if res.Over != c.want {
				t.Errorf("over %q, want %q", res.Over, c.want)
			}
		})
	}
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestPoolIsGivenBack checks that archives return the memory that they took.
func TestPoolIsGivenBack(t *testing.T) {
	pool := NewPool(1 << 20)
	raw := "Content-Type: application/zip\nContent-Transfer-Encoding: base64\n\n" + b64(zipped(t, "a", "b"))
	for range 50 {
		_, res := walk(raw, Budget{Shared: pool}, 100)
		if res.Over != 0 {
			t.Fatal(res.Over)
		}
	}
	if left := pool.left.Load(); left != 1<<20 {
		t.Errorf("%d bytes left of %d", left, 1<<20)
	}
}

// TestMemoryIsBounded walks 300 MB as one line and as one text.
func TestMemoryIsBounded(t *testing.T) {
	for _, c := range []struct{ name, head, unit string }{
		{"one line", "\n", strings.Repeat("word.", 1000)},
		{"html", "Content-Type: text/html\n\n", strings.Repeat("<a href='http://a.example/x'>text</a>\n", 100)},
		{"header that never ends", "Subject: ", strings.Repeat("x", 4000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := NewWalker(Budget{}, AllDigests, finds{})
			_, _ = w.Write([]byte(c.head))
			for range 60 << 20 / len(c.unit) {
				_, _ = w.Write([]byte(c.unit))
			}
			held := cap(w.line) + cap(w.head)
			if w.leaf != nil && w.leaf.pipes[0].text != nil {
				held += cap(*w.leaf.pipes[0].text.buf)
			}
			if held > 16<<20 {
				t.Errorf("%d bytes held", held)
			}
			w.Close()
		})
	}
}

// TestHostileIsLinear walks messages made to be slow for careless readers.
func TestHostileIsLinear(t *testing.T) {
	fill := func(unit string) string { return strings.Repeat(unit, 3<<20/len(unit)) }
	for name, raw := range map[string]string{
		"folds":          "Subject: x\n" + fill(" a\n") + "\n",
		"words no end":   "Subject: " + fill(" =?a?q?x") + "\n\n",
		"words":          "Subject: " + fill("=?a?q??=") + "\n\n",
		"at signs":       "From: " + fill("a@b.cd,") + "\n\n",
		"quotes":         "From: " + fill("\"@") + "\n\n",
		"comments":       "From: " + fill("(") + "\n\n",
		"hosts":          "\n" + fill("a.bc/"),
		"schemes":        "\n" + fill("a://"),
		"brackets":       "\nhttp://a.bc/" + fill(")"),
		"dots":           "\n" + fill("."),
		"dashes":         "Content-Type: multipart/mixed; boundary=b\n\n" + fill("--c\n"),
		"parts":          "Content-Type: multipart/mixed; boundary=b\n\n" + fill("--b\n\n"),
		"parameters":     "Content-Type: text/plain" + fill("; a*1=b") + "\n\n",
		"tags":           "Content-Type: text/html\n\n" + fill("<a>"),
		"open tags":      "Content-Type: text/html\n\n" + fill("<"),
		"attributes":     "Content-Type: text/html\n\n<a " + fill("href=//a.bc "),
		"comment starts": "Content-Type: text/html\n\n" + fill("<!--"),
		"equals":         "Content-Transfer-Encoding: quoted-printable\n\n" + fill("="),
		"noise":          "Content-Transfer-Encoding: base64\nContent-Type: application/x\n\n" + fill("!="),
		"local headers":  "Content-Type: application/zip\n\nPK\x03\x04" + fill("PK\x03\x04"+strings.Repeat("\x00", 26)),
		"directory":      "Content-Type: application/zip\n\nPK\x03\x04" + fill("PK\x01\x02"+strings.Repeat("\x00", 42)),
		"utf-7":          "Content-Type: text/plain; charset=utf-7\n\n" + fill("+AC8-"),
	} {
		t.Run(name, func(t *testing.T) {
			began := cpu(t)
			walk(raw, Budget{}, 65535)
			if took := cpu(t) - began; took > 5*time.Second {
				t.Errorf("%s of processor time for 3 MiB", took)
			} else {
				t.Log(took)
			}
		})
	}
}

// cpu gives the processor time of this process: other work on the machine does
// not count.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func FuzzWalk(f *testing.F) {
	for _, c := range cases(f) {
		f.Add([]byte(crlf(c.raw)), uint16(4096))
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece uint16) {
		b := Budget{Inflated: 1 << 20, ArchiveBytes: 1 << 20, Finds: 10_000, Parts: 1000}
		got, res := walk(string(raw), b, int(piece)+1)
		if res.Finds > b.Finds || res.Bytes != int64(len(raw)) {
			t.Fatalf("%+v", res)
		}
		if len(got) > res.Finds {
			t.Fatalf("%d finds, counted %d", len(got), res.Finds)
		}
	})
}
