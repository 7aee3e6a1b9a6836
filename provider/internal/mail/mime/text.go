package mime

import (
	"bytes"
	"strings"
	"sync"

	"ecs/observable"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

const (
	textWindow = 256 << 10 // text is looked at in windows of this size
	textKeep   = 4 << 10   // of which so much at most is looked at again, as nothing that we look for is longer
)

// textReader decodes a text part's character set and looks through it window
// by window.
type textReader struct {
	run   *run
	buf   *[]byte
	dec   transform.Transformer // nil: bytes pass as they are
	ascii bool                  // bytes below 0x80 mean themselves: decode only from the first other one on
	tail  []byte                // bytes of an unfinished character
	html  *htmlReader
	utf7  bool
}

var textBufs = sync.Pool{New: func() any {
	b := make([]byte, 0, 16<<10)
	return &b
}}

func newTextReader(r *run, charset string, html bool) *textReader {
	t := &textReader{run: r, buf: textBufs.Get().(*[]byte)}
	*t.buf = (*t.buf)[:0]
	if html {
		t.html = &htmlReader{run: r}
	}
	switch {
	case plainCharset(charset):
	case charset == "utf-7":
		t.utf7 = true
	case charset == "utf-16":
		t.dec = unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder()
	default:
		e := lookup(charset)
		if e == nil {
			r.res.Signs |= BadCharset
			break
		}
		t.dec = e.NewDecoder()
		t.ascii = asciiCharset(charset)
	}
	return t
}

// asciiCharset reports whether bytes below 0x80 always mean themselves.
func asciiCharset(name string) bool {
	for _, p := range []string{"iso-8859-", "windows-", "koi8", "euc-", "latin", "cp125", "l1"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func (t *textReader) write(b []byte) {
	if t.dec != nil && t.ascii && !hasHigh(b) {
		t.add(b)
		return
	}
	if t.dec == nil {
		t.add(b)
		return
	}
	t.ascii = false
	t.decode(b, false)
}

// hasHigh reports whether b holds a byte of 0x80 or above.
func hasHigh(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

func (t *textReader) decode(b []byte, end bool) {
	if len(t.tail) > 0 {
		b = append(t.tail, b...)
		t.tail = nil
	}
	var dst [4 << 10]byte
	for {
		n, m, err := t.dec.Transform(dst[:], b, end)
		t.add(dst[:n])
		b = b[m:]
		if err == transform.ErrShortDst { //nolint:errorlint // transform returns the bare value, see its contract
			continue
		}
		if err == transform.ErrShortSrc && !end { //nolint:errorlint // as above
			t.tail = bytes.Clone(b)
			return
		}
		if err == nil || n == 0 && m == 0 {
			if err != nil {
				t.run.res.Signs |= BadCharset
			}
			return
		}
	}
}

func (t *textReader) add(b []byte) {
	for len(b) > 0 {
		n := min(len(b), textWindow-len(*t.buf))
		*t.buf = append(*t.buf, b[:n]...)
		b = b[n:]
		if len(*t.buf) == textWindow {
			t.window()
		}
	}
}

// window looks at what is there and keeps what may be cut in two.
func (t *textReader) window() {
	b := *t.buf
	cut := len(b)
	var i int
	if t.html != nil {
		i = bytes.LastIndexByte(b[len(b)-textKeep:], '<')
	} else {
		i = bytes.LastIndexAny(b[len(b)-textKeep:], " \t\r\n<>\"")
	}
	if i >= 0 {
		cut = len(b) - textKeep + i
	}
	t.look(b[:cut])
	if i < 0 {
		cut = len(b) - textKeep // one long word: its end is looked at twice
	}
	n := copy(b, b[cut:])
	*t.buf = b[:n]
}

func (t *textReader) look(b []byte) {
	if t.utf7 {
		b = decodeUTF7(b)
	}
	if t.html != nil {
		t.html.scan(b)
		return
	}
	scanText(t.run, BodyURL, b)
}

func (t *textReader) close() {
	if t.dec != nil && !t.ascii {
		t.decode(nil, true)
	}
	t.look(*t.buf)
	if cap(*t.buf) <= textWindow {
		textBufs.Put(t.buf)
	}
	t.buf = nil
}

// scanText finds URLs and host names in plain text. It looks for the two marks
// that they cannot be without, "://" and a dot, and widens from there; text
// without them costs two searches for a byte.
func scanText(r *run, p Place, b []byte) {
	if r.res.Over&OverFinds != 0 {
		return
	}
	if hasOddDot(b) {
		b = plainDots(b)
	}
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], ':')
		if i < 0 {
			break
		}
		i += at
		at = i + 1
		if i+2 < len(b) && slash(b[i+1]) && slash(b[i+2]) {
			at = urlAt(r, p, b, i)
		}
	}
	hostPlace := p
	if p == BodyURL {
		hostPlace = BodyHost
	}
	bare := 0 // where the last URL without a scheme ends: none begins within it
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '.')
		if i < 0 {
			return
		}
		i += at
		l, e := i, i+1
		for l > at && hostByte[b[l-1]] && i-l < 300 {
			l--
		}
		for e < len(b) && hostByte[b[e]] && e-i < 300 {
			e++
		}
		at = e
		host := trimHost(b[l:e])
		if !plausible(host) {
			continue
		}
		r.find(hostPlace, observable.Domain, host)
		if e < len(b) && (b[e] == '/' || b[e] == ':') && l >= bare && !afterScheme(b[:l]) {
			bare = l + bareURL(r, p, b[l:])
		}
	}
}

