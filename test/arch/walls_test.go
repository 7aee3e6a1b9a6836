package arch

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// wallRules: who may know whom.
var wallRules = []rule{
	{
		name:  "the houses do not know each other",
		why:   "the hub must have no code path on which traffic could reach it, and a provider none on which it could act as the hub; what passes is written in contract/",
		check: housesApart,
		broken: []breach{
			{"hub/internal/intake/breach.go", "package intake\n\nimport _ \"ecs/provider\"\n", "hub/internal/intake → provider"},
			{"provider/internal/dns/breach.go", "package dns\n\nimport _ \"ecs/hub\"\n", "provider/internal/dns → hub"},
			{"hub/breach_test.go", "package hub\n\nimport _ \"ecs/provider\"\n", "hub → provider"},
			{"internal/secret/breach.go", "package secret\n\nimport _ \"ecs/provider\"\n", "internal/secret → provider"},
		},
	},
	{
		name:   "only cmd/ecs knows both houses",
		why:    "a package that knew both could carry things past the door; the one program is where they meet, over the network",
		check:  onlyTheProgramKnowsBoth,
		broken: []breach{{"web/breach.go", "package web\n\nimport (\n\t_ \"ecs/hub\"\n\t_ \"ecs/provider\"\n)\n", "web reaches both"}},
	},
	{
		name:  "contract and stix use the standard library alone",
		why:   "anyone must be able to read the promise and the formats without reading a dependency, and the door's bytes must not change with somebody else's release",
		check: pure,
		broken: []breach{
			{"contract/breach.go", "package contract\n\nimport _ \"golang.org/x/text/unicode/norm\"\n", "contract/breach.go imports golang.org/x/text"},
			{"contract/breach.go", "package contract\n\nimport _ \"ecs/observable\"\n", "contract/breach.go imports ecs/observable"},
			{"stix/pattern/breach.go", "package pattern\n\nimport _ \"github.com/google/uuid\"\n", "stix/pattern/breach.go imports github.com/google/uuid"},
		},
	},
	{
		name:  "public packages, plumbing and pages know no house",
		why:   "both houses build on them: one that knew a house would be a bridge between the two",
		check: knowNoHouse,
		broken: []breach{
			{"taxii/breach.go", "package taxii\n\nimport _ \"ecs/hub\"\n", "taxii reaches hub"},
			{"observable/breach.go", "package observable\n\nimport _ \"ecs/provider\"\n", "observable reaches provider"},
			{"internal/audit/breach.go", "package audit\n\nimport _ \"ecs/hub\"\n", "internal/audit reaches hub"},
		},
	},
	{
		name:   "plumbing knows nothing of the domain",
		why:    "internal/ is for what any server needs; a package there that knows indicators belongs to a house or to the public packages",
		check:  plumbing,
		broken: []breach{{"internal/config/breach.go", "package config\n\nimport _ \"ecs/contract\"\n", "internal/config/breach.go imports ecs/contract"}},
	},
	{
		name:   "rooms do not know each other",
		why:    "each service must be understood, tested, run and replaced by itself; what they share is the list, the customers and the recorder",
		check:  roomsApart,
		broken: []breach{{"provider/internal/mail/mime/breach.go", "package mime\n\nimport _ \"ecs/provider/internal/dns/wire\"\n", "mail/mime → provider/internal/dns/wire"}},
	},
	{
		name:  "hotpath.go is straight-line code",
		why:   "it runs for every packet, message and flow: what allocates, locks, blocks or reflects there is paid millions of times, and what logs there could log traffic",
		check: hotPaths,
		broken: []breach{
			{"provider/internal/dns/hotpath.go", "package dns\n\nimport _ \"log/slog\"\n", "imports log/slog"},
			{"provider/internal/flow/hotpath.go", "package flow\n\nimport _ \"ecs/internal/sqldb\"\n", "imports ecs/internal/sqldb"},
			{"provider/internal/mail/hotpath.go", "package mail\n\nfunc breach() { go func() {}() }\n", "starts a goroutine"},
			{"provider/internal/mail/hotpath.go", "package mail\n\nfunc (r *Room) breach() { r.mu.Lock() }\n", "takes a lock"},
		},
	},
	{
		name:   "only anonymise makes feedback",
		why:    "what leaves a provider about its customers passes one place that applies consent, thresholds and rounding; a second maker would be a second rule",
		check:  oneMakerOfFeedback,
		broken: []breach{{"provider/internal/link/breach.go", "package link\n\nimport \"ecs/contract\"\n\nvar breach = contract.NewFeedback\n", "link/breach.go:5"}},
	},
	{
		name:  "link knows nothing of customers and traffic",
		why:   "link is the only code that talks to the hub: what it cannot name it cannot send",
		check: linkIsBlind,
		broken: []breach{
			{"provider/internal/link/breach.go", "package link\n\nimport _ \"ecs/provider/internal/sighting\"\n", "imports ecs/provider/internal/sighting"},
			{"provider/internal/link/breach.go", "package link\n\nconst breach = `SELECT client FROM sighting`\n", "table sighting"},
		},
	},
	{
		name:   "only link and notice make requests",
		why:    "every connection that leaves a provider's node is of a kind that the privacy page names: to the hub by link, to customers by notice, to resolvers and mail servers by the rooms' own protocols",
		check:  fewCallers,
		broken: []breach{{"provider/internal/sighting/breach.go", "package sighting\n\nimport \"net/http\"\n\nvar breach = http.DefaultClient\n", "http.DefaultClient"}},
	},
	{
		name:   "unsafe code is where it is listed",
		why:    "unsafe could write the hidden fields of contract.Feedback; the few system calls that need it are known by name",
		check:  unsafeCode,
		broken: []breach{{"provider/internal/link/breach.go", "package link\n\nimport _ \"unsafe\"\n", "link/breach.go"}},
	},
}

