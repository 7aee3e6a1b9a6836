package webtest

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Structure fails the test for what makes a page hard to use without a mouse,
// without sight or without script, or what the Content-Security-Policy would
// block. name says which page it is. It gives the parsed page.
func Structure(t *testing.T, name, page string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatalf("%s: not HTML: %v", name, err)
	}
	c := checker{t: t, name: name, ids: map[string]int{}}
	c.walk(doc)
	if c.h1 != 1 {
		t.Errorf("%s: %d first-level headings, want exactly one", name, c.h1)
	}
	if c.mains != 1 {
		t.Errorf("%s: %d main landmarks, want exactly one", name, c.mains)
	}
	if c.lang == "" {
		t.Errorf("%s: the html element has no lang", name)
	}
	if !c.skip {
		t.Errorf("%s: no skip link to #main-content", name)
	}
	title := c.title
	if !strings.Contains(title, " | ") {
		t.Errorf("%s: title %q does not name page and site", name, title)
	}
	for id, n := range c.ids {
		if n > 1 {
			t.Errorf("%s: id %q is used %d times", name, id, n)
		}
	}
	for _, id := range c.refs {
		if c.ids[id] == 0 {
			t.Errorf("%s: something refers to id %q, which is not on the page", name, id)
		}
	}
	for _, f := range c.fields {
		if !c.labels[f] {
			t.Errorf("%s: field %q has no label", name, f)
		}
	}
	return doc
}

type checker struct {
	t         *testing.T
	name      string
	h1, mains int
	lang      string
	title     string
	skip      bool
	ids       map[string]int
	refs      []string
	fields    []string
	labels    map[string]bool
	level     int
}

// Attr gives an attribute of an element, or "".
func Attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// Text gives all text below a node.
func Text(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(Text(c))
	}
	return b.String()
}

// Find lists the elements of a name, in the order of the page.
func Find(n *html.Node, element string) []*html.Node {
	var out []*html.Node
	if n.Type == html.ElementNode && n.Data == element {
		out = append(out, n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		out = append(out, Find(c, element)...)
	}
	return out
}

func (c *checker) walk(n *html.Node) {
	if n.Type == html.ElementNode {
		c.element(n)
	}
	for k := n.FirstChild; k != nil; k = k.NextSibling {
		c.walk(k)
	}
}

func (c *checker) element(n *html.Node) {
	for _, a := range n.Attr {
		switch {
		case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
			c.t.Errorf("%s: <%s> has the attribute %s, which the security policy blocks", c.name, n.Data, a.Key)
		case a.Key == "id":
			c.ids[a.Val]++
		case a.Key == "aria-describedby" || a.Key == "aria-labelledby":
			c.refs = append(c.refs, strings.Fields(a.Val)...)
		case (a.Key == "href" || a.Key == "src" || a.Key == "action") && (strings.Contains(a.Val, "://") || strings.HasPrefix(a.Val, "//") || strings.HasPrefix(a.Val, "javascript:")):
			c.t.Errorf("%s: <%s> leaves this site: %s", c.name, n.Data, a.Val)
		case strings.Contains(a.Val, "ZgotmplZ"):
			c.t.Errorf("%s: <%s %s> holds what html/template refused", c.name, n.Data, a.Key)
		}
	}
	switch n.Data {
	case "html":
		c.lang = Attr(n, "lang")
	case "title":
		if n.Parent != nil && n.Parent.Data == "head" {
			c.title = Text(n)
		}
	case "main":
		c.mains++
	case "h1", "h2", "h3", "h4":
		level := int(n.Data[1] - '0')
		if level == 1 {
			c.h1++
		}
		if level > c.level+1 && c.level > 0 {
			c.t.Errorf("%s: heading %q jumps from level %d to %d", c.name, Text(n), c.level, level)
		}
		c.level = max(level, 1)
	case "script": // a file of ours that the page does not need
		src, wait := Attr(n, "src"), false
		for _, a := range n.Attr {
			wait = wait || a.Key == "defer"
		}
		if !strings.HasPrefix(src, "/assets/") || !wait || n.FirstChild != nil {
			c.t.Errorf("%s: a script that is no deferred file of ours: %q", c.name, src)
		}
	case "style", "iframe", "object", "embed":
		c.t.Errorf("%s: <%s> has no place on our pages", c.name, n.Data)
	case "a":
		href := Attr(n, "href")
		if href == "#main-content" {
			c.skip = true
		} else if id, ok := strings.CutPrefix(href, "#"); ok {
			c.refs = append(c.refs, id)
		}
		if strings.TrimSpace(Text(n)) == "" && Attr(n, "aria-label") == "" {
			c.t.Errorf("%s: link to %s without text", c.name, href)
		}
	case "img":
		alt := false
		for _, a := range n.Attr {
			alt = alt || a.Key == "alt"
		}
		if !alt {
			c.t.Errorf("%s: image %s without alt", c.name, Attr(n, "src"))
		}
	case "button":
		if strings.TrimSpace(Text(n)) == "" && Attr(n, "aria-label") == "" {
			c.t.Errorf("%s: button without text", c.name)
		}
	case "label":
		if c.labels == nil {
			c.labels = map[string]bool{}
		}
		if strings.TrimSpace(Text(n)) == "" {
			c.t.Errorf("%s: empty label for %q", c.name, Attr(n, "for"))
		}
		c.labels[Attr(n, "for")] = true
	case "input", "select", "textarea":
		if Attr(n, "type") == "hidden" {
			return
		}
		id := Attr(n, "id")
		if id == "" && Attr(n, "aria-label") == "" {
			c.t.Errorf("%s: field %q has no id", c.name, Attr(n, "name"))
			return
		}
		if Attr(n, "aria-label") == "" {
			c.fields = append(c.fields, id)
		}
	case "table":
		c.table(n)
	case "svg":
		if Attr(n, "aria-hidden") != "true" && Attr(n, "role") != "img" {
			c.t.Errorf("%s: a drawing that is neither hidden from screen readers nor named", c.name)
		}
	}
}

func (c *checker) table(n *html.Node) {
	caption := Find(n, "caption")
	if len(caption) != 1 || strings.TrimSpace(Text(caption[0])) == "" {
		c.t.Errorf("%s: a table without a caption", c.name)
	}
	for _, th := range Find(n, "th") {
		if s := Attr(th, "scope"); s != "col" && s != "row" {
			c.t.Errorf("%s: table %q has a header %q without scope", c.name, Text(n)[:min(len(Text(n)), 40)], Text(th))
		}
	}
}