func slash(c byte) bool { return c == '/' || c == '\\' }

// urlAt hands over the URL whose "://" is at i and gives where it ends.
func urlAt(r *run, p Place, b []byte, i int) int {
	l := i
	for l > 0 && i-l < 12 && (alpha(b[l-1]) || l < i && (b[l-1] >= '0' && b[l-1] <= '9' || b[l-1] == '+' || b[l-1] == '-' || b[l-1] == '.')) {
		l--
	}
	for l < i && !alpha(b[l]) {
		l++
	}
	if l == i {
		return i + 3
	}
	e := urlEnd(b, i+3)
	if e == i+3 {
		return e
	}
	r.find(p, observable.URL, b[l:e])
	short := trimURL(b[l:e])
	if len(short) < e-l {
		r.find(p, observable.URL, short)
	}
	return e
}

// bareURL hands over a host with a path but without a scheme, and gives its
// length.
func bareURL(r *run, p Place, b []byte) int {
	e := urlEnd(b, 0)
	r.find(p, observable.URL, b[:e])
	short := trimURL(b[:e])
	if len(short) < e {
		r.find(p, observable.URL, short)
	}
	return e
}

const maxURL = 4 << 10 // longer ones have no canonical form

func urlEnd(b []byte, e int) int {
	stop := min(len(b), e+maxURL)
	for e < stop && b[e] > ' ' && b[e] != '<' && b[e] != '>' && b[e] != '"' && b[e] != '`' && b[e] != 0x7f {
		e++
	}
	return e
}

// trimURL takes off what in a sentence is not part of an URL.
func trimURL(u []byte) []byte {
	for len(u) > 0 {
		c := u[len(u)-1]
		switch c {
		case '.', ',', ';', ':', '!', '?', '\'', '*', '_', '|', '\\':
		case ')', ']', '}':
			open := c - 2 // of ] and }
			if c == ')' {
				open = '('
			}
			if bytes.IndexByte(u, open) >= 0 {
				return u
			}
		default:
			return u
		}
		u = u[:len(u)-1]
	}
	return u
}

func afterScheme(b []byte) bool {
	n := len(b)
	return n >= 3 && slash(b[n-1]) && slash(b[n-2]) && b[n-3] == ':' || n >= 1 && b[n-1] == '@'
}

func alpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func trimHost(h []byte) []byte {
	for len(h) > 0 && (h[0] == '.' || h[0] == '-') {
		h = h[1:]
	}
	for len(h) > 0 && (h[len(h)-1] == '.' || h[len(h)-1] == '-' || h[len(h)-1] == '_') {
		h = h[:len(h)-1]
	}
	return h
}

// plausible reports whether a run of host bytes can be a host name: a dot
// within, and a last label that is no number.
func plausible(h []byte) bool {
	if len(h) < 4 || len(h) > 300 {
		return false
	}
	i := bytes.LastIndexByte(h, '.')
	if i <= 0 || len(h)-i < 3 {
		return false
	}
	last := h[i+1:]
	for _, c := range last {
		if alpha(c) || c >= 0x80 {
			continue
		}
		return len(last) > 4 && strings.EqualFold(string(last[:4]), "xn--")
	}
	return true
}

// oddDots are the characters that IDNA reads as a dot (UTS 46 section 4.5).
var oddDots = [...][]byte{[]byte("\u3002"), []byte("\uff0e"), []byte("\uff61")}

func hasOddDot(b []byte) bool {
	for i := bytes.IndexByte(b, 0xe3); i >= 0 && i+2 < len(b); {
		if b[i+1] == 0x80 && b[i+2] == 0x82 {
			return true
		}
		n := bytes.IndexByte(b[i+1:], 0xe3)
		if n < 0 {
			break
		}
		i += 1 + n
	}
	return bytes.Contains(b, oddDots[1]) || bytes.Contains(b, oddDots[2])
}

func plainDots(b []byte) []byte {
	for _, d := range oddDots {
		b = bytes.ReplaceAll(b, d, []byte("."))
	}
	return b
}
