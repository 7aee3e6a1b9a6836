package mime

import (
	"bytes"
	"strings"

	"ecs/observable"
)

// field is one header field, unfolded.
type field struct {
	name  string // lower case
	value []byte
}

type header []field

// wanted are the fields that are looked at.
var wanted = map[string]bool{
	"from": true, "sender": true, "reply-to": true, "return-path": true, "subject": true,
	"resent-from": true, "resent-sender": true, "resent-reply-to": true,
	"content-type": true, "content-disposition": true, "content-transfer-encoding": true,
	"content-location": true, "content-base": true,
	"list-unsubscribe": true, "list-help": true, "list-post": true, "list-archive": true, "list-subscribe": true, "list-owner": true,
}

// parseHeader unfolds a header block. Fields that nobody asks for are skipped.
func parseHeader(b []byte) header {
	var out header
	var open, owned bool // the last field is wanted; its value is a copy that may grow
	for len(b) > 0 {
		line := b
		i := bytes.IndexByte(b, '\n')
		if i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			if open {
				f := &out[len(out)-1]
				if !owned {
					f.value = bytes.Clone(f.value)
					owned = true
				}
				f.value = append(f.value, line...)
			}
			continue
		}
		open, owned = false, false
		i = bytes.IndexByte(line, ':')
		if i < 0 || i > 64 {
			continue
		}
		name := strings.ToLower(string(bytes.TrimSpace(line[:i])))
		if !wanted[name] {
			continue
		}
		out = append(out, field{name: name, value: bytes.TrimLeft(line[i+1:], " \t")})
		open = true
	}
	return out
}

// both gives the distinct values of the first and the last field of that name:
// what one reader or another takes.
func (h header) both(r *run, name string) [][]byte {
	var out [][]byte
	var n int
	var last []byte
	for i := range h {
		if h[i].name != name {
			continue
		}
		n++
		last = h[i].value
		if n == 1 {
			out = append(out, last)
		}
	}
	if n > 1 && !bytes.Equal(out[0], last) {
		r.res.Signs |= TwiceHeader
		out = append(out, last)
	}
	return out
}

// message hands over what the header of a message (not of a part) names.
func (w *Walker) message(h header) {
	var subjects int
	for i := range h {
		v := h[i].value
		switch h[i].name {
		case "from", "resent-from":
			w.addresses(From, v)
		case "sender", "resent-sender":
			w.addresses(Sender, v)
		case "reply-to", "resent-reply-to":
			w.addresses(ReplyTo, v)
		case "return-path":
			w.addresses(ReturnPath, v)
		case "subject":
			subjects++
			d := decodeWords(w.run, v)
			w.find(Subject, observable.Subject, d)
			if !bytes.Equal(d, v) {
				w.find(Subject, observable.Subject, v)
			}
			scanText(w.run, HeaderURL, d)
		case "list-unsubscribe", "list-help", "list-post", "list-archive", "list-subscribe", "list-owner":
			scanText(w.run, HeaderURL, v)
		}
	}
	if subjects > 1 {
		w.res.Signs |= TwiceHeader
	}
	if len(h.named("from")) > 1 {
		w.res.Signs |= TwiceHeader
	}
}

func (h header) named(name string) [][]byte {
	var out [][]byte
	for i := range h {
		if h[i].name == name {
			out = append(out, h[i].value)
		}
	}
	return out
}

// contentType is one reading of a Content-Type.
type contentType struct {
	major, minor string
	charset      string
	bounds       [][]byte
	names        [][]byte
}

// contentTypes gives the readings of Content-Type, at least one. A type that
// cannot be read is text/plain, as RFC 2045 section 5.2 has it, and is looked
// at as whatever its contents look like.
func (h header) contentTypes(r *run) []contentType {
	var out []contentType
	for _, v := range h.both(r, "content-type") {
		main, params := parseParams(v)
		major, minor, _ := strings.Cut(main, "/")
		t := contentType{major: strings.TrimSpace(major), minor: strings.TrimSpace(minor)}
		for _, p := range params {
			switch p.name {
			case "boundary":
				b := bytes.TrimRight(p.value, " \t")
				if len(b) > 0 {
					t.bounds = append(t.bounds, bytes.Clone(b))
				}
			case "charset":
				if t.charset == "" {
					t.charset = strings.ToLower(string(p.value))
				}
			case "name":
				t.names = append(t.names, p.value)
			}
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		out = append(out, contentType{major: "text", minor: "plain"})
	}
	return out
}

// encodings gives the readings of Content-Transfer-Encoding, at least one.
func (h header) encodings(r *run) []transfer {
	var out []transfer
	for _, v := range h.both(r, "content-transfer-encoding") {
		text := strings.ToLower(string(bytes.TrimSpace(stripComments(v))))
		text = strings.Trim(text, "\"' ;\t")
		word, _, _ := strings.Cut(text, " ")
		word, _, _ = strings.Cut(word, ";")
		e := identity
		switch word {
		case "base64":
			e = base64Encoding
		case "quoted-printable":
			e = quotedPrintable
		case "", "7bit", "8bit", "binary":
		default:
			r.res.Signs |= OddEncoding
			switch {
			case strings.Contains(word, "base64"):
				e = base64Encoding
			case strings.Contains(word, "quoted"):
				e = quotedPrintable
			}
		}
		if len(out) == 0 || out[0] != e {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		out = append(out, identity)
	}
	return out
}

// fileNames gives every name that some reader would give the part.
func (h header) fileNames(r *run, types []contentType) (names [][]byte, attachment bool) {
	add := func(v []byte) {
		names = append(names, v)
		d := decodeWords(r, v)
		if !bytes.Equal(d, v) {
			names = append(names, d)
		}
	}
	for i := range types {
		for _, n := range types[i].names {
			add(n)
		}
	}
	for _, v := range h.named("content-disposition") {
		main, params := parseParams(v)
		if main == "attachment" {
			attachment = true
		}
		for _, p := range params {
			if p.name == "filename" || p.name == "name" {
				add(p.value)
			}
		}
	}
	return names, attachment
}
