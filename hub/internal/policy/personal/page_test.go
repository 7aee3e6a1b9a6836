package personal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPage holds docs/formats/checks.md to the table of numbers.
func TestPage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "formats", "checks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range numbersOfPersons {
		row := "| " + n.why + " | `" + strings.Join(n.masks, "`, `") + "` | "
		if !strings.Contains(string(raw), row) {
			t.Errorf("checks.md has no row that begins %s", row)
		}
	}
}

// TestMasksAreFound: each mask begins with a run that [finder.number] looks for.
func TestMasksAreFound(t *testing.T) {
	for _, n := range numbersOfPersons {
		for _, m := range n.masks {
			if r := run(m, 0); r == 0 || r >= longest {
				t.Errorf("%s: mask %s begins with a run of %d", n.why, m, r)
			}
		}
	}
}
