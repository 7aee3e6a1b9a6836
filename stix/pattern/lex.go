package pattern

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error says where and why a text is not a pattern.
type Error struct {
	Pos    int    // byte offset, from 0
	Msg    string // for people
	Budget bool   // refused for its size (see [Limits]), whether it is a pattern or not
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("STIX pattern, position %d: %s", e.Pos, e.Msg)
}

func fail(pos int, format string, args ...any) *Error {
	return &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

// tooBig is [fail] for what breaks the limits.
func tooBig(pos int, format string, args ...any) *Error {
	return &Error{Pos: pos, Msg: fmt.Sprintf(format, args...), Budget: true}
}

type tokenKind uint8

const (
	tokEnd     tokenKind = iota
	tokName              // identifier; text holds it
	tokKeyword           // text holds it
	tokString            // text holds the unescaped value
	tokNumber            // text holds it as written
	tokBinary            // text holds what stands between the quotes
	tokHex
	tokTime
	tokSymbol // text holds it
)

type token struct {
	kind tokenKind
	pos  int
	text string
}

// String describes the token in messages.
func (t token) String() string {
	switch t.kind {
	case tokEnd:
		return "the end of the pattern"
	case tokString:
		return "a string"
	case tokBinary, tokHex, tokTime:
		return "a constant"
	default:
		return fmt.Sprintf("%q", t.text)
	}
}

var keywords = map[string]bool{
	"AND": true, "OR": true, "NOT": true, "FOLLOWEDBY": true, "LIKE": true, "MATCHES": true,
	"ISSUPERSET": true, "ISSUBSET": true, "EXISTS": true, "IN": true, "START": true, "STOP": true,
	"WITHIN": true, "SECONDS": true, "REPEATS": true, "TIMES": true, "true": true, "false": true,
}

type lexer struct {
	src string
	pos int
}

// next gives the next token.
func (l *lexer) next() (token, *Error) {
	err := l.skip()
	if err != nil {
		return token{}, err
	}
	start := l.pos
	if start == len(l.src) {
		return token{kind: tokEnd, pos: start}, nil
	}
	c := l.src[start]
	switch {
	case nameStart(c):
		if start+1 < len(l.src) && l.src[start+1] == '\'' {
			kind := map[byte]tokenKind{'b': tokBinary, 'h': tokHex, 't': tokTime}[c]
			if kind != tokEnd {
				return l.quotedConstant(kind)
			}
		}
		for l.pos < len(l.src) && (nameStart(l.src[l.pos]) || digit(l.src[l.pos]) || l.src[l.pos] == '-') {
			l.pos++
		}
		text := l.src[start:l.pos]
		if keywords[text] {
			return token{tokKeyword, start, text}, nil
		}
		return token{tokName, start, text}, nil
	case c == '\'':
		return l.str()
	case digit(c), c == '+', c == '-', c == '.' && start+1 < len(l.src) && digit(l.src[start+1]):
		return l.number()
	}
	for _, s := range [...]string{"==", "!=", "<>", ">=", "<=", "=", "<", ">", "[", "]", "(", ")", ":", ".", ",", "*"} {
		if strings.HasPrefix(l.src[start:], s) {
			l.pos += len(s)
			return token{tokSymbol, start, s}, nil
		}
	}
	if c == '"' {
		return token{}, fail(start, "double quotes mean nothing here; write strings and keys in single quotes")
	}
	r, _ := utf8.DecodeRuneInString(l.src[start:])
	return token{}, fail(start, "unexpected character %q", r)
}

// skip passes white space and comments.
func (l *lexer) skip() *Error {
	for l.pos < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[l.pos:])
		switch {
		case space(r):
			l.pos += n
		case strings.HasPrefix(l.src[l.pos:], "//"):
			end := strings.IndexAny(l.src[l.pos:], "\r\n")
			if end < 0 {
				end = len(l.src) - l.pos
			}
			l.pos += end
		case strings.HasPrefix(l.src[l.pos:], "/*"):
			end := strings.Index(l.src[l.pos+2:], "*/")
			if end < 0 {
				return fail(l.pos, "comment without its end")
			}
			l.pos += end + 4
		default:
			return nil
		}
	}
	return nil
}

// space are the characters that the standard's grammar calls white space.
func space(r rune) bool {
	switch r {
	case ' ', '\t', '\r', '\n', '\v', '\f', 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000:
		return true
	}
	return r >= 0x2000 && r <= 0x200a
}

func nameStart(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func digit(c byte) bool     { return c >= '0' && c <= '9' }

// str reads a string. Only \' and \\ are escapes.
func (l *lexer) str() (token, *Error) {
	start := l.pos
	l.pos++
	from := l.pos
	var b strings.Builder
	for l.pos < len(l.src) {
		switch l.src[l.pos] {
		case '\'':
			text := l.src[from:l.pos]
			if b.Len() > 0 { // something was escaped
				b.WriteString(text)
				text = b.String()
			}
			l.pos++
			return token{tokString, start, text}, nil
		case '\\':
			if l.pos+1 == len(l.src) || l.src[l.pos+1] != '\'' && l.src[l.pos+1] != '\\' {
				return token{}, fail(l.pos, `a backslash in a string must be written twice, or stand before a quote`)
			}
			b.WriteString(l.src[from:l.pos])
			from = l.pos + 1
			l.pos += 2
		default:
			l.pos++
		}
	}
	return token{}, fail(start, "string without its closing quote")
}

func (l *lexer) quotedConstant(kind tokenKind) (token, *Error) {
	start := l.pos
	end := strings.IndexByte(l.src[start+2:], '\'')
	if end < 0 {
		return token{}, fail(start, "constant without its closing quote")
	}
	l.pos = start + 2 + end + 1
	return token{kind, start, l.src[start+2 : start+2+end]}, nil
}

// number reads an integer or float as the grammar has them: no exponent, no
// needless leading zeros before an integer.
func (l *lexer) number() (token, *Error) {
	start := l.pos
	if c := l.src[l.pos]; c == '+' || c == '-' {
		l.pos++
	}
	first := l.pos
	l.digits()
	whole := l.pos - first
	isFloat := false
	if l.pos+1 < len(l.src) && l.src[l.pos] == '.' && digit(l.src[l.pos+1]) {
		isFloat = true
		l.pos++
		l.digits()
	}
	text := l.src[start:l.pos]
	switch {
	case whole == 0 && !isFloat:
		return token{}, fail(start, "sign without a number")
	case !isFloat && whole > 1 && l.src[first] == '0':
		return token{}, fail(start, "integer with a leading zero")
	case l.pos < len(l.src) && nameStart(l.src[l.pos]):
		return token{}, fail(l.pos, "letter in a number")
	}
	return token{tokNumber, start, text}, nil
}

func (l *lexer) digits() {
	for l.pos < len(l.src) && digit(l.src[l.pos]) {
		l.pos++
	}
}
