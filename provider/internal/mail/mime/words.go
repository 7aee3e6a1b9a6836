package mime

import (
	"bytes"
	"encoding/base64"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
)

// decodeWords replaces encoded words (RFC 2047) wherever they stand, even where
// the standard does not allow them, as mail readers do. Neighbors in one
// character set are joined before they are decoded, so that a character cut in
// two comes out whole. Without encoded words v itself is given.
func decodeWords(r *run, v []byte) []byte {
	if !bytes.Contains(v, []byte("=?")) {
		return v
	}
	var out, raw []byte
	charset := ""
	flush := func() {
		if len(raw) > 0 {
			out = append(out, r.text(charset, raw)...)
			raw = raw[:0]
		}
	}
	for len(v) > 0 {
		i := bytes.Index(v, []byte("=?"))
		if i < 0 {
			break
		}
		cs, text, rest, ok := encodedWord(v[i:])
		if !ok {
			flush()
			out = append(out, v[:i+2]...)
			v = v[i+2:]
			continue
		}
		gap := v[:i]
		if len(raw) == 0 || len(bytes.TrimSpace(gap)) > 0 {
			flush()
			out = append(out, gap...)
		}
		if cs != charset {
			flush()
		}
		charset = cs
		raw = append(raw, text...)
		v = rest
	}
	flush()
	return append(out, v...)
}

// maxWord is how long an encoded word may be. The standard says 75; some
// programs write a whole subject as one.
const maxWord = 2 << 10

// encodedWord reads one encoded word at the beginning of v.
func encodedWord(v []byte) (charset string, text, rest []byte, ok bool) {
	b := v[2:]
	i := bytes.IndexByte(b, '?')
	if i <= 0 || i > 64 || len(b) < i+3 || b[i+2] != '?' {
		return "", nil, nil, false
	}
	charset, _, _ = strings.Cut(strings.ToLower(string(b[:i])), "*")
	kind := b[i+1] | 0x20
	b = b[i+3:]
	left := len(b)
	b = b[:min(left, maxWord)]
	end := bytes.Index(b, []byte("?="))
	if kind == 'q' && end == 0 && len(b) > 2 {
		// "?=" may itself begin the text of a word such as =?..?q?=41?=
		next := bytes.Index(b[1:], []byte("?="))
		if next >= 0 && b[0] == '=' {
			end = next + 1
		}
	}
	if end < 0 {
		return "", nil, nil, false
	}
	body := b[:end]
	rest = v[len(v)-left+end+2:]
	switch kind {
	case 'b':
		return charset, looseBase64(body), rest, true
	case 'q':
		out := make([]byte, 0, len(body))
		for j := 0; j < len(body); j++ {
			c := body[j]
			if c == '_' {
				c = ' '
			} else if c == '=' && j+2 < len(body) {
				h, l := unhex(body[j+1]), unhex(body[j+2])
				if h < 16 && l < 16 {
					c = h<<4 | l
					j += 2
				}
			}
			out = append(out, c)
		}
		return charset, out, rest, true
	default:
		return "", nil, nil, false
	}
}

func looseBase64(v []byte) []byte {
	clean := make([]byte, 0, len(v))
	for _, c := range v {
		if d := base64Value[c]; d < 64 {
			clean = append(clean, base64Digits[d])
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, _ := base64.RawStdEncoding.Decode(out, clean)
	return out[:n]
}

// text decodes v to UTF-8 and notes a character set that it does not know.
func (r *run) text(charset string, v []byte) []byte {
	if !plainCharset(charset) && lookup(charset) == nil {
		r.res.Signs |= BadCharset
	}
	return toUTF8(charset, v)
}

// plainCharset reports whether ASCII bytes of a character set mean themselves
// and all others can be taken for UTF-8.
func plainCharset(name string) bool {
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unicode-1-1-utf-8":
		return true
	}
	return false
}

// lookup finds a character set by any name that mail uses for it.
func lookup(name string) encoding.Encoding {
	if len(name) > 64 {
		return nil
	}
	e, err := htmlindex.Get(name) // as browsers read it: ISO-8859-1 is Windows-1252, and so on
	if err == nil && e != encoding.Replacement {
		return e
	}
	e, err = ianaindex.MIME.Encoding(name)
	if err == nil && e != nil {
		return e
	}
	e, err = ianaindex.MIME.Encoding("cs" + name)
	if err == nil && e != nil {
		return e
	}
	return nil
}

// toUTF8 decodes v; in an unknown character set it stays as it is.
func toUTF8(charset string, v []byte) []byte {
	if plainCharset(charset) {
		return v
	}
	if charset == "utf-7" {
		return decodeUTF7(v)
	}
	e := lookup(charset)
	if e == nil {
		return v
	}
	out, err := e.NewDecoder().Bytes(v)
	if err != nil {
		return v
	}
	return out
}

// decodeUTF7 reads RFC 2152.
func decodeUTF7(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] != '+' {
			out = append(out, v[i])
			continue
		}
		j := i + 1
		for j < len(v) && base64Value[v[j]] < 64 && v[j] != '-' && v[j] != '_' {
			j++
		}
		if j == i+1 {
			out = append(out, '+')
		} else {
			u := looseBase64(v[i+1 : j])
			for k := 0; k+1 < len(u); k += 2 {
				out = appendUTF16(out, u[k:])
				if isHigh(u[k:]) {
					k += 2
				}
			}
		}
		if j < len(v) && v[j] == '-' {
			j++
		}
		i = j - 1
	}
	return out
}

func isHigh(u []byte) bool { return u[0]&0xfc == 0xd8 && len(u) >= 4 && u[2]&0xfc == 0xdc }

func appendUTF16(out, u []byte) []byte {
	c := rune(u[0])<<8 | rune(u[1])
	if isHigh(u) {
		c = 0x10000 + (c&0x3ff)<<10 + (rune(u[2])<<8|rune(u[3]))&0x3ff
	}
	return append(out, string(c)...)
}
