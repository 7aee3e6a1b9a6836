package arch

import (
	_ "embed"
	"fmt"
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// hubRules: the hub has no place for traffic.
var hubRules = []rule{
	{
		name:  "every column of the hub is known",
		why:   "the hub's database must have no column that can hold a client address, a query name outside an indicator, a mail address of a customer's user or the content of a message; a new column is reviewed by saying in columns.txt why it cannot",
		check: columns,
		broken: []breach{
			{"hub/internal/store/migrations/00099_breach.sql", "-- +goose Up\nCREATE TABLE sighting (\n    id bigint PRIMARY KEY,\n    client text NOT NULL -- seen\n);\n", "sighting.client is new"},
			{"hub/internal/store/migrations/00099_breach.sql", "-- +goose Up\nALTER TABLE node ADD COLUMN note text NOT NULL DEFAULT '';\n", "node.note is new"},
			{"hub/internal/store/migrations/00001_first.sql", "-- +goose Up\nCREATE TABLE account (login text PRIMARY KEY);\n", "account.person is listed"},
		},
	},
	{
		name:  "the hub has no words for traffic",
		why:   "a field or function named after a client, a query or a recipient is where traffic would begin to be kept; what legitimately has such a name is listed with its reason",
		check: hubWords,
		broken: []breach{
			{"hub/internal/feedback/breach.go", "package feedback\n\ntype breach struct{ ClientIP string }\n", "ClientIP"},
			{"hub/internal/release/breach.go", "package release\n\nfunc storeQname() {}\n", "storeQname"},
			{"hub/internal/store/migrations/00099_breach.sql", "CREATE TABLE breach (\n    rcpt text NOT NULL\n);\n", "rcpt"},
		},
	},
	{
		name:   "the hub does not keep addresses of connections",
		why:    "the address of a node or of a person's browser is for limiting attempts, in memory, and nothing else",
		check:  connections,
		broken: []breach{{"hub/internal/api/breach.go", "package api\n\nimport \"net/http\"\n\nfunc breach(r *http.Request) string { return r.RemoteAddr }\n", "api/breach.go:5"}},
	},
}

//go:embed columns.txt
var columnList string

var (
	createTable = regexp.MustCompile(`(?s)CREATE TABLE (?:IF NOT EXISTS )?([a-z_]+)\s*\((.*?)\n?\)\s*;`)
	addColumn   = regexp.MustCompile(`ALTER TABLE ([a-z_]+) ADD (?:COLUMN )?([a-z_]+)`)
	sqlComment  = regexp.MustCompile(`--[^\n]*|/\*[^\n]*?\*/`)
	columnName  = regexp.MustCompile(`^[a-z_]+$`)
)

// hubColumns gives every column that the migrations make, as table.column.
func hubColumns(t *tree) map[string]bool {
	got := map[string]bool{}
	for _, f := range t.sorted("hub/internal/store/migrations") {
		text := sqlComment.ReplaceAllString(f.text, "")
		for _, m := range createTable.FindAllStringSubmatch(text, -1) {
			for line := range strings.SplitSeq(m[2], ",") {
				words := strings.Fields(line)
				if len(words) > 1 && columnName.MatchString(words[0]) {
					got[m[1]+"."+words[0]] = true
				}
			}
		}
		for _, m := range addColumn.FindAllStringSubmatch(text, -1) {
			got[m[1]+"."+m[2]] = true
		}
	}
	return got
}

// listedColumns reads columns.txt: lines of a table, a colon, columns, a bar and
// the reason.
func listedColumns() (map[string]string, []string) {
	listed := map[string]string{}
	var out []string
	for line := range strings.Lines(columnList) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		left, why, ok := strings.Cut(line, "|")
		table, names, ok2 := strings.Cut(left, ":")
		why = strings.TrimSpace(why)
		if !ok || !ok2 || len(why) < 7 {
			out = append(out, fmt.Sprintf("columns.txt: %q: want «table: column column | reason»", line))
			continue
		}
		for _, n := range strings.Fields(names) {
			name := strings.TrimSpace(table) + "." + n
			if listed[name] != "" {
				out = append(out, "columns.txt: "+name+" is listed twice")
			}
			listed[name] = why
		}
	}
	return listed, out
}

