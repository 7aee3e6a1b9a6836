package arch

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
)

// decisionRules: one function says what a provider may have.
var decisionRules = []rule{
	{
		name:  "only decision compares handlings and ceilings with providers",
		why:   "what a provider may have is answered in one place for every outlet: a second comparison is a second answer, and the seam between the two is where such systems leak",
		check: oneDecision,
		broken: []breach{
			{"hub/internal/door/breach.go", "package door\n\nimport \"ecs/hub/internal/program\"\n\nfunc breach(p program.Provider, tlp int) bool { return tlp > int(p.Ceiling) }\n", "door/breach.go:5 compares a ceiling"},
			{"hub/internal/console/breach.go", "package console\n\nfunc breach(x struct{ Ceiling int }, tlp int) bool { return tlp > x.Ceiling }\n", "console/breach.go:3 compares a ceiling"},
			{"hub/internal/release/breach.go", "package release\n\nimport (\n\t\"time\"\n\n\t\"ecs/hub/internal/marking\"\n)\n\nfunc breach(h marking.Handling, c marking.Clearance) bool { return h.MayFor(marking.Enforce, c, time.Time{}).Yes }\n", "release/breach.go:9 asks a handling for somebody"},
			{"hub/internal/api/breach.go", "package api\n\nimport \"ecs/hub/internal/marking\"\n\nfunc breach(h marking.Handling, c marking.Clearance) bool { ok, _ := h.Holds(c); return ok }\n", "api/breach.go:5 holds a handling against a clearance"},
			{"hub/internal/feedback/breach.go", "package feedback\n\nconst breach = `SELECT id FROM provider WHERE ceiling >= $1`\n", "feedback/breach.go:3 asks the database for a provider's ceiling"},
		},
	},
}

// mayCompare lists who may hold what against what besides decision, and why.
var mayCompare = map[string][]string{
	"asks a handling for somebody":               {"hub/internal/marking"},
	"holds a handling against a clearance":       {"hub/internal/marking", "hub/internal/access" /* people */, "hub/internal/intake" /* the instance itself */},
	"compares a ceiling":                         {"hub/internal/program" /* checks what is entered */, "hub/internal/intake" /* of sources and of the instance */, "hub/internal/policy" /* of lifetimes */},
	"asks the database for a provider's ceiling": {"hub/internal/program"},
}

var ceilingOfProvider = regexp.MustCompile(`(?is)\bprovider\b.*\b(?:ceiling|clearance)\b|\b(?:ceiling|clearance)\b.*\bprovider\b`)

func oneDecision(t *tree) []string {
	var out []string
	for _, f := range t.source("hub") {
		if within(f.dir, "hub/internal/decision") {
			continue
		}
		found := func(p token.Pos, what string) {
			if !slices.ContainsFunc(mayCompare[what], func(dir string) bool { return within(f.dir, dir) }) {
				out = append(out, f.at(p)+" "+what)
			}
		}
		marks := slices.Contains(f.imports(), module+"/hub/internal/marking")
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.SelectorExpr:
				if x.Sel.Name == "MayFor" {
					found(x.Pos(), "asks a handling for somebody")
				}
			case *ast.CallExpr:
				s, ok := x.Fun.(*ast.SelectorExpr)
				if ok && marks && s.Sel.Name == "Holds" && len(x.Args) == 1 {
					found(x.Pos(), "holds a handling against a clearance")
				}
			case *ast.BinaryExpr:
				if compares(x.Op) && (isCeiling(x.X) || isCeiling(x.Y)) {
					found(x.Pos(), "compares a ceiling")
				}
			case *ast.BasicLit:
				if x.Kind == token.STRING && sqlText.MatchString(x.Value) && ceilingOfProvider.MatchString(x.Value) {
					found(x.Pos(), "asks the database for a provider's ceiling")
				}
			}
			return true
		})
	}
	return out
}

var sqlText = regexp.MustCompile(`\b(?:SELECT|UPDATE|WHERE)\b`)

func compares(op token.Token) bool {
	return slices.Contains([]token.Token{token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ}, op)
}

// isCeiling finds a field named so, also within a conversion or a method's call.
func isCeiling(e ast.Expr) bool {
	hit := false
	ast.Inspect(e, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		hit = hit || ok && s.Sel.Name == "Ceiling"
		return !hit
	})
	return hit
}
