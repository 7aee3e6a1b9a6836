package misp

import (
	"errors"
	"io"
)

// maxDepth bounds how deep values may be nested. MISP's own exports stay below 12.
const maxDepth = 200

var (
	errDepth  = errors.New("values are nested too deeply")
	errShape  = errors.New("not JSON")
	errAhead  = errors.New("too long to look ahead")
	errString = errors.New("a string was expected")
)

// shape finds the end of one JSON value without holding it, across as many
// portions as it comes in. It checks brackets and quotes only: what matters is
// read again by a cursor.
type shape struct {
	depth       int
	kinds       [maxDepth]byte
	quoted, esc bool
	begun       bool
	lines       int64
}

// feed takes the next bytes and says how many of them belong to the value, and
// whether it is complete.
func (p *shape) feed(b []byte) (n int, done bool, err error) {
	for n < len(b) {
		if p.quoted {
			for n < len(b) && p.quoted {
				switch c := b[n]; {
				case p.esc:
					p.esc = false
				case c == '"':
					p.quoted = false
				case c == '\\':
					p.esc = true
				case c == '\n':
					p.lines++
				}
				n++
			}
			if !p.quoted && p.depth == 0 {
				return n, true, nil
			}
			continue
		}
		switch c := b[n]; c {
		case '"':
			if p.depth == 0 && p.begun {
				return n, false, errShape
			}
			p.quoted = true
		case '{', '[':
			if p.depth == 0 && p.begun {
				return n, false, errShape
			}
			if p.depth == maxDepth {
				return n, false, errDepth
			}
			p.kinds[p.depth] = c + 2 // '}' and ']'
			p.depth++
		case '}', ']':
			if p.depth == 0 {
				if p.begun {
					return n, true, nil // it ends a number before it
				}
				return n, false, errShape
			}
			p.depth--
			if p.kinds[p.depth] != c {
				return n, false, errShape
			}
			if p.depth == 0 {
				return n + 1, true, nil
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if p.depth == 0 {
				if p.begun {
					return n, true, nil
				}
				return n, false, errShape
			}
			if c == '\n' {
				p.lines++
			}
		}
		p.begun = true
		n++
	}
	return n, false, nil
}

// scanner walks through JSON of any length and holds no more than the value that
// it was asked for.
type scanner struct {
	r      io.Reader
	seeker io.Seeker // nil when the input cannot go back
	start  int64     // where the seeker stood at first

	buf      []byte
	pos, end int   // what of buf is not yet used
	base     int64 // offset of buf[0] in the input
	line     int64
	hold     int // what of buf must be kept for a value, -1: nothing
	pin      int // what of buf must be kept to go back to, -1: nothing
	ahead    int // the most bytes behind pin
	err      error
}

// place is where a scanner may go back to.
type place struct{ offset, line int64 }

func newScanner(r io.Reader) *scanner {
	s := &scanner{r: r, buf: make([]byte, 128<<10), line: 1, hold: -1, pin: -1, ahead: blindAhead}
	seeker, ok := r.(io.Seeker)
	if ok {
		at, err := seeker.Seek(0, io.SeekCurrent)
		if err == nil { // a pipe is an *os.File too
			s.seeker, s.start, s.ahead = seeker, at, seekAhead
		}
	}
	return s
}

// How far one can look ahead in memory. Beyond seekAhead the input is read
// twice; an event beyond blindAhead in an input that cannot go back is refused.
const (
	seekAhead  = 256 << 10
	blindAhead = 4 << 20
)

// fill reads more. At the end the error is io.EOF.
func (s *scanner) fill() error {
	if s.err != nil {
		return s.err
	}
	if s.pin >= 0 && s.end-s.pin > s.ahead {
		s.pin = -1
		if s.seeker == nil {
			return errAhead
		}
	}
	if s.end == len(s.buf) {
		keep := s.pos
		if s.hold >= 0 {
			keep = s.hold
		}
		if s.pin >= 0 {
			keep = min(keep, s.pin)
		}
		if keep > 0 {
			s.shift(keep)
		} else {
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
		}
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		if err != nil {
			s.err = err
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	s.err = io.ErrNoProgress
	return s.err
}

func (s *scanner) shift(n int) {
	copy(s.buf, s.buf[n:s.end])
	s.base += int64(n)
	s.pos, s.end = s.pos-n, s.end-n
	if s.hold >= 0 {
		s.hold -= n
	}
	if s.pin >= 0 {
		s.pin -= n
	}
}

// here remembers the place, and keeps what follows in memory as far as it may.
func (s *scanner) here() place {
	s.pin = s.pos
	return place{s.base + int64(s.pos), s.line}
}

// back goes back to a place that here gave.
func (s *scanner) back(p place) error {
	if s.seeker == nil && s.base+int64(s.pos)-p.offset > int64(s.ahead) {
		return errAhead // whatever portions it came in
	}
	s.line = p.line
	if s.pin >= 0 && p.offset >= s.base {
		s.pos, s.pin = int(p.offset-s.base), -1
		return nil
	}
	s.pin = -1
	if s.seeker == nil {
		return errAhead
	}
	_, err := s.seeker.Seek(s.start+p.offset, io.SeekStart)
	if err != nil {
		s.err = err
		return err
	}
	s.pos, s.end, s.base, s.err = 0, 0, p.offset, nil
	return nil
}

// peek gives the next byte that is no white space.
func (s *scanner) peek() (byte, error) {
	for {
		for s.pos < s.end {
			switch c := s.buf[s.pos]; c {
			case '\n':
				s.line++
				s.pos++
			case ' ', '\t', '\r':
				s.pos++
			default:
				return c, nil
			}
		}
		err := s.fill()
		if err != nil {
			return 0, err
		}
	}
}

// more moves to the next element of an array, or member of an object, that ends
// with end. It is false behind the last one.
func (s *scanner) more(end byte, first *bool) (bool, error) {
	c, err := s.peek()
	switch {
	case err != nil:
		return false, err
	case c == end:
		s.pos++
		return false, nil
	case *first:
		*first = false
		return true, nil
	case c != ',':
		return false, errShape
	}
	s.pos++
	c, err = s.peek()
	if err == nil && c == end {
		err = errShape
	}
	return true, err
}

// key reads the name of a member and the colon behind it.
func (s *scanner) key(limit int) (string, error) {
	c, err := s.peek()
	if err == nil && c != '"' {
		err = errString
	}
	if err != nil {
		return "", err
	}
	raw, long, err := s.value(limit)
	if err != nil {
		return "", err
	}
	name := ""
	if !long {
		k := cursor{b: raw}
		name = string(k.text())
		if k.err != nil {
			return "", k.err
		}
	}
	c, err = s.peek()
	if err == nil && c != ':' {
		err = errShape
	}
	if err != nil {
		return "", err
	}
	s.pos++
	_, err = s.peek()
	return name, err
}

// value reads over one value and gives its bytes, which hold until the scanner
// moves. A value longer than limit is read over all the same; then long is set
// and what is given is its beginning.
func (s *scanner) value(limit int) (raw []byte, long bool, err error) {
	_, err = s.peek()
	if err != nil {
		return nil, false, err
	}
	s.hold = s.pos
	defer func() { s.hold = -1 }()
	var p shape
	var head []byte
	for {
		n, done, err := p.feed(s.buf[s.pos:s.end])
		s.pos += n
		if err != nil {
			return nil, false, err
		}
		if s.hold >= 0 && s.pos-s.hold > limit {
			head = append(head, s.buf[s.hold:min(s.hold+maxHead, s.pos)]...)
			s.hold = -1
		}
		if done {
			break
		}
		err = s.fill()
		if errors.Is(err, io.EOF) && p.begun && p.depth == 0 && !p.quoted {
			break // a number or word at the end of the input
		}
		if err != nil {
			return nil, false, err
		}
	}
	s.line += p.lines
	if s.hold < 0 {
		return head, true, nil
	}
	return s.buf[s.hold:s.pos], false, nil
}

// maxHead is how much is kept of what is too long.
const maxHead = 4 << 10

// skip reads over one value.
func (s *scanner) skip() error {
	_, _, err := s.value(0)
	return err
}