var houses = []string{"hub", "provider"}

func housesApart(t *tree) []string {
	var out []string
	for i, house := range houses {
		other := houses[1-i]
		for _, dir := range t.packages(house) {
			from := t.closure(dir)
			for _, d := range slices.Sorted(maps.Keys(from)) {
				if within(d, other) {
					out = append(out, chain(from, d))
				}
			}
		}
	}
	return out
}

func onlyTheProgramKnowsBoth(t *tree) []string {
	var out []string
	for _, dir := range t.packages("") {
		if dir == "cmd/ecs" {
			continue
		}
		from := t.closure(dir)
		_, hub := from["hub"]
		_, provider := from["provider"]
		if hub && provider {
			out = append(out, dir+" reaches both houses: "+chain(from, "hub")+"; "+chain(from, "provider"))
		}
	}
	return out
}

func pure(t *tree) []string {
	var out []string
	for _, under := range []string{"contract", "stix"} {
		for _, f := range t.source(under) {
			for _, i := range f.imports() {
				d, own := ours(i)
				if !standard(i) && (!own || !within(d, under)) {
					out = append(out, f.path+" imports "+i)
				}
			}
		}
	}
	return out
}

func knowNoHouse(t *tree) []string {
	var out []string
	for _, under := range []string{"contract", "observable", "stix", "taxii", "web", "internal"} {
		for _, dir := range t.packages(under) {
			from := t.closure(dir)
			for _, d := range slices.Sorted(maps.Keys(from)) {
				if within(d, "hub") || within(d, "provider") {
					out = append(out, fmt.Sprintf("%s reaches %s: %s", dir, d, chain(from, d)))
				}
			}
		}
	}
	return out
}

func plumbing(t *tree) []string {
	var out []string
	for _, f := range t.source("internal") {
		for _, i := range f.imports() {
			d, own := ours(i)
			if own && !within(d, "internal") {
				out = append(out, f.path+" imports "+i)
			}
		}
	}
	return out
}

var rooms = []string{"provider/internal/dns", "provider/internal/mail", "provider/internal/flow"}

func roomsApart(t *tree) []string {
	var out []string
	for _, room := range rooms {
		if len(t.packages(room)) == 0 || t.files[room+"/hotpath.go"] == nil || t.files[room+"/README.md"] == nil {
			out = append(out, room+": a room has a hotpath.go and a README.md; when it moved, this rule moves with it")
		}
		for _, dir := range t.packages(room) {
			from := t.closure(dir)
			for _, d := range slices.Sorted(maps.Keys(from)) {
				for _, other := range rooms {
					if other != room && within(d, other) {
						out = append(out, chain(from, d))
					}
				}
			}
		}
	}
	return out
}

// slow is what hotpath.go may not import, by the beginning of the path.
var slow = map[string]string{
	"database/sql":                 "a query takes a thousand times the budget; record in the sighting queue",
	"ecs/internal/sqldb":           "a query takes a thousand times the budget; record in the sighting queue",
	"net/http":                     "nothing is asked of anybody on the path",
	"log":                          "a line a packet fills a disk and may hold traffic; count in an atomic, see metrics.go",
	"reflect":                      "allocates and hides what happens; write it out",
	"encoding/json":                "reflects and allocates; read bytes with the room's own wire code",
	"fmt":                          "reflects and allocates; hand on values and format them where they are shown",
	"os":                           "system calls belong to listen.go",
	"sync":                         "readers never lock: the list is immutable and swapped by one atomic pointer",
	"time":                         "the clock is read once for each batch by listen.go and handed in",
	"github.com/prometheus":        "counters on the path are plain atomics; metrics.go exports them",
	"ecs/internal/audit":           "people are audited, traffic is not",
	"ecs/provider/internal/notice": "notices are made from sightings, off the path",
}

