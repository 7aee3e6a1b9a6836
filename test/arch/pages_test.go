package arch

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// pageRules: what is written is where it says.
var pageRules = []rule{
	{
		name:  "links between pages lead somewhere",
		why:   "a page that sends its reader nowhere is not maintained, and the reader knows it then",
		check: links,
		broken: []breach{
			{"docs/breach.md", "See [that](nowhere.md).\n", "docs/breach.md:1: nowhere.md"},
			{"docs/breach.md", "See [that](../README.md#no-such-part).\n", "no-such-part"},
		},
	},
	{
		name:   "pages that the code names exist",
		why:    "a comment that sends its reader to a page is as good as the page",
		check:  namedPages,
		broken: []breach{{"web/breach.go", "package web\n\n// See docs/formats/" + "nowhere.md.\n", "web/breach.go:3"}},
	},
	{
		name:   "no page outside of the repository is named",
		why:    "a reader who has only the repository must be able to follow every reference",
		check:  foreignPages,
		broken: []breach{{"web/breach.go", "package web\n\n// See program" + ".md 4c.\n", "web/breach.go:3"}},
	},
	{
		name:  "every page is linked",
		why:   "what cannot be reached from the README is not found",
		check: orphans,
		broken: []breach{
			{"docs/breach.md", "# A breach\n", "docs/breach.md"},
		},
	},
	{
		name:  "decisions have number, context, decision, consequences and what would change our mind",
		why:   "whoever wants to decide otherwise must find what was known at the time",
		check: decisions,
		broken: []breach{
			{"docs/decisions/0099-breach.md", "# 99. A breach\n\n## Context\n", "0099-breach.md lacks «## Decision»"},
			{"docs/decisions/0099-breach.md", "# 99. A breach\n", "0099-breach.md: the number before it"},
		},
	},
}

var (
	mdLink  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	docPath = regexp.MustCompile(`\bdocs/[a-z0-9/-]+\.md\b`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?)\s*$`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```")
)

// anchors gives the anchors of a page as GitHub makes them.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(m[1]) {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				b.WriteRune(r)
			case r == ' ':
				b.WriteByte('-')
			}
		}
		out = append(out, b.String())
	}
	return out
}

// targets gives the internal links of a page: the path from the root, the
// anchor, and the link as written.
func (f *file) targets(found func(line int, to, anchor, written string)) {
	inCode := false
	for i, line := range strings.Split(f.text, "\n") {
		if strings.HasPrefix(line, "```") {
			inCode = !inCode
		}
		if inCode {
			continue
		}
		for _, m := range mdLink.FindAllStringSubmatch(line, -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			to, anchor, _ := strings.Cut(m[1], "#")
			if to == "" {
				to = f.path
			} else {
				to = path.Join(f.dir, to)
			}
			found(i+1, to, anchor, m[1])
		}
	}
}

func links(t *tree) []string {
	var out []string
	for _, f := range t.sorted("") {
		if path.Ext(f.path) != ".md" {
			continue
		}
		f.targets(func(line int, to, anchor, written string) {
			page := t.files[to]
			switch {
			case page == nil && !t.folder(to) && to != "LICENSE":
				out = append(out, fmt.Sprintf("%s:%d: %s is not there", f.path, line, written))
			case page != nil && anchor != "" && !slices.Contains(anchors(page.text), anchor):
				out = append(out, fmt.Sprintf("%s:%d: %s has no part %s", f.path, line, to, anchor))
			}
		})
	}
	return out
}

func (t *tree) folder(p string) bool {
	for q := range t.files {
		if within(q, p) {
			return true
		}
	}
	return p == "." || leftOut(p)
}

func namedPages(t *tree) []string {
	var out []string
	for _, f := range t.sorted("") {
		for i, line := range strings.Split(f.text, "\n") {
			for _, p := range docPath.FindAllString(line, -1) {
				if t.files[p] == nil && !strings.Contains(p, "breach") {
					out = append(out, fmt.Sprintf("%s:%d: %s is not there", f.path, i+1, p))
				}
			}
		}
	}
	return out
}

var pageName = regexp.MustCompile(`(?:^|[\s(«])([a-z-]+\.md)\b`)

// foreignPages finds pages that are named by their bare name in Go and SQL, where
// a path from the root is meant.
func foreignPages(t *tree) []string {
	var out []string
	for _, f := range t.sorted("") {
		if path.Ext(f.path) != ".go" && path.Ext(f.path) != ".sql" || within(f.path, "test/arch") {
			continue
		}
		for i, line := range strings.Split(f.text, "\n") {
			for _, m := range pageName.FindAllStringSubmatch(line, -1) {
				if t.files[m[1]] == nil {
					out = append(out, fmt.Sprintf("%s:%d: %s is not there: name it by its path", f.path, i+1, m[1]))
				}
			}
		}
	}
	return out
}

// orphans finds pages that nobody reaches from README.md by links.
func orphans(t *tree) []string {
	reached := map[string]bool{"README.md": true}
	todo := []string{"README.md"}
	for len(todo) > 0 {
		f := t.files[todo[0]]
		todo = todo[1:]
		if f == nil {
			continue
		}
		f.targets(func(_ int, to, _, _ string) {
			if !reached[to] {
				reached[to] = true
				todo = append(todo, to)
			}
		})
	}
	var out []string
	for _, f := range t.sorted("") {
		if path.Ext(f.path) == ".md" && !reached[f.path] {
			out = append(out, f.path+" cannot be reached from README.md")
		}
	}
	return out
}

func decisions(t *tree) []string {
	var out []string
	last := 0
	for _, f := range t.sorted("docs/decisions") {
		name := path.Base(f.path)
		if name == "README.md" {
			continue
		}
		var n int
		_, err := fmt.Sscanf(name, "%04d-", &n)
		if err != nil {
			out = append(out, f.path+": want NNNN-title.md")
			continue
		}
		if n != last+1 {
			out = append(out, fmt.Sprintf("%s: the number before it is %d", f.path, last))
		}
		last = n
		if !strings.HasPrefix(f.text, fmt.Sprintf("# %d. ", n)) {
			out = append(out, fmt.Sprintf("%s: want «# %d. Title» as its first line", f.path, n))
		}
		for _, h := range []string{"## Context", "## Decision", "## Consequences", "## What would change our mind"} {
			if !strings.Contains(f.text, "\n"+h+"\n") {
				out = append(out, fmt.Sprintf("%s lacks «%s»", f.path, h))
			}
		}
	}
	return out
}
