package personal

import "strings"

// Limit is how much of a text is searched, in bytes; intake refuses longer ones.
// What is longer gets an element of kind [Unread].
const Limit = 64 << 10

// class says which rules a byte may matter to.
type class uint8

const (
	isDigit class = 1 << iota
	isLetter
	isAt    // may be part of the sign in a mail address, also a defanged one
	isSlash // begins paths
	isColon // separates the parts of a MAC address and of a URL
	isUpper
	isMinus
	isWide // first or later byte of what is not ASCII
)

var classes = func() (t [256]class) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = isDigit
		case c >= 'a' && c <= 'z':
			t[c] = isLetter
		case c >= 'A' && c <= 'Z':
			t[c] = isLetter | isUpper
		case c >= 0x80:
			t[c] = isWide
		}
	}
	for _, c := range "@%([{" {
		t[c] = isAt
	}
	t['/'], t['\\'], t[':'], t['-'] = isSlash, isSlash, isColon, isMinus
	return t
}()

func digit(c byte) bool  { return classes[c]&isDigit != 0 }
func letter(c byte) bool { return classes[c]&isLetter != 0 }
func alnum(c byte) bool  { return classes[c]&(isDigit|isLetter) != 0 }

// Find searches one text and gives what it found in the order of the text.
// Elements may overlap: a mail address and the name in it are two.
func Find(field, text string) []Element {
	if text == "" {
		return nil
	}
	f := finder{field: field, s: text}
	if len(text) > Limit {
		f.add(Limit, len(text), Unread, "longer than what is searched")
		f.s = text[:Limit]
	}
	f.text()
	return sorted(f.found)
}

// finder collects what the rules find in one text.
type finder struct {
	field string
	s     string
	value bool // s is the indicator itself, not a text about it
	found []Element
}

func (f *finder) add(start, end int, k Kind, why string) {
	f.found = append(f.found, Element{f.field, start, end, k, why})
}

// text counts once which bytes there are, and runs the rules that they allow.
func (f *finder) text() {
	var all class
	digits, hexish := 0, 0
	for i := range len(f.s) {
		c := classes[f.s[i]]
		all |= c
		digits += int(c & isDigit)
		if c&(isColon|isMinus) != 0 || f.s[i] == '.' {
			hexish++
		}
	}
	if all&isAt != 0 || strings.IndexByte(f.s, '@') >= 0 {
		f.mails()
	}
	if digits >= 6 {
		f.numbers()
	}
	if hexish >= 2 {
		f.devices()
	}
	if digits >= 4 && hexish >= 2 || all&isWide != 0 {
		f.positions()
	}
	if all&isSlash != 0 {
		f.paths()
		if all&isColon != 0 {
			f.urls()
		}
	}
	if all&(isUpper|isWide|isColon) != 0 {
		f.names()
	}
}