func hotPaths(t *tree) []string {
	var out []string
	for _, f := range t.sorted("") {
		if f.ast == nil || !strings.HasSuffix(f.path, "/hotpath.go") {
			continue
		}
		for _, i := range f.imports() {
			for bad, instead := range slow {
				if i != "sync/atomic" && within(i, bad) {
					out = append(out, fmt.Sprintf("%s imports %s: %s", f.path, i, instead))
				}
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				out = append(out, f.at(n.Pos())+" starts a goroutine: workers are started by listen.go")
			case *ast.CallExpr:
				s, ok := n.Fun.(*ast.SelectorExpr)
				if ok && (s.Sel.Name == "Lock" || s.Sel.Name == "RLock") {
					out = append(out, f.at(n.Pos())+" takes a lock: readers never do")
				}
			}
			return true
		})
	}
	slices.Sort(out)
	return out
}

func oneMakerOfFeedback(t *tree) []string {
	const maker = "provider/internal/anonymise"
	var out []string
	made := false
	for _, f := range t.source("") {
		for _, s := range f.uses("ecs/contract", "NewFeedback") {
			if f.dir == maker {
				made = true
			} else {
				out = append(out, f.at(s.Pos())+" makes feedback")
			}
		}
	}
	if !made {
		out = append(out, maker+" makes no feedback: when it moved, this rule moves with it")
	}
	return out
}

// uses finds where a file names something of a package.
func (f *file) uses(imported string, names ...string) []*ast.SelectorExpr {
	local := ""
	for _, s := range f.ast.Imports {
		if s.Path.Value == `"`+imported+`"` {
			local = imported[strings.LastIndex(imported, "/")+1:]
			if s.Name != nil {
				local = s.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	var out []*ast.SelectorExpr
	ast.Inspect(f.ast, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if ok && x.Name == local && slices.Contains(names, s.Sel.Name) {
			out = append(out, s)
		}
		return true
	})
	return out
}

// linkMayKnow is all of ours that link may import; see the package's comment.
var linkMayKnow = []string{
	"ecs/contract", "ecs/observable", // the door, and how a pattern breaks down
	"ecs/internal/certs", "ecs/internal/secret", "ecs/internal/sqldb",
	"ecs/provider/internal/match", "ecs/provider/internal/vault", // where the list goes
}

func linkIsBlind(t *tree) []string {
	var out []string
	files := t.source("provider/internal/link")
	if len(files) == 0 {
		out = append(out, "provider/internal/link is gone: when it moved, this rule moves with it")
	}
	for _, f := range files {
		for _, i := range f.imports() {
			_, own := ours(i)
			if own && !slices.Contains(linkMayKnow, i) {
				out = append(out, f.path+" imports "+i)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok {
				return true
			}
			for _, m := range tableName.FindAllStringSubmatch(lit.Value, -1) {
				if m[1] != "link_state" {
					out = append(out, f.at(lit.Pos())+" names the table "+m[1])
				}
			}
			return true
		})
	}
	return out
}

func fewCallers(t *tree) []string {
	var out []string
	for _, f := range t.source("provider") {
		if f.dir == "provider/internal/link" || f.dir == "provider/internal/notice" || strings.HasSuffix(f.dir, "/benchserver") {
			continue
		}
		for _, s := range f.uses("net/http", "Client", "DefaultClient", "Get", "Post", "PostForm", "Head", "NewRequest", "NewRequestWithContext", "Transport") {
			out = append(out, f.at(s.Pos())+" uses http."+s.Sel.Name)
		}
	}
	return out
}

// unsafeFiles are those that may import unsafe, and why.
var unsafeFiles = map[string]string{
	"provider/internal/dns/socket_linux.go": "sendmmsg takes an array of structures that point to each other",
	"provider/internal/flow/listen.go":      "recvmmsg likewise",
	"bench/dns/net.go":                      "the load generator's recvmmsg and sendmmsg; no product",
	"bench/flow/export.go":                  "the exporter's sendmmsg; no product",
}

func unsafeCode(t *tree) []string {
	var out []string
	used := map[string]bool{}
	for _, f := range t.source("") {
		if slices.Contains(f.imports(), "unsafe") {
			used[f.path] = true
			if unsafeFiles[f.path] == "" {
				out = append(out, f.path+" imports unsafe and is not in the list of this test")
			}
		}
		if strings.Contains(f.text, "//go:"+"linkname") {
			out = append(out, f.path+" links to names of other packages")
		}
	}
	for p := range unsafeFiles {
		if !used[p] {
			out = append(out, p+" is listed and does not import unsafe: take it off the list")
		}
	}
	slices.Sort(out)
	return out
}