func columns(t *tree) []string {
	listed, out := listedColumns()
	got := hubColumns(t)
	if len(got) < 100 && t.files["hub/internal/store/migrations/00001_first.sql"] == nil {
		out = append(out, "the hub's migrations were not found: when they moved, this rule moves with them")
	}
	for _, c := range slices.Sorted(maps.Keys(got)) {
		if listed[c] == "" {
			out = append(out, c+" is new: say in test/arch/columns.txt why it cannot hold anything of a customer's traffic")
		}
	}
	for _, c := range slices.Sorted(maps.Keys(listed)) {
		if !got[c] {
			out = append(out, c+" is listed in test/arch/columns.txt and no longer there")
		}
	}
	return out
}

// trafficWords are parts of names that the hub has no use for.
var trafficWords = map[string]string{
	"client": "an end user's machine", "qname": "a name that somebody looked up", "qtype": "a look-up",
	"queryname": "a name that somebody looked up", "rcpt": "who gets a mail", "recipient": "who gets a mail",
	"mailbox": "a person's mail", "subscriber": "an end user", "victim": "an end user", "sighting": "a match in traffic",
	"flow": "a connection", "packet": "a piece of traffic", "payload": "content", "srcip": "an end user's address",
	"dstip": "whom somebody talked to", "remoteip": "an end user's address", "useragent": "an end user's program",
	"customer": "whom a provider serves; the hub knows entities and bucketed numbers of customers",
}

// hubMayName are names with such a word that are not about traffic.
var hubMayName = map[string]string{}

func hubWords(t *tree) []string {
	var out []string
	check := func(where, name string) {
		for _, w := range words(name) {
			why, bad := trafficWords[w]
			if bad && hubMayName[name] == "" {
				out = append(out, fmt.Sprintf("%s: %s speaks of %s", where, name, why))
			}
		}
	}
	for _, f := range t.source("hub") {
		if strings.HasSuffix(f.dir, "test") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				check(f.at(n.Pos()), n.Name.Name)
			case *ast.TypeSpec:
				check(f.at(n.Pos()), n.Name.Name)
			case *ast.StructType:
				for _, field := range n.Fields.List {
					for _, name := range field.Names {
						check(f.at(name.Pos()), name.Name)
					}
				}
			}
			return true
		})
	}
	for _, f := range t.sorted("hub/internal/store/migrations") {
		for i, line := range strings.Split(sqlComment.ReplaceAllString(f.text, ""), "\n") {
			for name := range strings.FieldsFuncSeq(line, func(r rune) bool { return r != '_' && !unicode.IsLower(r) }) {
				check(fmt.Sprintf("%s:%d", f.path, i+1), name)
			}
		}
	}
	return out
}

// words cuts a name into its words in lower case, and joins neighbors too, so
// that QName is found as qname.
func words(name string) []string {
	var parts []string
	start := 0
	runes := []rune(name)
	for i := 1; i <= len(runes); i++ {
		if i == len(runes) || runes[i] == '_' || runes[i-1] == '_' ||
			unicode.IsUpper(runes[i]) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			parts = append(parts, strings.Trim(strings.ToLower(string(runes[start:i])), "_"))
			start = i
		}
	}
	all := slices.Clone(parts)
	for i := 1; i < len(parts); i++ {
		all = append(all, parts[i-1]+parts[i])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// connectionUses are the only places that look at a connection's address.
var connectionUses = map[string]string{
	"hub/internal/door/enrol.go": "limits attempts to enroll by address, in memory",
	"internal/signin/http.go":    "limits attempts to sign in by address, in memory",
}

func connections(t *tree) []string {
	var out []string
	used := map[string]bool{}
	for _, f := range slices.Concat(t.source("hub"), t.source("internal"), t.source("web")) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if ok && s.Sel.Name == "RemoteAddr" {
				used[f.path] = true
				if connectionUses[f.path] == "" {
					out = append(out, f.at(s.Pos())+" looks at a connection's address")
				}
			}
			return true
		})
	}
	for p := range connectionUses {
		if !used[p] {
			out = append(out, p+" is listed and no longer looks at a connection's address: take it off the list")
		}
	}
	return out
}
