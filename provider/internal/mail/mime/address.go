package mime

import (
	"bytes"

	"ecs/observable"
)

const maxAddress = 320 // RFC 3696: 64 of the local part, 255 of the domain, and the at sign

// addresses hands over every address that some reader sees in a header: as it
// stands, without comments and space around dots and at signs, and with its
// encoded words decoded. One address is handed over once for each different
// spelling.
func (w *Walker) addresses(p Place, v []byte) {
	eachAddress(v, func(a []byte) { w.find(p, observable.Mail, a) })
	plain := squeeze(stripComments(v))
	if !bytes.Equal(plain, v) {
		eachAddress(plain, func(a []byte) { w.find(p, observable.Mail, a) })
	}
	d := decodeWords(w.run, v)
	if !bytes.Equal(d, v) {
		eachAddress(squeeze(stripComments(d)), func(a []byte) { w.find(p, observable.Mail, a) })
	}
}

// squeeze removes space next to @ and dots and the quotes of a local part that
// needs none, and keeps all else.
func squeeze(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch c {
		case ' ', '\t':
			if len(out) > 0 && (out[len(out)-1] == '@' || out[len(out)-1] == '.') {
				continue
			}
		case '@', '.':
			for len(out) > 0 && (out[len(out)-1] == ' ' || out[len(out)-1] == '\t') {
				out = out[:len(out)-1]
			}
		}
		out = append(out, c)
	}
	return out
}

// eachAddress finds what surrounds each at sign.
func eachAddress(v []byte, f func([]byte)) {
	for i := 0; i < len(v); i++ {
		if v[i] != '@' {
			continue
		}
		r := i + 1
		for r < len(v) && (hostByte[v[r]] || r == i+1 && v[r] == '[') {
			r++
		}
		for r > i+1 && (v[r-1] == '.' || v[r-1] == '-') {
			r--
		}
		if r == i+1 || r-i > 256 {
			continue
		}
		if i > 0 && v[i-1] == '"' {
			local := quotedBefore(v[:i])
			if local != nil {
				f(append(local, v[i:r]...))
			}
			continue
		}
		l := i
		for l > 0 && atext[v[l-1]] && i-l < 128 {
			l--
		}
		if l < i && r-l <= maxAddress {
			f(v[l:r])
		}
	}
}

// quotedBefore gives the contents of the quoted string that v ends with.
func quotedBefore(v []byte) []byte {
	for j := len(v) - 2; j >= 0 && len(v)-j <= 130; j-- {
		if v[j] != '"' || j > 0 && v[j-1] == '\\' {
			continue
		}
		out, _ := unquote(v[j:])
		return out
	}
	return nil
}

// atext are the bytes of an unquoted local part (RFC 5322 section 3.2.3, and
// RFC 6532), with the dot.
var atext = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+-/=?^_`{|}~") {
		t[c] = true
	}
	for c := 0x80; c < 0x100; c++ {
		t[c] = true
	}
	return t
}()

// hostByte are the bytes of a host name in text: letters, digits, hyphen, dot,
// underscore, and all of UTF-8 beyond ASCII.
var hostByte = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") {
		t[c] = true
	}
	for c := 0x80; c < 0x100; c++ {
		t[c] = true
	}
	return t
}()
