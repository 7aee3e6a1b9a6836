package stix

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// node is one value or name of a JSON text. A text is read once, strictly, into
// a row of nodes that only say where things are; strings and numbers are decoded
// when somebody asks for them. A name stands before its value, and what is
// within a value stands behind it.
type node struct {
	off, end uint32 // its bytes; of strings without the quotes
	next     uint32 // the first node after the value and all within it
	kind     Kind
	escaped  bool // a string with a backslash in it
}

// maxText is what fits into the offsets of a node.
const maxText = math.MaxInt32

// SyntaxError says that something is not JSON, or not as strict as STIX wants it.
type SyntaxError struct {
	Offset int // in what was parsed, in bytes
	Err    error
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %v", e.Offset, e.Err) }

// Unwrap gives the cause.
func (e *SyntaxError) Unwrap() error { return e.Err }

// ErrUTF8 is the cause of an error for an object that is not UTF-8.
var ErrUTF8 = errors.New("not valid UTF-8")

// What is not strict JSON.
var (
	errDepth     = errors.New("nested too deeply")
	errValue     = errors.New("not a JSON value")
	errName      = errors.New("want a name in double quotes")
	errColon     = errors.New("want a colon")
	errBrace     = errors.New("want a comma or a closing brace")
	errBracket   = errors.New("want a comma or a closing bracket")
	errControl   = errors.New("control character in a string")
	errOpen      = errors.New("string without its end")
	errHex       = errors.New(`\u without four hexadecimal digits`)
	errSurrogate = errors.New("lone surrogate in a string")
	errEscape    = errors.New("unknown escape in a string")
	errNumber    = errors.New("not a JSON number")
	errRange     = errors.New("number outside the range of a double")
	errTrailing  = errors.New("data after the value")
)

// scanner finds the nodes of a JSON text. Its row of nodes is used again by the
// next scan.
type scanner struct {
	src   []byte
	pos   int
	nodes []node
}

// manyNodes is how long a row may be to be used again, or to be copied.
const manyNodes = 1 << 14

// whole reads a text that is one value and nothing else.
func (s *scanner) whole(src []byte, depth int) error {
	if len(src) > maxText {
		return ErrTooBig
	}
	if !utf8.Valid(src) {
		return ErrUTF8
	}
	err := s.first(src, depth)
	if err != nil {
		return &SyntaxError{Offset: s.pos, Err: err}
	}
	s.space()
	if s.pos != len(src) {
		return &SyntaxError{Offset: s.pos, Err: errTrailing}
	}
	return nil
}

// first reads the value at the beginning of src, and leaves pos behind it. It
// does not ask whether it is UTF-8.
func (s *scanner) first(src []byte, depth int) error {
	if cap(s.nodes) > manyNodes {
		s.nodes = nil
	}
	s.src, s.pos, s.nodes = src, 0, s.nodes[:0]
	return s.value(depth)
}

func (s *scanner) space() {
	p := s.pos
	for p < len(s.src) && isSpace(s.src[p]) {
		p++
	}
	s.pos = p
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// peek gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) value(depth int) error {
	c := s.peek()
	if isSpace(c) {
		s.space()
		c = s.peek()
	}
	switch {
	case c == '"':
		return s.str()
	case c == '{' || c == '[':
		if depth == 0 {
			return errDepth
		}
		if c == '{' {
			return s.object(depth - 1)
		}
		return s.array(depth - 1)
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't' && s.word("true"):
		s.scalar(Bool, 4)
	case c == 'f' && s.word("false"):
		s.scalar(Bool, 5)
	case c == 'n' && s.word("null"):
		s.scalar(Null, 4)
	default:
		return errValue
	}
	return nil
}

func (s *scanner) word(w string) bool {
	return len(s.src)-s.pos >= len(w) && string(s.src[s.pos:s.pos+len(w)]) == w
}

func (s *scanner) scalar(k Kind, n int) {
	s.nodes = append(s.nodes, node{off: uint32(s.pos), end: uint32(s.pos + n), next: uint32(len(s.nodes) + 1), kind: k}) //nolint:gosec // at most maxText
	s.pos += n
}

func (s *scanner) object(depth int) error {
	at := len(s.nodes)
	s.scalar(Members, 1) // its end comes when it is known
	seen := names{first: len(s.nodes)}
	for {
		s.space()
		c := s.peek()
		if c == '}' && seen.count == 0 {
			break
		}
		if c != '"' {
			return errName
		}
		name := len(s.nodes)
		err := s.str()
		if err != nil {
			return err
		}
		if s.twice(&seen, name) {
			return fmt.Errorf("name %q twice in one object", clip(s.decode(name)))
		}
		if s.peek() != ':' {
			s.space()
			if s.peek() != ':' {
				return errColon
			}
		}
		s.pos++
		err = s.value(depth)
		if err != nil {
			return err
		}
		s.nodes[name].next = uint32(len(s.nodes)) //nolint:gosec // at most maxText
		s.space()
		if s.peek() != ',' {
			break
		}
		s.pos++
	}
	if s.peek() != '}' {
		return errBrace
	}
	s.close(at)
	return nil
}

func (s *scanner) array(depth int) error {
	at := len(s.nodes)
	s.scalar(Items, 1)
	for {
		s.space()
		if s.peek() == ']' && len(s.nodes) == at+1 {
			break
		}
		err := s.value(depth)
		if err != nil {
			return err
		}
		s.space()
		if s.peek() != ',' {
			break
		}
		s.pos++
	}
	if s.peek() != ']' {
		return errBracket
	}
	s.close(at)
	return nil
}

func (s *scanner) close(at int) {
	s.pos++
	s.nodes[at].end = uint32(s.pos)         //nolint:gosec // at most maxText
	s.nodes[at].next = uint32(len(s.nodes)) //nolint:gosec // at most maxText
}

// names finds a name that comes twice in one object: a filter of 64 bits and a
// walk for the few, a map for the many, so that no object costs a square.
type names struct {
	first  int // node of the first name
	count  int
	filter uint64
	many   map[string]struct{}
}

// few is how many names are compared one by one.
const few = 32

func (s *scanner) twice(n *names, at int) bool {
	n.count++
	if n.count > few {
		return s.twiceOfMany(n, at)
	}
	x := s.nodes[at]
	h := uint64(x.end - x.off)
	if x.escaped {
		n.filter = math.MaxUint64 // it may be any other in disguise
	} else if h > 0 {
		h += uint64(s.src[x.off])*7 + uint64(s.src[x.end-1])*13
	}
	bit := uint64(1) << (h & 63)
	if n.filter&bit == 0 {
		n.filter |= bit
		return false
	}
	for i := n.first; i < at; i = int(s.nodes[i].next) {
		if s.same(i, at) {
			return true
		}
	}
	return false
}

func (s *scanner) twiceOfMany(n *names, at int) bool {
	if n.many == nil {
		n.many = make(map[string]struct{}, 2*few)
		for i := n.first; i < at; i = int(s.nodes[i].next) {
			n.many[s.decode(i)] = struct{}{}
		}
	}
	name := s.decode(at)
	_, twice := n.many[name]
	n.many[name] = struct{}{}
	return twice
}

func (s *scanner) same(i, j int) bool {
	a, b := s.nodes[i], s.nodes[j]
	if a.escaped || b.escaped {
		return s.decode(i) == s.decode(j)
	}
	return string(s.src[a.off:a.end]) == string(s.src[b.off:b.end])
}

// decode gives a string that was scanned.
func (s *scanner) decode(i int) string {
	x := s.nodes[i]
	text := string(s.src[x.off:x.end])
	if x.escaped {
		text = unescape(text)
	}
	return text
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
