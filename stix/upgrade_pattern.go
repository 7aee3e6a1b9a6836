package stix

import (
	"fmt"
	"strings"
)

// refTypes are the types that references in paths of patterns lead to.
var refTypes = map[string]string{
	"image_ref": "file", "content_ref": "artifact", "contains_refs": "file", "parent_directory_ref": "directory",
	"parent_ref": "process", "child_refs": "process", "creator_user_ref": "user-account", "belongs_to_ref": "user-account",
	"opened_connection_refs": "network-traffic", "service_dll_refs": "file",
}

// UpgradePattern writes a pattern of STIX 2.0 as one of 2.1: the times of START
// and STOP, which may have been strings, become timestamps, and properties and
// hashes get their names of today, also behind references whose type is known.
// All else stays byte for byte. It does not ask whether the pattern is good;
// errors are quotes and brackets without their end, and times that are none.
func UpgradePattern(text string) (string, error) {
	p := &oldPattern{text: text}
	for p.at < len(p.text) {
		err := p.step()
		if err != nil {
			return "", fmt.Errorf("pattern: byte %d: %w", p.at, err)
		}
	}
	if p.within {
		return "", fmt.Errorf("pattern: byte %d: bracket without its end", p.at)
	}
	return p.out.String(), nil
}

// oldPattern walks over a pattern; out has what is before at.
type oldPattern struct {
	text   string
	at     int
	out    strings.Builder
	within bool   // the brackets of an observation
	word   string // the last one, outside of brackets
}

func (p *oldPattern) copy(n int) {
	p.out.WriteString(p.text[p.at : p.at+n])
	p.at += n
}

func (p *oldPattern) step() error {
	switch c := p.text[p.at]; {
	case c == '\'':
		n, err := quoted(p.text[p.at:])
		if err != nil {
			return err
		}
		if !p.within && (p.word == "START" || p.word == "STOP") {
			_, err = ParseTime(p.text[p.at+1 : p.at+n-1])
			if err != nil {
				return err
			}
			p.out.WriteByte('t')
		}
		p.copy(n)
	case c == '[' || c == ']':
		p.within = c == '['
		p.copy(1)
	case wordByte(c):
		n := 1
		for p.at+n < len(p.text) && wordByte(p.text[p.at+n]) {
			n++
		}
		p.word = p.text[p.at : p.at+n]
		p.copy(n)
		if p.within && p.at < len(p.text) && p.text[p.at] == ':' {
			p.copy(1)
			return p.path(p.word)
		}
	default:
		p.copy(1)
	}
	return nil
}

// path writes what follows the type in a path.
func (p *oldPattern) path(typ string) error {
	hashes := false
	for p.at < len(p.text) {
		c := p.text[p.at]
		n := 0
		var err error
		switch {
		case c == '.':
			p.copy(1)
			continue
		case c == '[':
			n = strings.IndexByte(p.text[p.at:], ']') + 1
			if n == 0 {
				return errBracket
			}
			p.copy(n)
			continue
		case c == '\'':
			n, err = quoted(p.text[p.at:])
			if err != nil {
				return err
			}
		case wordByte(c):
			for p.at+n < len(p.text) && wordByte(p.text[p.at+n]) {
				n++
			}
		default:
			return nil
		}
		step := p.text[p.at : p.at+n]
		if c == '\'' {
			step = step[1 : n-1]
		}
		now := step
		if to, ok := renamed[typ][step]; ok {
			now = to
		}
		if to, ok := oldHashes[step]; ok && hashes {
			now = to
		}
		p.out.WriteString(strings.Replace(p.text[p.at:p.at+n], step, now, 1))
		p.at += n
		hashes = strings.HasSuffix(step, "hashes")
		typ = refTypes[now]
		if p.at < len(p.text) && p.text[p.at] != '.' && p.text[p.at] != '[' {
			return nil
		}
	}
	return nil
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// quoted gives the length of a string in quotes, in which a backslash takes the
// next byte's meaning.
func quoted(text string) (int, error) {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '\'':
			return i + 1, nil
		}
	}
	return 0, errOpen
}
