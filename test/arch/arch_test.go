// Package arch holds the repository to ARCHITECTURE.md: each rule of that page
// is a test here, and each failure says why the rule is there. It reads the
// source files themselves, so that a cached result is never older than they are.
//
// Every rule has been broken once: beside each stands at least one file that
// breaks it, laid over the real tree, and the rule has to find it.
package arch

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path of the product's module.
const module = "ecs"

// rule is one sentence of ARCHITECTURE.md.
type rule struct {
	name   string
	why    string
	check  func(*tree) []string // findings; none when the rule holds
	broken []breach
}

// breach is a change of the tree that the rule has to find.
type breach struct {
	path, text string
	want       string // in a finding that was not there before
}

func allRules() []rule {
	return slices.Concat(wallRules, doorRules, hubRules, decisionRules, treeRules, pageRules)
}

func TestRules(t *testing.T) {
	real := load(t)
	for _, r := range allRules() {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range r.check(real) {
				t.Errorf("%s\n    why: %s", f, r.why)
			}
		})
	}
}

func TestEachRuleFindsItsBreach(t *testing.T) {
	real := load(t)
	for _, r := range allRules() {
		if r.why == "" || len(r.broken) == 0 {
			t.Errorf("%s: a rule needs its reason and a breach that it finds", r.name)
		}
		before := r.check(real)
		for _, b := range r.broken {
			t.Run(r.name+"/"+b.want, func(t *testing.T) {
				after := r.check(real.with(t, b.path, b.text))
				for _, f := range after {
					if strings.Contains(f, b.want) && !slices.Contains(before, f) {
						return
					}
				}
				t.Errorf("%s was not found; found: %q", b.path, after)
			})
		}
	}
}

// tree is what the rules look at.
type tree struct {
	files map[string]*file // by path from the root, with slashes

	product map[string][]string // imports of ours by folder, tests aside; made when first needed
	tests   map[string][]string // those of tests alone
}

type file struct {
	path string
	dir  string
	test bool
	text string
	ast  *ast.File // nil unless it is Go
	fset *token.FileSet
}

// root is the repository's, seen from this folder.
const root = "../.."

// left out: what is not ours (web/assets has pages of others, with their
// license), what is made, and inputs of tests, which may hold anything.
func leftOut(p string) bool {
	switch path.Base(p) {
	case ".git", "bin", ".demo", ".tools", "node_modules", "testdata", "vectors":
		return true
	}
	return p == "web/assets" || p == "go.sum" || p == "tools/go.sum"
}

func load(t *testing.T) *tree {
	t.Helper()
	fsys := os.DirFS(root)
	tr := &tree{files: map[string]*file{}}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if leftOut(p) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || !isText(p) {
			return nil
		}
		b, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		tr.files[p] = parse(t, p, string(b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.files) < 300 || tr.files["go.mod"] == nil {
		t.Fatalf("only %d files: this test must run in test/arch of the repository", len(tr.files))
	}
	return tr
}

func isText(p string) bool {
	switch path.Ext(p) {
	case ".go", ".md", ".mod", ".sql", ".yaml", ".yml", ".csv", ".html", ".sh", ".txt", ".js", ".css", ".json", ".cedar", ".cedarschema":
		return true
	}
	return path.Base(p) == "Makefile" || strings.HasPrefix(p, ".ci/") || strings.HasPrefix(p, "tools/")
}

func parse(t *testing.T, p, text string) *file {
	t.Helper()
	f := &file{path: p, dir: path.Dir(p), text: text, test: strings.HasSuffix(p, "_test.go")}
	if path.Ext(p) != ".go" {
		return f
	}
	f.fset = token.NewFileSet()
	var err error
	f.ast, err = parser.ParseFile(f.fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// with gives the tree as it would be with one file changed.
func (t *tree) with(tb *testing.T, p, text string) *tree {
	tb.Helper()
	out := &tree{files: maps.Clone(t.files)}
	out.files[p] = parse(tb, p, text)
	return out
}

// sorted gives the files below a folder ("" for all) in order of their paths.
func (t *tree) sorted(under string) []*file {
	var out []*file
	for p, f := range t.files {
		if under == "" || within(p, under) {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b *file) int { return cmp.Compare(a.path, b.path) })
	return out
}

// source gives the Go files below a folder, tests aside.
func (t *tree) source(under string) []*file {
	return slices.DeleteFunc(t.sorted(under), func(f *file) bool { return f.ast == nil || f.test })
}

// within says whether a path is a folder or lies below it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, folder+"/")
}

// imports gives what a file imports.
func (f *file) imports() []string {
	if f.ast == nil {
		return nil
	}
	var out []string
	for _, s := range f.ast.Imports {
		p, err := strconv.Unquote(s.Path.Value)
		if err == nil {
			out = append(out, p)
		}
	}
	return out
}

// at gives a place in a file for a finding.
func (f *file) at(p token.Pos) string {
	pos := f.fset.Position(p)
	return f.path + ":" + strconv.Itoa(pos.Line)
}

// ours gives the folder of a package of this module.
func ours(imported string) (dir string, ok bool) {
	return strings.CutPrefix(imported, module+"/")
}

// standard says whether a package is of Go's own library.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return first != module && !strings.Contains(first, ".")
}

// closure gives the folders that a package reaches, each with the one that
// imports it, so that a chain can be shown. Tests count for the package itself
// but not for those that it imports, as in the build.
func (t *tree) closure(dir string) map[string]string {
	t.readImports()
	from := map[string]string{}
	todo := []string{dir}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		direct := t.product[at]
		if at == dir {
			direct = slices.Concat(direct, t.tests[at])
		}
		for _, d := range direct {
			_, seen := from[d]
			if !seen && d != dir {
				from[d] = at
				todo = append(todo, d)
			}
		}
	}
	return from
}

func (t *tree) readImports() {
	if t.product != nil {
		return
	}
	t.product, t.tests = map[string][]string{}, map[string][]string{}
	for _, f := range t.sorted("") {
		into := t.product
		if f.test {
			into = t.tests
		}
		for _, i := range f.imports() {
			d, own := ours(i)
			if own && !slices.Contains(into[f.dir], d) {
				into[f.dir] = append(into[f.dir], d)
			}
		}
	}
}

// chain shows how a package is reached.
func chain(from map[string]string, to string) string {
	parts := []string{to}
	for at, ok := from[to]; ok; at, ok = from[at] {
		parts = append(parts, at)
	}
	slices.Reverse(parts)
	return strings.Join(parts, " → ")
}

// packages gives the folders that hold Go files, below a folder.
func (t *tree) packages(under string) []string {
	seen := map[string]bool{}
	for _, f := range t.sorted(under) {
		if f.ast != nil {
			seen[f.dir] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
