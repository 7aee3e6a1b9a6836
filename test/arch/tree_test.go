package arch

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// maxLines is the longest that a file of ours may be.
const maxLines = 700

// treeRules: the order of the house.
var treeRules = []rule{
	{
		name:   "every package says what it is for",
		why:    "a newcomer reads the package comment first: what it is for, what it is not for, its invariants",
		check:  packageComments,
		broken: []breach{{"internal/breach/breach.go", "package breach\n", "internal/breach has no package comment"}},
	},
	{
		name:   "packages are named after what they hold",
		why:    "a package that is named after nothing collects everything",
		check:  packageNames,
		broken: []breach{{"internal/util/util.go", "// Package util is a breach.\npackage util\n", "internal/util"}},
	},
	{
		name:   "no file is longer than 700 lines",
		why:    "a file is read from top to bottom; what is longer holds two things",
		check:  longFiles,
		broken: []breach{{"web/breach.go", "package web\n" + strings.Repeat("\n", maxLines), "web/breach.go has 701 lines"}},
	},
	{
		name:  "no path of a machine and no host of a registry",
		why:   "the project builds and runs anywhere: what only one machine has is configuration",
		check: machinePaths,
		broken: []breach{
			{"web/breach.go", "package web\n\n// See /" + "root/notes.\n", "web/breach.go:3"},
			{"docs/breach.md", "GOPROXY=https://proxy." + "golang.org\n", "docs/breach.md:1"},
		},
	},
	{
		name:  "nothing needs cgo",
		why:   "the program is one static binary that is built by one command for every platform",
		check: noCgo,
		broken: []breach{
			{"web/breach.go", "package web\n\nimport \"C\"\n", "web/breach.go"},
			{"go.mod", "module ecs\n\nrequire github.com/mattn/go-sqlite3 v1.14.0\n", "github.com/mattn/go-sqlite3"},
			{"go.mod", "module ecs\n\nrequire github.com/golangci/golangci-lint/v2 v2.0.0\n", "golangci-lint"},
		},
	},
	{
		name:   "nothing is left undone in the text",
		why:    "what is not built is said in the release notes and the issue, not in a comment that nobody reads",
		check:  leftUndone,
		broken: []breach{{"web/breach.go", "package web\n\n// TO" + "DO: later\n", "web/breach.go:3"}},
	},
	{
		name:  "a check that is switched off says which and why",
		why:   "an exception without its reason outlives the reason",
		check: bareNolint,
		broken: []breach{
			{"web/breach.go", "package web\n\nvar breach = 1 //no" + "lint\n", "web/breach.go:3"},
			{"web/breach.go", "package web\n\nvar breach = 1 //no" + "lint:errcheck\n", "web/breach.go:3"},
		},
	},
}

func packageComments(t *tree) []string {
	var out []string
	for _, dir := range t.packages("") {
		said, onlyTests := false, true
		for _, f := range t.sorted(dir) {
			if f.dir == dir && f.ast != nil && !f.test {
				onlyTests = false
			}
		}
		for _, f := range t.sorted(dir) {
			if f.dir != dir || f.ast == nil || f.ast.Doc == nil || (f.test && !onlyTests) {
				continue
			}
			text := f.ast.Doc.Text()
			said = said || strings.HasPrefix(text, "Package "+f.ast.Name.Name+" ") || (f.ast.Name.Name == "main" && strings.HasPrefix(text, "Command "))
		}
		if !said {
			out = append(out, dir+" has no package comment that begins with «Package NAME» or «Command NAME»")
		}
	}
	return out
}

// nothings are names that say nothing.
var nothings = []string{"util", "utils", "common", "helper", "helpers", "type", "types", "model", "models", "misc", "base", "shared", "lib", "core", "manager", "interfaces"}

func packageNames(t *tree) []string {
	var out []string
	for _, dir := range t.packages("") {
		if slices.Contains(nothings, path.Base(dir)) {
			out = append(out, dir+": name it after what it holds")
		}
	}
	return out
}

