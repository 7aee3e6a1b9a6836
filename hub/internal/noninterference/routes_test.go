package noninterference

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ecs/hub/internal/api"
)

var pattern = regexp.MustCompile(`^(GET|POST|PUT|DELETE|PATCH) (/\S*)$`)

// routes gives the patterns of all routes of a method: those of the API by its own
// list, from which it is served; those of the console from its source.
func routes(t *testing.T, method string) []string {
	t.Helper()
	var out []string
	for _, a := range api.Addresses() {
		if a.Method == method {
			out = append(out, a.Path)
		}
	}
	files, err := filepath.Glob("../console/*.go")
	must(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		must(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			must(t, err)
			m := pattern.FindStringSubmatch(text)
			if m != nil && m[1] == method {
				out = append(out, strings.TrimSuffix(m[2], "{$}"))
			}
			return true
		})
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) < 10 {
		t.Fatalf("only %d routes were found: %q", len(out), out)
	}
	return out
}

// more are further addresses of a route, by its pattern: what a reader asks behind
// the question mark. {item}, {batch} and the like stand for one after the other.
var more = map[string][]string{
	"/indicators": {
		"/indicators?order=oldest", "/indicators?q=example", "/indicators?q=high", "/indicators?q={item}", "/indicators?source=cedar", "/indicators?batch={batch}",
		"/indicators?provider=alder", "/indicators?state=IN_FORCE", "/indicators?state=PENDING_FIRST", "/indicators?state=REJECTED", "/indicators?kind=domain",
		"/indicators?after={item}", "/indicators?after=x", "/indicators?order=oldest&after={item}",
	},
	"/queue":                           {"/queue?step=privacy", "/queue?step=override", "/queue?step=first", "/queue?step=second", "/queue?step=first&after={item}"},
	"/deliveries":                      {"/deliveries?before=1772539200000001"},
	"/deliveries/{id}":                 {"/deliveries/{batch}?after=1"},
	"/providers/{id}/ledger":           {"/providers/alder/ledger?status=LOADED", "/providers/alder/ledger?status=REMOVED", "/providers/alder/ledger?after={place}", "/providers/alder/ledger?at=2026-03-03T12:00"},
	"/providers/{id}/in-force":         {"/providers/alder/in-force?after={item}"},
	"/feedback":                        {"/feedback?by=category", "/feedback?by=service", "/feedback?by=sector", "/feedback?days=90&service=smtp"},
	"/audit":                           {"/audit?subject={item}", "/audit?before=50"},
	"/api/v1/items":                    {"/api/v1/items?limit=1", "/api/v1/items?limit=2&after={item}", "/api/v1/items?state=PENDING_FIRST", "/api/v1/items?q=high", "/api/v1/items?q={item}", "/api/v1/items?batch={batch}", "/api/v1/items?provider=alder", "/api/v1/items?order=newest&limit=3"},
	"/api/v1/batches":                  {"/api/v1/batches?source=cedar", "/api/v1/batches?source=dogwood", "/api/v1/batches?limit=1"},
	"/api/v1/providers/{id}/ledger":    {"/api/v1/providers/alder/ledger?limit=1", "/api/v1/providers/alder/ledger?limit=1&after={place}", "/api/v1/providers/alder/ledger?item={item}"},
	"/api/v1/providers/{id}/in-force":  {"/api/v1/providers/alder/in-force?limit=1", "/api/v1/providers/alder/in-force?after={item}"},
	"/api/v1/feedback":                 {"/api/v1/feedback?by=category", "/api/v1/feedback?by=sector&days=90"},
	"/api/v1/search":                   {"/api/v1/search?q=example", "/api/v1/search?q=high*", "/api/v1/search?q=control", "/api/v1/search?q=source:cedar", "/api/v1/search?q=domain-name:value", "/api/v1/search?q=state:pending_first", "/api/v1/search?q=example&limit=1&after={item}"},
	"/search":                          {"/search?q=example", "/search?q=high*", "/search?q=control+server", "/search?q=high-1.example", "/search?q={item}"},
	"/api/v1/export":                   {"/api/v1/export?format=stix&q=example", "/api/v1/export?format=csv&q=control", "/api/v1/export?format=misp&q=high*", "/api/v1/export?format=list&q=source:cedar"},
	"/api/v1/comments":                 {"/api/v1/comments?subject=item:{item}", "/api/v1/comments?subject=object:{object}", "/api/v1/comments?subject=batch:{batch}", "/api/v1/comments?subject=source:cedar"},
	"/api/v1/tasks":                    {"/api/v1/tasks?subject=item:{item}", "/api/v1/tasks?subject=object:{object}"},
	"/api/v1/providers/{id}/rehearsal": {"/api/v1/providers/alder/rehearsal?q={item}", "/api/v1/providers/alder/rehearsal?q=high-1.example"},
	"/providers/{id}/rehearsal":        {"/providers/alder/rehearsal?q={item}", "/providers/alder/rehearsal?q=high-1.example"},
	"/api/v1/items/{id}/graph":         {"/api/v1/items/{item}/graph?depth=3"},
	"/api/v1/objects/{id}/graph":       {"/api/v1/objects/{object}/graph?depth=3"},
	"/deliveries/{id}/refusals":        {"/deliveries/{batch}/refusals?as=csv", "/deliveries/{batch}/refusals?as=json"},
	"/api/v1/audit":                    {"/api/v1/audit?subject={item}"},
}

// kinds say what stands for {id} behind a part of an address.
var kinds = map[string]string{
	"indicators": "{item}", "items": "{item}", "deliveries": "{batch}", "batches": "{batch}",
	"providers": "{provider}", "sources": "{source}", "objects": "{object}", "graph": "{object}",
	"uploads": "{upload}",
}

var part = regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`)

// addresses gives every address to fetch.
func addresses(t *testing.T, words map[string][]string) []string {
	t.Helper()
	var out []string
	for _, route := range routes(t, "GET") {
		before := ""
		parts := strings.Split(route, "/")
		for i, p := range parts {
			if part.MatchString(p) {
				kind := kinds[before]
				if words[p] != nil {
					kind = p
				}
				if kind == "" {
					t.Errorf("GET %s: say in this file what stands for %s, so that the test fetches it", route, p)
				}
				parts[i] = kind
			}
			before = p
		}
		for _, a := range append([]string{strings.Join(parts, "/")}, more[route]...) {
			out = append(out, fill(a, words)...)
		}
	}
	for route := range more {
		if !slices.Contains(routes(t, "GET"), route) {
			t.Errorf("there is no route GET %s any more: take its addresses out of this file", route)
		}
	}
	return out
}

// fill puts words in the places of an address, each in turn.
func fill(address string, words map[string][]string) []string {
	found := part.FindString(address)
	if found == "" {
		return []string{address}
	}
	var out []string
	for _, w := range words[found] {
		out = append(out, fill(strings.Replace(address, found, w, 1), words)...)
	}
	return out
}
