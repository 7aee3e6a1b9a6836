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
	if c == '\n' {
		r.line++
	}
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
	err = r.scan.whole(b, 1)
	if err != nil {
		return "", err
	}
	return r.scan.decode(0), nil
}

// value reads to the end of a value whose first byte is c, by quotes and the
// number of brackets alone: whether they match is for the parser, so that a
// wrong one spoils one object. It keeps up to limit bytes, in a buffer that the
// next call overwrites; whole says that it kept all.
func (r *Reader) value(c byte, limit int) (b []byte, whole bool, err error) {
	r.buf = r.buf[:0]
	whole = true
	open := 0 // brackets
	quoted, escaped := false, false
	for {
		if len(r.buf) < limit {
			r.buf = append(r.buf, c)
		} else {
			whole = false
		}
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
			if open == maxNesting {
				return nil, false, fmt.Errorf("values nested deeper than %d", maxNesting)
			}
			open++
		case c == '}' || c == ']':
			if open == 0 {
				return nil, false, fmt.Errorf("brackets do not match: %q", c)
			}
			open--
		}
		if open == 0 && !quoted {
			if c == '"' || c == '}' || c == ']' {
				return r.buf, whole, nil
			}
			p, err := r.in.Peek(1) // a word or a number ends before what is not part of it
			if err == nil && (p[0] == ',' || p[0] == ']' || p[0] == '}' || isSpace(p[0])) {
				return r.buf, whole, nil
			}
		}
		if quoted && !escaped {
			whole = r.plain(limit) && whole
		}
		c, err = r.read()
		if err != nil {
			return nil, false, err
		}
	}
}

// plain passes over those buffered bytes of a string that mean nothing else, and
// keeps them up to the limit.
func (r *Reader) plain(limit int) (whole bool) {
	window, _ := r.in.Peek(r.in.Buffered())
	n := 0
	for n < len(window) && window[n] != '"' && window[n] != '\\' && window[n] != '\n' {
		n++
	}
	room := min(n, limit-len(r.buf))
	r.buf = append(r.buf, window[:room]...)
	if r.keeping {
		r.head = append(r.head, window[:max(0, min(n, r.lim.Object+1-len(r.head)))]...)
	}
	r.off += int64(n)
	_, _ = r.in.Discard(n)
	return room == n
}