func longFiles(t *tree) []string {
	var out []string
	for _, f := range t.sorted("") {
		if f.ast == nil {
			continue
		}
		if n := strings.Count(f.text, "\n"); n > maxLines {
			out = append(out, fmt.Sprintf("%s has %d lines", f.path, n))
		}
	}
	return out
}

// machines finds absolute paths of places where people and build machines keep
// checkouts, and hosts from which packages are downloaded.
var machines = regexp.MustCompile(`(?:^|[^\w.\-/*])/(?:root|work|workspace|builds)/[\w.]|(?:proxy|sum)\.golang\.org|registry\.npmjs\.org|(?:deb|ftp)\.debian\.org`)

func machinePaths(t *tree) []string {
	var out []string
	for _, f := range t.sorted("") {
		if f.dir == "tools" && path.Ext(f.path) == ".mod" {
			continue
		}
		for i, line := range strings.Split(f.text, "\n") {
			if m := machines.FindString(line); m != "" {
				out = append(out, fmt.Sprintf("%s:%d: %s", f.path, i+1, strings.TrimSpace(m)))
			}
		}
	}
	return out
}

// foreign are modules that must not be required, and why.
var foreign = map[string]string{
	"github.com/mattn/go-sqlite3":      "needs cgo; modernc.org/sqlite does not",
	"github.com/duckdb/duckdb-go":      "needs cgo; the flows are Parquet, which DuckDB reads from outside",
	"github.com/marcboeker/go-duckdb":  "needs cgo; the flows are Parquet, which DuckDB reads from outside",
	"github.com/hillu/go-yara":         "needs cgo; a scanner is asked over its socket",
	"github.com/VirusTotal/yara-x":     "needs cgo; a scanner is asked over its socket",
	"github.com/flier/gohs":            "needs cgo; patterns have selective atoms",
	"github.com/google/gopacket":       "needs libpcap; github.com/gopacket/gopacket/pcapgo does not",
	"github.com/confluentinc":          "needs cgo",
	"github.com/DataDog/zstd":          "needs cgo; github.com/klauspost/compress does not",
	"github.com/golangci":              "a tool: tools/go.mod, so that its dependencies never enter ours",
	"honnef.co/go/tools":               "a tool: tools/go.mod",
	"mvdan.cc/gofumpt":                 "a tool: tools/go.mod",
	"golang.org/x/vuln":                "a tool: tools/go.mod",
	"github.com/AdguardTeam":           "AGPL",
	"github.com/stretchr/testify/mock": "no mocks; doubles are written by hand",
}

func noCgo(t *tree) []string {
	var out []string
	for _, f := range t.sorted("") {
		if slices.Contains(f.imports(), "C") {
			out = append(out, f.path+" imports C")
		}
	}
	mod, err := modfile.Parse("go.mod", []byte(t.files["go.mod"].text), nil)
	if err != nil {
		return append(out, err.Error())
	}
	for _, r := range mod.Require {
		for bad, why := range foreign {
			if within(r.Mod.Path, bad) {
				out = append(out, fmt.Sprintf("go.mod requires %s: %s", r.Mod.Path, why))
			}
		}
	}
	return out
}

var undone = regexp.MustCompile(`\b(?:TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

func leftUndone(t *tree) []string {
	var out []string
	for _, f := range t.sorted("") {
		if f.ast == nil {
			continue
		}
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if m := undone.FindString(c.Text); m != "" && !strings.Contains(c.Text, "-run "+m) {
					out = append(out, f.at(c.Pos())+": "+m)
				}
			}
		}
	}
	return out
}

var nolint = regexp.MustCompile(`^//\s?nolint(:[a-z0-9,]+)?( // \S.*)?$`)

func bareNolint(t *tree) []string {
	var out []string
	for _, f := range t.sorted("") {
		if f.ast == nil {
			continue
		}
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				m := nolint.FindStringSubmatch(c.Text)
				if m != nil && (m[1] == "" || m[2] == "") {
					out = append(out, f.at(c.Pos())+": want «//nolint:LINTER // reason»")
				}
			}
		}
	}
	return out
}
