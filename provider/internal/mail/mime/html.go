package mime

import (
	"bytes"
	"net/url"
	"sync"

	"ecs/observable"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlReader finds what leads somewhere in HTML: every attribute that browsers
// follow or load, and the text as a reader sees it, with elements that do not
// break a word taken out of it.
type htmlReader struct {
	run   *run
	base  *url.URL
	flat  []byte // visible text
	parts []byte // the same with a space wherever an element stood
	glued bool
}

// leading are the attributes whose value is one URL.
var leading = map[atom.Atom]bool{
	atom.Href: true, atom.Src: true, atom.Action: true, atom.Formaction: true, atom.Poster: true,
	atom.Data: true, atom.Cite: true, atom.Manifest: true,
	atom.Ping: true, atom.Usemap: true, atom.Icon: true,
}

// inline are the elements within which a word goes on.
var inline = map[atom.Atom]bool{
	atom.A: true, atom.Abbr: true, atom.B: true, atom.Bdi: true, atom.Bdo: true, atom.Big: true, atom.Cite: true,
	atom.Code: true, atom.Del: true, atom.Dfn: true, atom.Em: true, atom.Font: true, atom.I: true, atom.Ins: true,
	atom.Kbd: true, atom.Label: true, atom.Mark: true, atom.Nobr: true, atom.Q: true, atom.S: true, atom.Samp: true,
	atom.Small: true, atom.Span: true, atom.Strike: true, atom.Strong: true, atom.Sub: true, atom.Sup: true,
	atom.Tt: true, atom.U: true, atom.Var: true, atom.Wbr: true,
}

// flats keeps the two buffers for text between messages.
var flats = sync.Pool{New: func() any { return &[2][]byte{} }}

// scan looks through one window.
func (h *htmlReader) scan(b []byte) {
	z := html.NewTokenizer(bytes.NewReader(b))
	kept := flats.Get().(*[2][]byte)
	h.flat, h.parts, h.glued = kept[0][:0], kept[1][:0], false
	defer func() {
		kept[0], kept[1] = h.flat, h.parts
		h.flat, h.parts = nil, nil
		flats.Put(kept)
	}()
	for {
		switch z.Next() {
		case html.ErrorToken:
			h.visible()
			return
		case html.TextToken:
			t := z.Text()
			if len(h.flat) > 0 && len(h.parts) > 0 && h.parts[len(h.parts)-1] == 0 {
				// an inline element stood between the last text and this one
				h.parts[len(h.parts)-1] = ' '
				if len(t) > 0 && t[0] > ' ' && h.flat[len(h.flat)-1] > ' ' {
					h.glued = true
				}
			}
			h.flat = append(h.flat, t...)
			h.parts = append(h.parts, t...)
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			name, attrs := z.TagName()
			tag := atom.Lookup(name)
			if inline[tag] {
				if len(h.parts) > 0 && h.parts[len(h.parts)-1] != 0 {
					h.parts = append(h.parts, 0)
				}
			} else {
				h.flat = append(h.flat, '\n')
				h.parts = append(h.parts, '\n')
			}
			for attrs {
				var k, v []byte
				k, v, attrs = z.TagAttr()
				h.attribute(tag, k, v)
			}
		case html.CommentToken:
			scanText(h.run, BodyURL, z.Text()) // conditional comments are shown by some
		}
	}
}

func (h *htmlReader) visible() {
	scanText(h.run, BodyURL, invisible(h.flat))
	if h.glued {
		scanText(h.run, BodyURL, h.parts)
	}
}

// invisible takes out characters that are not shown: soft hyphens, zero-width
// characters, word joiners.
func invisible(b []byte) []byte {
	if bytes.Contains(b, []byte("\u00ad")) || bytes.Contains(b, []byte("\u200b")) || bytes.Contains(b, []byte("\u200c")) ||
		bytes.Contains(b, []byte("\u200d")) || bytes.Contains(b, []byte("\u2060")) || bytes.Contains(b, []byte("\ufeff")) {
		for _, s := range []string{"\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"} {
			b = bytes.ReplaceAll(b, []byte(s), nil)
		}
	}
	return b
}

func (h *htmlReader) attribute(tag atom.Atom, k, v []byte) {
	if len(v) < 3 {
		return
	}
	a := atom.Lookup(k)
	if !leading[a] && string(k) != "xlink:href" && string(k) != "background" && string(k) != "codebase" && string(k) != "longdesc" {
		if bytes.IndexByte(v, '.') >= 0 || bytes.Contains(v, []byte("//")) {
			scanText(h.run, BodyURL, v) // style, srcset, content of a refresh, event handlers
		}
		return
	}
	v = cleanAttribute(v)
	if tag == atom.Base && a == atom.Href {
		u, err := url.Parse(string(v))
		if err == nil && u.Host != "" {
			h.base = u
		}
	}
	h.link(v)
}

// link hands over an URL as browsers read it.
func (h *htmlReader) link(v []byte) {
	scheme, rest, ok := bytes.Cut(v, []byte(":"))
	switch {
	case ok && isScheme(scheme):
		if bytes.EqualFold(scheme, []byte("mailto")) || len(scheme) > 4 && !bytes.EqualFold(scheme, []byte("https")) || len(rest) == 0 {
			scanText(h.run, BodyURL, v)
			return
		}
		if !bytes.HasPrefix(rest, []byte("//")) {
			// "http:host", "http:/host" and "http:\\host" all lead to host.
			rest = bytes.TrimLeft(rest, `/\`)
			v = append(append(append([]byte{}, scheme...), "://"...), rest...)
		}
		h.run.find(BodyURL, observable.URL, v)
		rest = bytes.TrimLeft(rest, `/\`)
		i := bytes.IndexAny(rest, "/?#")
		if i >= 0 {
			scanText(h.run, BodyURL, rest[i+1:]) // an URL within: redirectors
		}
	case len(v) > 2 && slash(v[0]) && slash(v[1]):
		s := "http:"
		if h.base != nil {
			s = h.base.Scheme + ":"
		}
		h.run.find(BodyURL, observable.URL, append([]byte(s+"//"), v[2:]...))
	case h.base != nil:
		u, err := h.base.Parse(string(v))
		if err == nil {
			h.run.find(BodyURL, observable.URL, []byte(u.String()))
		}
	default:
		scanText(h.run, BodyURL, v)
	}
}

// cleanAttribute does what the URL standard of the WHATWG begins with: no
// control characters or space around, no tab or line end within.
func cleanAttribute(v []byte) []byte {
	for len(v) > 0 && v[0] <= ' ' {
		v = v[1:]
	}
	for len(v) > 0 && v[len(v)-1] <= ' ' {
		v = v[:len(v)-1]
	}
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\t') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	for _, c := range v {
		if c != '\n' && c != '\t' && c != '\r' {
			out = append(out, c)
		}
	}
	return out
}

func isScheme(s []byte) bool {
	if len(s) == 0 || len(s) > 20 || !alpha(s[0]) {
		return false
	}
	for _, c := range s {
		if !alpha(c) && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
