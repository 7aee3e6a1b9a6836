package policy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ecs/hub/internal/policy"
	"ecs/observable"
)

// TestTextsAgainstOracle compares substrings and expressions, behind their
// filters, with the obvious way: each of them tried on the whole value.
func TestTextsAgainstOracle(t *testing.T) {
	expressions := []string{
		"/ab.*ba/", "/^(aa|bb)ab\\./i", "/(AB)+/i", "/a{2,3}b/", "/x?/", "/a|b/", "/^$/", "/é/i", "/K/i", "/[ab]{5}/", "/abab/",
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOfN(rapid.RuneFrom([]rune("aabbAB.Kké\u212a")), 1, 12, -1)
		subs := rapid.SliceOfN(word, 0, 12).Draw(t, "substrings")
		exps := rapid.SliceOfN(rapid.SampledFrom(expressions), 0, 6).Draw(t, "expressions")
		l, problems := load(t, []oracleList{
			{"subs", "substring", []string{"email-subject"}, subs}, {"exps", "regex", []string{"email-subject"}, exps},
		})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		value := rapid.StringOfN(rapid.RuneFrom([]rune("aabbAB.Kké\u212a")), 0, 24, -1).Draw(t, "value")
		wantSub := slices.ContainsFunc(subs, func(s string) bool { return strings.Contains(strings.ToLower(value), strings.ToLower(s)) })
		wantExp := slices.ContainsFunc(exps, func(e string) bool {
			text, fold := strings.CutSuffix(strings.TrimPrefix(e, "/"), "/i")
			text = strings.TrimSuffix(text, "/")
			if fold {
				text = "(?i)" + text
			}
			return regexp.MustCompile(text).MatchString(value)
		})
		if value == "" {
			wantSub, wantExp = false, false // there is no value to judge
		}
		hits := l.Check(observable.Atom{Kind: observable.Subject, Value: value})
		gotSub := slices.ContainsFunc(hits, func(h policy.Hit) bool { return h.List == "subs" })
		gotExp := slices.ContainsFunc(hits, func(h policy.Hit) bool { return h.List == "exps" })
		if gotSub != wantSub || gotExp != wantExp {
			t.Fatalf("%q: substring %t, want %t; expression %t, want %t", value, gotSub, wantSub, gotExp, wantExp)
		}
	})
}
