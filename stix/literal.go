package stix

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Constants to look at eight bytes at once.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain gives the position of the first quote, backslash or control character
// from p on, or the end.
func plain(b []byte, p int) int {
	for p+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[p:])
		q, s := w^ones*'"', w^ones*'\\'
		// A byte's high bit is set where it is below 0x20, or zero after the
		// exclusive or. Bits above the lowest may be wrong, the lowest is right.
		m := ((w-ones*' ')&^w | (q-ones)&^q | (s-ones)&^s) & highs
		if m != 0 {
			return p + bits.TrailingZeros64(m)>>3
		}
		p += 8
	}
	for p < len(b) && b[p] != '"' && b[p] != '\\' && b[p] >= ' ' {
		p++
	}
	return p
}

func (s *scanner) str() error {
	s.pos++
	from := s.pos
	escaped := false
	for {
		s.pos = plain(s.src, s.pos)
		if s.pos == len(s.src) {
			return errOpen
		}
		c := s.src[s.pos]
		if c == '"' {
			break
		}
		s.pos++
		if c != '\\' {
			return errControl
		}
		escaped = true
		err := s.escape()
		if err != nil {
			return err
		}
	}
	s.nodes = append(s.nodes, node{off: uint32(from), end: uint32(s.pos), next: uint32(len(s.nodes) + 1), kind: String, escaped: escaped}) //nolint:gosec // at most maxText
	s.pos++
	return nil
}

// escape passes over what follows a backslash.
func (s *scanner) escape() error {
	c := s.peek()
	s.pos++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		r, ok := s.hex4()
		if !ok {
			return errHex
		}
		if !utf16.IsSurrogate(r) {
			return nil
		}
		if s.pos+1 < len(s.src) && s.src[s.pos] == '\\' && s.src[s.pos+1] == 'u' {
			s.pos += 2
			low, ok := s.hex4()
			if ok && utf16.DecodeRune(r, low) != utf8.RuneError {
				return nil
			}
		}
		return errSurrogate
	default:
		return errEscape
	}
}

func (s *scanner) hex4() (rune, bool) {
	if s.pos+4 > len(s.src) {
		return 0, false
	}
	r, ok := hex4(string(s.src[s.pos : s.pos+4]))
	s.pos += 4
	return r, ok
}

func hex4(text string) (r rune, ok bool) {
	for i := range 4 {
		d := hexDigit(text[i])
		if d > 15 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// hexDigit gives the value of a hexadecimal digit, 255 for other bytes.
func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// unescape decodes the inside of a string that was found good.
func unescape(text string) string {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		i++
		switch c := text[i]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hex4(text[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex4(text[i+3:])
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func (s *scanner) number() error {
	from := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	first := s.pos
	ok := s.digits() && (s.src[first] != '0' || s.pos == first+1)
	if s.peek() == '.' {
		s.pos++
		ok = s.digits() && ok
	}
	exponent := false
	if c := s.peek(); c == 'e' || c == 'E' {
		exponent = true
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		ok = s.digits() && ok
	}
	if !ok {
		return errNumber
	}
	n := s.pos - from
	if exponent || n > 300 { // without one, 300 digits stay below the largest double
		_, err := float(string(s.src[from:s.pos]))
		if err != nil {
			return err
		}
	}
	s.pos = from
	s.scalar(Number, n)
	return nil
}

func (s *scanner) digits() bool {
	from := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > from
}

func float(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, errRange
	}
	return f, nil
}
