package stix

import (
	"errors"
	"fmt"
	"io"
)

// read gives the next byte; a truncated input is io.ErrUnexpectedEOF.
func (r *Reader) read() (byte, error) {
	c, err := r.in.ReadByte()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	r.off++
	if r.keeping && len(r.head) <= r.lim.Object {
		r.head = append(r.head, c)
	}
	return c, nil
}

// space gives the next byte that is not white space.
func (r *Reader) space() (byte, error) {
	for {
		c, err := r.read()
		if err != nil || !isSpace(c) {
			return c, err
		}
	}
}

// short reads a value of the outermost object and gives it if it is a string of
// ordinary length, "" otherwise.
func (r *Reader) short(c byte) (string, error) {
	b, whole, err := r.value(c, 4096)
	if err != nil || !whole || c != '"' {
		return "", err
	}
	v, err := parseJSON(b, 1)
	if err != nil {
		return "", err
	}
	return v.(string), nil
}

// value reads to the end of a value whose first byte is c, by quotes and
// brackets alone. It keeps up to limit bytes, in a buffer that the next call
// overwrites; whole says that it kept all.
func (r *Reader) value(c byte, limit int) (b []byte, whole bool, err error) {
	r.buf = r.buf[:0]
	whole = true
	keep := func(c byte) {
		if len(r.buf) < limit {
			r.buf = append(r.buf, c)
		} else {
			whole = false
		}
	}
	var open []byte
	quoted, escaped := false, false
	for {
		keep(c)
		switch {
		case quoted && escaped:
			escaped = false
			quoted = c != '\n'
		case quoted:
			escaped = c == '\\'
			quoted = c != '"' && c != '\n' // no string holds one: an open quote spoils its line, not all
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			if len(open) == maxNesting {
				return nil, false, fmt.Errorf("values nested deeper than %d", maxNesting)
			}
			open = append(open, c+2) // the closing one in ASCII
		case c == '}' || c == ']':
			if len(open) == 0 || open[len(open)-1] != c {
				return nil, false, fmt.Errorf("brackets do not match: %q", c)
			}
			open = open[:len(open)-1]
		}
		if len(open) == 0 && !quoted {
			if c == '"' || c == '}' || c == ']' {
				return r.buf, whole, nil
			}
			p, err := r.in.Peek(1) // a word or a number ends before what is not part of it
			if err == nil && (p[0] == ',' || p[0] == ']' || p[0] == '}' || isSpace(p[0])) {
				return r.buf, whole, nil
			}
		}
		c, err = r.read()
		if err != nil {
			return nil, false, err
		}
	}
}
