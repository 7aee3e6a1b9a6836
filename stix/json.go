package stix

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// number keeps a JSON number as written.
type number string

// ErrUTF8 is the cause of an error for an object that is not UTF-8.
var ErrUTF8 = errors.New("not valid UTF-8")

// SyntaxError says that something is not JSON, or not as strict as STIX wants it.
type SyntaxError struct {
	Offset int // in what was parsed, in bytes
	Err    error
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %v", e.Offset, e.Err) }

// Unwrap gives the cause.
func (e *SyntaxError) Unwrap() error { return e.Err }

// errDepth is returned for values nested deeper than allowed.
var errDepth = errors.New("nested too deeply")

// parseJSON reads one strict JSON value: map[string]any, []any, string, number,
// bool or nil.
func parseJSON(b []byte, depth int) (any, error) {
	if !utf8.Valid(b) {
		return nil, ErrUTF8
	}
	p := &jsonParser{src: b}
	v, err := p.value(depth)
	if err != nil {
		return nil, &SyntaxError{Offset: p.pos, Err: err}
	}
	p.space()
	if p.pos != len(b) {
		return nil, &SyntaxError{Offset: p.pos, Err: errors.New("data after the value")}
	}
	return v, nil
}

type jsonParser struct {
	src []byte
	pos int
}

func (p *jsonParser) space() {
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// peek gives the next byte, 0 at the end.
func (p *jsonParser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

var errValue = errors.New("not a JSON value")

func (p *jsonParser) value(depth int) (any, error) {
	p.space()
	switch c := p.peek(); {
	case c == '{' || c == '[':
		if depth == 0 {
			return nil, errDepth
		}
		if c == '{' {
			return p.object(depth - 1)
		}
		return p.array(depth - 1)
	case c == '"':
		return p.str()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, w := range words {
		if bytes.HasPrefix(p.src[p.pos:], w.text) {
			p.pos += len(w.text)
			return w.value, nil
		}
	}
	return nil, errValue
}

var words = []struct {
	text  []byte
	value any
}{{[]byte("true"), true}, {[]byte("false"), false}, {[]byte("null"), nil}}

func (p *jsonParser) object(depth int) (any, error) {
	out := make(map[string]any)
	p.pos++
	for {
		p.space()
		if p.peek() == '}' && len(out) == 0 {
			break
		}
		if p.peek() != '"' {
			return nil, errors.New("want a name in double quotes")
		}
		name, err := p.str()
		if err != nil {
			return nil, err
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("name %q twice in one object", clip(name))
		}
		p.space()
		if p.peek() != ':' {
			return nil, errors.New("want a colon")
		}
		p.pos++
		out[name], err = p.value(depth)
		if err != nil {
			return nil, err
		}
		p.space()
		if p.peek() != ',' {
			break
		}
		p.pos++
	}
	if p.peek() != '}' {
		return nil, errors.New("want a comma or a closing brace")
	}
	p.pos++
	return out, nil
}

func (p *jsonParser) array(depth int) (any, error) {
	out := []any{}
	p.pos++
	for {
		p.space()
		if p.peek() == ']' && len(out) == 0 {
			break
		}
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		p.space()
		if p.peek() != ',' {
			break
		}
		p.pos++
	}
	if p.peek() != ']' {
		return nil, errors.New("want a comma or a closing bracket")
	}
	p.pos++
	return out, nil
}

func (p *jsonParser) str() (string, error) {
	p.pos++
	from := p.pos
	for p.pos < len(p.src) && p.src[p.pos] != '"' && p.src[p.pos] != '\\' && p.src[p.pos] >= ' ' {
		p.pos++
	}
	if p.peek() == '"' {
		p.pos++
		return string(p.src[from : p.pos-1]), nil
	}
	out := append([]byte(nil), p.src[from:p.pos]...)
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		p.pos++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", errors.New("control character in a string")
		case c != '\\':
			out = append(out, c)
		default:
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		}
	}
	return "", errors.New("string without its end")
}

// escape reads what follows a backslash.
func (p *jsonParser) escape() (rune, error) {
	c := p.peek()
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, ok := p.hex4()
		if !ok {
			return 0, errors.New(`\u without four hexadecimal digits`)
		}
		if !utf16.IsSurrogate(r) {
			return r, nil
		}
		if p.pos+1 < len(p.src) && p.src[p.pos] == '\\' && p.src[p.pos+1] == 'u' {
			p.pos += 2
			low, ok := p.hex4()
			if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
				return r, nil
			}
		}
		return 0, errors.New("lone surrogate in a string")
	default:
		return 0, errors.New("unknown escape in a string")
	}
}

func (p *jsonParser) hex4() (rune, bool) {
	if p.pos+4 > len(p.src) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.src[p.pos:p.pos+4]), 16, 16)
	p.pos += 4
	return rune(n), err == nil
}

func (p *jsonParser) number() (any, error) {
	from := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	first := p.pos
	ok := p.digits() && (p.src[first] != '0' || p.pos == first+1)
	if p.peek() == '.' {
		p.pos++
		ok = p.digits() && ok
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		ok = p.digits() && ok
	}
	if !ok {
		return nil, errors.New("not a JSON number")
	}
	n := number(p.src[from:p.pos])
	_, err := n.float()
	return n, err
}

func (p *jsonParser) digits() bool {
	from := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos > from
}

func (n number) float() (float64, error) {
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, errors.New("number outside the range of a double")
	}
	return f, nil
}

// integer gives n if it is a whole number that a double holds exactly.
func (n number) integer() (int64, bool) {
	f, err := n.float()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53-1 {
		return 0, false
	}
	return int64(f), true
}

// clip keeps messages short.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
