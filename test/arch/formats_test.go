package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecs/contract"
)

// example gives what follows the first fence of a page that goes on with begin.
func example(t *testing.T, page, begin string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "docs", "formats", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "```"+begin)
	block, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatalf("%s has no block that begins with %q", page, begin)
	}
	return block
}

// The examples of the format pages are what the code reads and writes.
func TestExamplesOfFormats(t *testing.T) {
	x, err := contract.ParseIndicator([]byte(strings.TrimSpace(example(t, "indicator.md", "json\n"))))
	if err != nil {
		t.Errorf("indicator.md: %v", err)
	} else if x.Disclosure != 2 || !x.Enforce {
		t.Errorf("indicator.md: read as %+v", x)
	}
	w, err := contract.ParseWindow([]byte(example(t, "feedback.md", "json\n")))
	if err != nil {
		t.Errorf("feedback.md: %v", err)
	} else if len(w.Cells) != 1 || w.Cells[0].Events().String() != "50-99" {
		t.Errorf("feedback.md: read as %+v", w)
	}
	r, err := contract.ParseRules("ecs feedback rules" + example(t, "feedback.md", "\necs feedback rules"))
	if err != nil {
		t.Errorf("feedback.md: rules: %v", err)
	} else if *r != contract.DefaultRules {
		t.Errorf("feedback.md: rules read as %+v", r)
	}
}
