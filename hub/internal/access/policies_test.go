package access

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
	"pgregory.net/rapid"

	"ecs/internal/signin"
)

// byHand is who may see and bring what, written down a second time, as this package
// had it before the rules were text. "own" and "whole" are conditions.
var byHand = map[What]string{
	Indicators: "pmo_analyst release_authority privacy_officer gfi_officer:own ssa_officer auditor",
	Values:     "pmo_analyst release_authority privacy_officer gfi_officer:own auditor",
	Held:       "privacy_officer",
	Deliveries: "pmo_analyst privacy_officer gfi_officer:own auditor",
	Deliver:    "pmo_analyst gfi_officer:own",
	Providers:  "pmo_analyst release_authority privacy_officer assessor accrediting_official auditor system_admin",
	Feedback:   "pmo_analyst release_authority privacy_officer ssa_officer accrediting_official auditor",
	Coverage:   "pmo_analyst release_authority privacy_officer ssa_officer assessor accrediting_official auditor",
	Totals: "pmo_analyst:whole release_authority:whole privacy_officer:whole gfi_officer:whole ssa_officer:whole assessor:whole " +
		"accrediting_official:whole auditor:whole system_admin:whole",
	Audit: "privacy_officer:whole auditor:whole",
}

// slow answers from the table.
func slow(roles []string, f facts, w What) bool {
	if f&cleared == 0 {
		return false
	}
	if slices.Contains(roles, "system_admin") && w != Providers && w != Totals {
		return false
	}
	if w == Totals {
		return f&whole != 0
	}
	for _, entry := range strings.Fields(byHand[w]) {
		role, condition, _ := strings.Cut(entry, ":")
		holds := condition == "" || condition == "own" && f&own != 0 || condition == "whole" && f&whole != 0
		if holds && slices.Contains(roles, role) {
			return true
		}
	}
	return false
}

func TestPoliciesSayWhatTheTableSays(t *testing.T) {
	for _, role := range KnownRoles {
		for _, w := range Everything {
			for f := range allFacts + 1 {
				if got, want := permits(signin.Account{Roles: []string{role}}, f, w), slow([]string{role}, f, w); got != want {
					t.Errorf("%s, %s, facts %03b: %v, want %v", role, w, f, got, want)
				}
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		roles := rapid.SliceOfDistinct(rapid.SampledFrom(append([]string{"nobody", "csp_operator"}, KnownRoles...)), rapid.ID[string]).Draw(t, "roles")
		w := rapid.SampledFrom(Everything).Draw(t, "what")
		f := facts(rapid.IntRange(0, int(allFacts)).Draw(t, "facts"))
		if got, want := permits(signin.Account{Roles: roles}, f, w), slow(roles, f, w); got != want {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestPoliciesFitTheirSchema(t *testing.T) {
	var s schema.Schema
	s.SetFilename("policies.cedarschema")
	err := s.UnmarshalCedar([]byte(Schema))
	if err != nil {
		t.Fatal(err)
	}
	known, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for a := range known.Actions {
		actions = append(actions, string(a.ID))
	}
	var want []string
	for _, w := range Everything {
		want = append(want, string(w))
	}
	slices.Sort(actions)
	slices.Sort(want)
	if !slices.Equal(actions, want) {
		t.Errorf("the schema has the actions %q, the program asks for %q", actions, want)
	}
	v := validate.New(known)
	for id, p := range present().set.All() {
		err := v.Policy(string(id), (*ast.Policy)(p.AST()))
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if p.Annotations()["id"] == "" {
			t.Errorf("policy %s has no @id", id)
		}
	}
}

// TestFactsOnlyHelp holds May and Source to their meaning: they ask with every fact
// that could help.
func TestFactsOnlyHelp(t *testing.T) {
	for who := range roleSet(1 << len(KnownRoles)) {
		d := present().decide(who)
		for f := range allFacts + 1 {
			for g := range allFacts + 1 {
				if f&g == f && d[f]&^d[g] != 0 {
					t.Fatalf("roles %09b: facts %03b permit %b, more facts %03b only %b", who, f, d[f], g, d[g])
				}
			}
		}
	}
}

func TestARuleThatFailsDenies(t *testing.T) {
	r, err := newRules(Policies + `forbid (principal, action, resource) when { context.absent };`)
	if err != nil {
		t.Fatal(err)
	}
	if r.permits(rolesOf([]string{"pmo_analyst"}), allFacts, Indicators) {
		t.Error("a forbid that cannot be evaluated was passed over")
	}
	_, err = newRules("permit (principal, action, resource) when")
	if err == nil {
		t.Error("half a policy was read")
	}
	if May(signin.Account{Roles: KnownRoles[:1]}, "see the sea") {
		t.Error("what no rule knows is permitted")
	}
}

// TestThePageHasTheTable compares docs/formats/access.md.
func TestThePageHasTheTable(t *testing.T) {
	page, err := os.ReadFile("../../../docs/formats/access.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range Everything {
		line := "| " + string(w)
		for i := range KnownRoles {
			who := roleSet(1 << i)
			word := "–"
			switch {
			case present().permits(who, cleared, w):
				word = "yes"
			case present().permits(who, cleared|own, w):
				word = "own"
			case present().permits(who, allFacts, w):
				word = "whole"
			}
			line += " | " + word
		}
		if !strings.Contains(string(page), line+" |\n") {
			t.Errorf("docs/formats/access.md does not have the line\n%s |", line)
		}
	}
}

func BenchmarkMay(b *testing.B) {
	a := signin.Account{Roles: []string{"pmo_analyst"}}
	b.ReportAllocs()
	for b.Loop() {
		if !May(a, Indicators) {
			b.Fatal("denied")
		}
	}
}

func BenchmarkDecideForRoles(b *testing.B) {
	for b.Loop() {
		present().decide(1)
	}
}
