package report

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// shifts map places of a text made of another to places of that other. Each says
// where a stretch begins in both.
type shifts []struct{ out, in int }

func (s shifts) of(pos int) int {
	i := sort.Search(len(s), func(i int) bool { return s[i].out > pos })
	if i == 0 {
		return pos
	}
	return s[i-1].in + pos - s[i-1].out
}

// made is a text being made of another.
type made struct {
	b     []byte
	at    shifts
	fangs []int // places in b where a defanged form was undone
}

// shift says that the next byte comes from a place of the other text.
func (m *made) shift(in int) {
	n := len(m.at)
	if n > 0 && m.at[n-1].out == len(m.b) {
		m.at[n-1].in = in
		return
	}
	m.at = append(m.at, struct{ out, in int }{len(m.b), in})
}

// put writes what stands for a defanged form, and goes on at next.
func (m *made) put(s string, in, next int) {
	m.shift(in)
	m.fangs = append(m.fangs, len(m.b))
	m.b = append(m.b, s...)
	m.shift(next)
}

// defanged says whether a stretch holds an undone form.
func (m *made) defanged(from, to int) bool {
	i := sort.SearchInts(m.fangs, from)
	return i < len(m.fangs) && m.fangs[i] < to
}

// refang undoes what reports do to values: brackets around dots and the like,
// backslashes before dots, hxxp, dots in words; and what transport does: characters
// of no width, soft line breaks inside of URLs.
func refang(text string) *made {
	m := &made{b: make([]byte, 0, len(text)+16)}
	quotedPrintable := strings.Contains(text, "=3D") && (strings.Contains(text, "=\n") || strings.Contains(text, "=\r\n"))
	lineStart, url, angle := 0, -1, false // url: where one began in m.b
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '[' || c == '(' || c == '{':
			s, n := bracket(text[i:])
			if n == 0 && c == '[' && i+2 < len(text) && text[i+1] == '.' && m.afterWord() && alnum(text[i+2]) {
				s, n = ".", 2 // half a pair
			}
			if n > 0 {
				n += m.spaces(text, i, n)
				m.put(s, i, i+n)
				i += n
				continue
			}
		case c == '.' && i+2 < len(text) && text[i+1] == ']' && m.afterWord() && alnum(text[i+2]):
			m.put(".", i, i+2)
			i += 2
			continue
		case c == '\\' && i+2 < len(text):
			switch {
			case text[i+1] == '.' && m.afterWord() && alnum(text[i+2]):
				m.put(".", i, i+2)
				i += 2
				continue
			case text[i+1] == '_' || text[i+1] == '-' || text[i+1] == '/': // Markdown, JSON
				m.shift(i + 1)
				m.b = append(m.b, text[i+1])
				m.shift(i + 2)
				i += 2
				continue
			}
		case (c|0x20 == 'h' || c|0x20 == 'm' || c|0x20 == 'f') && !m.afterWord():
			s, n := scheme(text[i:])
			if n > 0 {
				m.put(s, i, i+n)
				i += n
				continue
			}
		case c == ':' && strings.HasPrefix(text[i:], "://"):
			url = len(m.b)
			from := strings.LastIndexAny(string(m.b[max(0, len(m.b)-12):]), "< \t\n")
			angle = from >= 0 && m.b[max(0, len(m.b)-12)+from] == '<'
		case c == '>' && angle:
			url, angle = -1, false
		case c == ' ':
			url = m.keep(url, angle)
			s, n := wordDot(m, text, i)
			if n > 0 {
				m.put(s, i, i+n)
				i += n
				continue
			}
		case c == '=' && quotedPrintable:
			s, n := softBreak(text[i:])
			if n > 0 {
				m.b = append(m.b, s...)
				i += n
				m.shift(i)
				continue
			}
		case c == '\n' || c == '\r':
			next := i + 1
			if c == '\r' && next < len(text) && text[next] == '\n' {
				next++
			}
			n := joint(text, next, i-lineStart, m, url, angle)
			lineStart = next
			if n > 0 {
				m.shift(n)
				i = n
				continue
			}
			url, angle = -1, false
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(text[i:])
			switch r {
			case 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD: // no width, soft hyphen
				i += n
				m.shift(i)
				continue
			case 0x00A0:
				m.b = append(m.b, ' ')
				i += n
				m.shift(i)
				continue
			case 0xFF0E, 0x2024, 0x3002, 0xFF61: // dots of other scripts
				if m.afterWord() && i+n < len(text) && alnum(text[i+n]) {
					m.put(".", i, i+n)
					i += n
					continue
				}
			}
			m.b = append(m.b, text[i:i+n]...)
			i += n
			continue
		}
		m.b = append(m.b, c)
		i++
	}
	return m
}

