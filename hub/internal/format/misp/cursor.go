package misp

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// cursor reads one JSON value that is in memory, strictly, member by member. The
// first mistake stays in err and ends every loop.
type cursor struct {
	b   []byte
	i   int
	err error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
	c.i = len(c.b)
}

// peek gives the next byte that is no white space, 0 at the end.
func (c *cursor) peek() byte {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\r', '\n':
			c.i++
		default:
			return c.b[c.i]
		}
	}
	return 0
}

// open enters an array or object; false, and the value passed over, when it is
// something else.
func (c *cursor) open(bracket byte) bool {
	if c.peek() == bracket {
		c.i++
		return true
	}
	c.skip()
	return false
}

// more moves to the next element or member; first must be true before the first.
func (c *cursor) more(end byte, first *bool) bool {
	b := c.peek()
	switch {
	case c.err != nil:
		return false
	case b == end:
		c.i++
		return false
	case *first:
		*first = false
	case b != ',':
		c.fail("a comma is missing at byte %d", c.i)
		return false
	default:
		c.i++
		if c.peek() == end {
			c.fail("nothing follows the comma at byte %d", c.i-1)
			return false
		}
	}
	return c.err == nil && c.i < len(c.b)
}

// key reads the name of a member. It holds until the next call of text or key.
func (c *cursor) key() []byte {
	if c.peek() != '"' {
		c.fail("the name of a member is missing at byte %d", c.i)
		return nil
	}
	k := c.text()
	if c.peek() != ':' {
		c.fail("a colon is missing at byte %d", c.i)
		return nil
	}
	c.i++
	return k
}

// text reads a string, number, true or false as text, and null as nothing.
// Objects and arrays are passed over and are nothing too.
func (c *cursor) text() []byte {
	switch b := c.peek(); {
	case b == '"':
		return c.quoted()
	case b == '{' || b == '[':
		c.skip()
		return nil
	}
	begin := c.i
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ',', '}', ']', ' ', '\t', '\r', '\n', ':', '"', '{', '[':
			return c.word(c.b[begin:c.i])
		}
		c.i++
	}
	return c.word(c.b[begin:c.i])
}

func (c *cursor) word(w []byte) []byte {
	switch {
	case string(w) == "null":
		return nil
	case string(w) == "true" || string(w) == "false":
		return w
	case len(w) > 0 && (w[0] == '-' || w[0] >= '0' && w[0] <= '9') && json.Valid(w):
		return w
	}
	c.fail("neither a string nor a number nor a word of JSON at byte %d", c.i)
	return nil
}

func (c *cursor) quoted() []byte {
	begin := c.i
	for c.i++; c.i < len(c.b); c.i++ {
		switch b := c.b[c.i]; {
		case b == '"':
			c.i++
			return c.b[begin+1 : c.i-1]
		case b == '\\':
			return c.escaped(begin)
		case b < ' ':
			c.fail("a string holds a control character at byte %d", c.i)
			return nil
		}
	}
	c.fail("a string is not closed")
	return nil
}

// escaped reads a string that has escapes, the slow way.
func (c *cursor) escaped(begin int) []byte {
	p := shape{}
	n, done, err := p.feed(c.b[begin:])
	if err != nil || !done {
		c.fail("a string is not closed")
		return nil
	}
	c.i = begin + n
	var s string
	err = json.Unmarshal(c.b[begin:c.i], &s)
	if err != nil || !utf8.ValidString(s) {
		c.fail("a string with an escape that JSON does not have")
		return nil
	}
	return []byte(s)
}

// skip reads over one value.
func (c *cursor) skip() {
	if c.peek() == 0 {
		c.fail("a value is missing")
		return
	}
	p := shape{}
	n, done, err := p.feed(c.b[c.i:])
	if err != nil || !done && (p.depth > 0 || p.quoted || !p.begun) {
		c.fail("a value is not closed at byte %d", c.i)
		return
	}
	if n == 0 {
		c.fail("a value is missing at byte %d", c.i)
		return
	}
	c.i += n
}
