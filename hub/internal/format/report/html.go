package report

import (
	"bytes"
	stdhtml "html"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

var closingTag = regexp.MustCompile(`(?i)</(?:p|div|td|tr|li|a|span|h[1-6]|html|body|table|b|strong|code|pre)>`)

// looksHTML says that a text is to be stripped of its marks.
func looksHTML(text string) bool {
	return len(closingTag.FindAllStringIndex(text[:min(len(text), 256<<10)], 2)) == 2
}

// strip gives the text that an HTML page shows. Headings become those of Markdown,
// cells of tables are divided by bars. Where links lead is not read: it is not
// shown. The canonical address gives who published the page.
func strip(text string) (out *made, publisher string) {
	m := &made{b: make([]byte, 0, len(text)/2)}
	z := html.NewTokenizer(strings.NewReader(text))
	z.SetMaxBuf(1 << 20)
	at, hidden, pre := 0, "", 0
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return m, publisher
		}
		raw := z.Raw()
		start := at
		at += len(raw)
		if kind == html.TextToken {
			if hidden == "" {
				m.text(string(raw), start, pre > 0)
			}
			continue
		}
		if kind != html.StartTagToken && kind != html.EndTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		nameBytes, more := z.TagName()
		name := string(bytes.ToLower(nameBytes))
		begins := kind != html.EndTagToken
		if hidden != "" {
			if name == hidden && !begins {
				hidden = ""
			}
			continue
		}
		m.shift(start)
		switch name {
		case "script", "style", "noscript", "template", "title", "svg":
			if kind == html.StartTagToken {
				hidden = name
			}
		case "link":
			publisher = canonicalHost(z, more, publisher)
		case "h1", "h2", "h3", "h4", "h5", "h6":
			m.b = append(m.b, "\n\n"...)
			if begins {
				m.b = append(m.b, "######"[:name[1]-'0']...)
				m.b = append(m.b, ' ')
			}
		case "td", "th":
			if begins {
				m.b = append(m.b, " | "...)
			}
		case "li":
			if begins {
				m.b = append(m.b, "\n- "...)
			}
		case "p", "ul", "ol", "table", "blockquote", "section", "article":
			m.b = append(m.b, "\n\n"...)
		case "br", "div", "tr", "dt", "dd", "pre", "hr", "header", "footer", "nav":
			m.b = append(m.b, '\n')
			if name == "pre" && begins {
				pre++
			} else if name == "pre" && pre > 0 {
				pre--
			}
		}
		m.shift(at)
	}
}

// canonicalHost gives the host of <link rel=canonical href=...>.
func canonicalHost(z *html.Tokenizer, more bool, had string) string {
	rel, href := "", ""
	for more {
		var k, v []byte
		k, v, more = z.TagAttr()
		switch string(k) {
		case "rel":
			rel = strings.ToLower(string(v))
		case "href":
			href = string(v)
		}
	}
	_, rest, ok := strings.Cut(href, "://")
	if rel != "canonical" || !ok {
		return had
	}
	host, _, _ := strings.Cut(rest, "/")
	return strings.ToLower(host)
}

// text adds a text with its entities undone, each at its place.
func (m *made) text(raw string, at int, pre bool) {
	for i := 0; i < len(raw); {
		m.shift(at + i)
		n := strings.IndexByte(raw[i:], '&')
		if n < 0 {
			n = len(raw) - i
		}
		from := len(m.b)
		m.b = append(m.b, raw[i:i+n]...)
		for k := from; k < len(m.b) && !pre; k++ {
			if m.b[k] == '\n' || m.b[k] == '\r' {
				m.b[k] = ' '
			}
		}
		i += n
		if i == len(raw) {
			return
		}
		end := strings.IndexByte(raw[i:min(len(raw), i+32)], ';')
		entity := raw[i : i+max(end, 0)+1]
		m.shift(at + i)
		m.b = append(m.b, stdhtml.UnescapeString(entity)...)
		i += len(entity)
	}
}