// keep ends a URL at white space, unless it stands in angle brackets.
func (m *made) keep(url int, angle bool) int {
	if angle {
		return url
	}
	return -1
}

func (m *made) afterWord() bool {
	n := len(m.b)
	return n > 0 && (alnum(m.b[n-1]) || m.b[n-1] >= utf8.RuneSelf)
}

// spaces takes the ones on both sides of a bracket in "example [.] com".
func (m *made) spaces(text string, i, n int) int {
	k := len(m.b)
	if k < 2 || m.b[k-1] != ' ' || !alnum(m.b[k-2]) || i+n+1 >= len(text) || text[i+n] != ' ' || !alnum(text[i+n+1]) {
		return 0
	}
	m.b = m.b[:k-1]
	return 1
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// inBrackets are what stands for a character, or several.
var inBrackets = map[string]string{
	".": ".", "dot": ".", "d0t": ".", "punkt": ".", "point": ".", ",": ".", ":": ":", "colon": ":", "@": "@", "at": "@", "://": "://", "/": "/", "//": "//", ":/": ":/",
}

var closers = map[byte]byte{'[': ']', '(': ')', '{': '}'}

// bracket reads [.], (dot), { at } and the like, and gives their length.
func bracket(s string) (string, int) {
	const most = 10
	end := strings.IndexByte(s[:min(len(s), most)], closers[s[0]])
	if end < 2 {
		return "", 0
	}
	to, ok := inBrackets[strings.ToLower(strings.Trim(s[1:end], " "))]
	if !ok {
		return "", 0
	}
	return to, end + 1
}

var schemes = map[string]string{
	"hxxp": "http", "hxxps": "https", "htxp": "http", "htxps": "https", "hxtp": "http", "hxtps": "https", "hxxx": "http", "hxxxs": "https",
	"h**p": "http", "h**ps": "https", "h__p": "http", "h__ps": "https", "httx": "http", "httxs": "https",
	"meow": "http", "meows": "https", "fxp": "ftp", "fxps": "ftps", "fxxp": "ftp",
}

// scheme reads a defanged scheme before its colon.
func scheme(s string) (string, int) {
	n := 0
	for n < len(s) && n < 8 && (alnum(s[n]) || s[n] == '*' || s[n] == '_') {
		n++
	}
	if n < 3 || n >= len(s) || s[n] != ':' && s[n] != '[' && s[n] != '(' {
		return "", 0
	}
	to, ok := schemes[strings.ToLower(s[:n])]
	if ok && len(s) >= n+4 && strings.EqualFold(s[n:n+4], "[s]:") {
		return to + "s", n + 3
	}
	if !ok {
		return "", 0
	}
	return to, n
}

// softBreak undoes what quoted-printable (RFC 2045 section 6.7) does to URLs.
func softBreak(s string) (string, int) {
	switch {
	case strings.HasPrefix(s, "=\r\n"):
		return "", 3
	case strings.HasPrefix(s, "=\n"):
		return "", 2
	case strings.HasPrefix(s, "=3D"):
		return "=", 3
	}
	return "", 0
}

// joint says where a URL goes on behind a line break: inside of angle brackets (RFC
// 3986 appendix C), and where a full line ends in the middle of it. 0 when it does
// not.
func joint(text string, next, width int, m *made, url int, angle bool) int {
	if url < 0 || len(m.b) == 0 {
		return 0
	}
	for next < len(text) && angle && (text[next] == ' ' || text[next] == '\t') {
		next++
	}
	if next >= len(text) || !alnum(text[next]) && strings.IndexByte("/?&=%-_", text[next]) < 0 {
		return 0
	}
	if angle {
		if len(m.b)-url > 2048 || !strings.Contains(text[next:min(len(text), next+512)], ">") {
			return 0
		}
		return next
	}
	last := m.b[len(m.b)-1]
	if width < 66 || strings.IndexByte("/?&=%-_", last) < 0 {
		return 0
	}
	word := text[next:min(len(text), next+512)]
	end := strings.IndexAny(word, " \t\r\n")
	if end >= 0 {
		word = word[:end]
	}
	if strings.Contains(word, "://") || !strings.ContainsAny(word, "0123456789/?&=%-_.") {
		return 0 // another URL, or a word of the next line
	}
	return next
}

// notNames are words before "dot" that make it a word itself.
var notNames = map[string]bool{
	"the": true, "a": true, "this": true, "that": true, "each": true, "every": true, "one": true, "red": true, "black": true, "single": true, "second": true,
}

// wordDot reads " dot " between the labels of a name, and " at " before such.
func wordDot(m *made, text string, i int) (string, int) {
	if !m.afterWord() || i+6 > len(text) {
		return "", 0
	}
	switch {
	case strings.EqualFold(text[i:i+5], " dot "):
		label := labelAt(text, i+5)
		rest := text[i+5+len(label):]
		before := strings.ToLower(string(m.b[lastWord(m.b):]))
		more := len(rest) >= 5 && strings.EqualFold(rest[:5], " dot ")
		chain := len(m.fangs) > 0 && m.fangs[len(m.fangs)-1] >= lastWord(m.b)-1
		long := len(label) > 2 && topLevel(strings.ToLower(label))
		w := lastWord(m.b)
		inMail := w > 0 && m.b[w-1] == '@'
		if label != "" && (inMail || !notNames[before]) && (long || more || chain && topLevel(strings.ToLower(label))) {
			return ".", 5
		}
	case strings.EqualFold(text[i:i+4], " at "):
		label := labelAt(text, i+4)
		rest := strings.ToLower(text[i+4+len(label) : min(len(text), i+4+len(label)+5)])
		if label != "" && (rest == " dot " || strings.HasPrefix(rest, "[.]") || strings.HasPrefix(rest, "(.)") || strings.HasPrefix(rest, "[dot]") || strings.HasPrefix(rest, "(dot)")) &&
			!notNames[strings.ToLower(string(m.b[lastWord(m.b):]))] && m.looksLocal() {
			return "@", 4
		}
	}
	return "", 0
}

// looksLocal says that the word before " at " stands alone, as a local part does
// more often than a verb.
func (m *made) looksLocal() bool {
	w := lastWord(m.b)
	if w == 0 || m.b[w-1] == '\n' || m.b[w-1] == ':' || m.b[w-1] == '.' || m.b[w-1] == '-' || m.b[w-1] == '_' {
		return true
	}
	return w > 1 && (m.b[w-2] == ':' || m.b[w-2] == '-' || m.b[w-2] == '*')
}

func labelAt(text string, i int) string {
	n := i
	for n < len(text) && n-i < 63 && (alnum(text[n]) || text[n] == '-') {
		n++
	}
	return text[i:n]
}

// lastWord is where the label at the end of b begins.
func lastWord(b []byte) int {
	i := len(b)
	for i > 0 && len(b)-i < 63 && (alnum(b[i-1]) || b[i-1] == '-') {
		i--
	}
	return i
}
