package marking

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// line gives the row of the mapping as it stands in docs/formats/marking.md.
func line(code string, r row) string {
	var denied []string
	for _, u := range Uses() {
		if r.denies.has(u) {
			denied = append(denied, u.String())
		}
	}
	return fmt.Sprintf("| `%s` | %s | %s | %d | %s |", code, r.mark, strings.Join(denied, ", "), r.tell, r.reason)
}

// TestDocument shows that the tables that auditors read are the ones that count:
// each row of the program stands in the document, and the document has no other.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "formats", "marking.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, rows := range [][]row{tlpRows[:], papRows[:], levelRows[:]} {
		for _, r := range rows {
			want = append(want, line(r.mark, r))
		}
	}
	for _, code := range slices.Sorted(maps.Keys(ruleRows)) {
		want = append(want, line(code, ruleRows[code].row))
	}
	document := string(b)
	for _, l := range want {
		if !strings.Contains(document, l+"\n") {
			t.Errorf("docs/formats/marking.md lacks the row\n%s", l)
		}
	}
	section, _, _ := strings.Cut(document, "## What follows from which")
	rows := 0
	for l := range strings.Lines(document[len(section):]) {
		if strings.HasPrefix(l, "| `") && strings.Count(l, "|") == 6 {
			rows++
		}
	}
	if rows != len(want) {
		t.Errorf("docs/formats/marking.md has %d rows of the mapping, the program %d", rows, len(want))
	}
	for _, u := range Uses() {
		if !strings.Contains(document, "| `"+u.String()+"` |") {
			t.Errorf("docs/formats/marking.md does not explain the use %s", u)
		}
	}
	for word := range acsWords {
		if !strings.Contains(document, word) {
			t.Errorf("docs/formats/marking.md does not name %s of ACS", word)
		}
	}
}
