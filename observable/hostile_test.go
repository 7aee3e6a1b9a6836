package observable

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ecs/stix/pattern"
)

// repeat joins n copies.
func repeat(s, join string, n int) string {
	return strings.TrimSuffix(strings.Repeat(s+join, n), join)
}

// TestHostile: whatever is thrown at the compiler ends within its budget, counted
// in combinations and not in time; Analyze gives an answer for it.
func TestHostile(t *testing.T) {
	const port, addr = "network-traffic:dst_port = 80", "network-traffic:dst_ref.value = '192.0.2.1'"
	tens := "(" + repeat(port, " OR ", 10) + ")"
	ladder := port
	for range 30 {
		ladder = "((" + ladder + " OR " + port + ") AND " + addr + ")"
	}
	wide := "[(" + repeat(port, " OR ", 31) + ") AND (" + repeat(addr, " OR ", 31) + ")]"
	for _, c := range []struct{ name, in string }{
		{"cartesian product", "[" + repeat(tens, " AND ", 100) + "]"},
		{"ladder", "[" + ladder + "]"},
		{"many products", repeat(wide, " OR ", 20)},
		{"deep", "[" + strings.Repeat("(", 60) + port + strings.Repeat(")", 60) + "]"},
		{"deep observations", strings.Repeat("(", 60) + "[" + port + "]" + strings.Repeat(") WITHIN 5 SECONDS", 60)},
		{"many brackets", repeat("["+port+"]", " AND ", 1000)},
		{"many brackets that select nothing", repeat("[url:value LIKE '%']", " OR ", 1000)},
		{"many values", "[domain-name:value IN (" + repeat("'a.example'", ",", 4000) + ")]"},
		{"many different values", "[network-traffic:dst_port IN (1,2,3" + strings.Repeat(",4,5,6,7", 1500) + ") AND network-traffic:dst_ref.value IN ('192.0.2.1'" + strings.Repeat(",'192.0.2.2'", 1500) + ")]"},
		{"catastrophic expressions", "[" + repeat("url:value MATCHES '(a*)*(a|aa)+$'", " AND ", 500) + " AND url:value = 'http://a.example/']"},
		{"huge expressions", "[" + repeat("url:value MATCHES '((a{1,30}){1,30}b?){1,1}'", " AND ", 500) + " AND url:value = 'http://a.example/']"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := pattern.Parse(c.in)
			if err != nil {
				t.Fatal(err)
			}
			work := compiler{text: c.in}
			err = work.observation(p.Root)
			var cannot *Unobservable
			if err != nil && !errors.As(err, &cannot) || work.work > maxWork+MaxAtoms || len(work.atoms) > MaxAtoms+1 {
				t.Errorf("%d combinations, %d atoms, %v", work.work, len(work.atoms), err)
			}
			a, err := Analyze(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if a.Residual == nil {
				return
			}
			page := &thing{members: map[string]any{"type": "url", "value": "http://a.example/" + strings.Repeat("a", 4000)}}
			for i := range a.Residual.Groups {
				_, err = a.Residual.Groups[i].Holds(page, 10_000)
				if err != nil {
					break
				}
			}
			if strings.HasSuffix(c.name, "expressions") && err == nil {
				t.Error("a judgment of one page went beyond its budget and was not ended")
			}
		})
	}
	for _, in := range []string{strings.Repeat("(", 1000), "[" + strings.Repeat("(", 1000), strings.Repeat(" ", 70_000), "[a:b IN (" + strings.Repeat("1,", 30_000) + "1)]"} {
		_, err := Analyze(in)
		var e *pattern.Error
		if !errors.As(err, &e) || !e.Budget {
			t.Errorf("%.20s: got %v", in, err)
		}
	}
}

// TestCompileVectors runs what is in test/vectors for anybody.
func TestCompileVectors(t *testing.T) {
	b, err := os.ReadFile("../test/vectors/pattern-compile.json")
	if err != nil {
		t.Fatal(err)
	}
	type vector struct {
		In, Pattern string
		Atoms       []string
		Suffice     bool `json:"atoms_suffice"`
		Services    string
	}
	var vectors []vector
	err = json.Unmarshal(b, &vectors)
	if err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 30 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		a, err := Analyze(v.In)
		if err != nil {
			t.Errorf("%s: %v", v.In, err)
			continue
		}
		got := vector{In: v.In, Pattern: a.Pattern, Suffice: a.Residual == nil, Services: a.Services.String(), Atoms: []string{}}
		for _, x := range a.Atoms {
			got.Atoms = append(got.Atoms, x.Kind.String()+" "+x.String())
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Error(diff)
		}
	}
}
