package door

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/formats/door.md names every code that the door can answer with.
func TestPageNamesEveryCode(t *testing.T) {
	page, err := os.ReadFile("../../../docs/formats/door.md")
	must(t, err)
	code := regexp.MustCompile(`Problem\{[^,{}]+, "([a-z-]+[a-z])"`)
	found := 0
	files, err := os.ReadDir(".")
	must(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		must(t, err)
		for _, m := range code.FindAllStringSubmatch(string(text), -1) {
			found++
			if !strings.Contains(string(page), "`"+m[1]+"`") {
				t.Errorf("%s: the page lacks the code %s", f.Name(), m[1])
			}
		}
	}
	if found < 15 {
		t.Fatalf("only %d codes found: the expression above is out of date", found)
	}
	text, err := os.ReadFile("../feedback/feedback.go")
	must(t, err)
	codes := regexp.MustCompile(`Code = "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1)
	for _, m := range codes {
		if !strings.Contains(string(page), "`feedback-"+m[1]+"`") {
			t.Errorf("the page lacks the code feedback-%s", m[1])
		}
	}
	if len(codes) == 0 {
		t.Fatal("no codes of feedback found")
	}
}
