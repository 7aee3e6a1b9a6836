package mime

import (
	"bytes"
	"sort"
	"strconv"
	"strings"
)

// param is one parameter of a structured header, decoded.
type param struct {
	name  string // lower case
	value []byte
}

const maxParams = 256

// parseParams reads "main; name=value; ..." as leniently as mail readers do:
// comments anywhere, quotes that do not end, spaces around the equals sign,
// values with spaces, and RFC 2231 continuations and character sets. A
// parameter named twice is given twice.
func parseParams(v []byte) (main string, params []param) {
	v = stripComments(v)
	head, rest := cutSemicolon(v)
	main = strings.ToLower(strings.TrimSpace(string(head)))
	var pieces []piece
	for len(rest) > 0 && len(params)+len(pieces) < maxParams {
		var one []byte
		one, rest = cutSemicolon(rest)
		name, value, ok := bytes.Cut(one, []byte("="))
		if !ok {
			continue
		}
		n := strings.ToLower(strings.TrimSpace(string(name)))
		val, quoted := unquote(bytes.TrimSpace(value))
		base, star, extended := strings.Cut(n, "*")
		if !extended {
			params = append(params, param{name: n, value: val})
			if !quoted {
				// "filename=a b.exe" is a b.exe to some and a to others.
				short, _, cut := bytes.Cut(val, []byte(" "))
				if cut {
					params = append(params, param{name: n, value: short})
				}
			}
			continue
		}
		star, encoded := strings.CutSuffix(star, "*")
		p := piece{base: base, value: val, encoded: encoded || star == ""}
		if star != "" {
			i, err := strconv.Atoi(star)
			if err != nil || i < 0 || i > maxParams {
				continue
			}
			p.index = i
		}
		pieces = append(pieces, p)
	}
	return main, append(params, join(pieces)...)
}

// piece is a part of a parameter in the form of RFC 2231.
type piece struct {
	base    string
	index   int
	encoded bool
	value   []byte
}

func join(pieces []piece) []param {
	sort.SliceStable(pieces, func(i, j int) bool {
		if pieces[i].base != pieces[j].base {
			return pieces[i].base < pieces[j].base
		}
		return pieces[i].index < pieces[j].index
	})
	var out []param
	for i := 0; i < len(pieces); {
		base := pieces[i].base
		var text []byte
		charset := ""
		for first := true; i < len(pieces) && pieces[i].base == base; i++ {
			p := pieces[i]
			v := p.value
			if p.encoded {
				if first {
					parts := bytes.SplitN(v, []byte("'"), 3)
					if len(parts) == 3 {
						charset, v = strings.ToLower(string(parts[0])), parts[2]
					}
				}
				v = percentDecode(v)
			}
			text = append(text, v...)
			first = false
		}
		out = append(out, param{name: base, value: toUTF8(charset, text)})
	}
	return out
}

// cutSemicolon cuts at the first semicolon outside of quotes.
func cutSemicolon(v []byte) (before, after []byte) {
	quoted := false
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				return v[:i], v[i+1:]
			}
		}
	}
	if quoted {
		// The quote never ends: read it as if it were not there.
		i := bytes.IndexByte(v, ';')
		if i >= 0 {
			return v[:i], v[i+1:]
		}
	}
	return v, nil
}

// unquote takes the quotes and backslashes off a quoted string.
func unquote(v []byte) ([]byte, bool) {
	if len(v) == 0 || v[0] != '"' && v[0] != '\'' {
		return v, false
	}
	q := v[0]
	if q == '\'' && (len(v) < 2 || v[len(v)-1] != '\'') {
		return v, false
	}
	out := make([]byte, 0, len(v))
	for i := 1; i < len(v); i++ {
		switch {
		case v[i] == q:
			return out, true
		case v[i] == '\\' && i+1 < len(v):
			i++
			out = append(out, v[i])
		default:
			out = append(out, v[i])
		}
	}
	return out, true
}

// stripComments removes comments in parentheses (RFC 5322 section 3.2.2),
// nested ones too, but not within quotes. A comment that never ends is kept.
func stripComments(v []byte) []byte {
	if bytes.IndexByte(v, '(') < 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	depth, mark, quoted := 0, 0, false
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '\\' && i+1 < len(v):
			if depth == 0 {
				out = append(out, c, v[i+1])
			}
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
			out = append(out, c)
		case c == '(' && !quoted:
			if depth == 0 {
				mark = i
			}
			depth++
		case c == ')' && depth > 0:
			depth--
			if depth == 0 {
				out = append(out, ' ')
			}
		case depth == 0:
			out = append(out, c)
		}
	}
	if depth > 0 {
		out = append(out, v[mark:]...)
	}
	return out
}

func percentDecode(v []byte) []byte {
	if bytes.IndexByte(v, '%') < 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			h, l := unhex(v[i+1]), unhex(v[i+2])
			if h < 16 && l < 16 {
				out = append(out, h<<4|l)
				i += 2
				continue
			}
		}
		out = append(out, v[i])
	}
	return out
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	default:
		return 255
	}
}
