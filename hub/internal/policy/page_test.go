package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPage holds docs/formats/checks.md to the code: every code, every pattern of
// the table of lists and every built-in list is on it.
func TestPage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "formats", "checks.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	want := []string{
		CodeActionFit, CodeListed, CodeSpecialName, CodeSuffix, CodeUnknownTLD, CodeProtected, CodeSpecialAddr, CodeProtectedIP,
		CodeBroad, CodeShared, CodePort, CodeStale, CodeFuture, CodeCut, CodeUncorrobated, CodeSubsumed, CodeSubsumes, CodeContradicted, CodeSample,
	}
	for _, c := range codeOf {
		want = append(want, c)
	}
	for _, c := range listClasses {
		want = append(want, "`"+c.pattern+"`")
	}
	for _, l := range builtins.lists {
		want = append(want, "`"+l.id+"` | "+l.Name)
	}
	for _, w := range want {
		if !strings.Contains(page, w) {
			t.Errorf("checks.md does not have %s", w)
		}
	}
}
