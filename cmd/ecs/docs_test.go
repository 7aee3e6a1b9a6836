package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ecs": main})
}

// TestCommands runs the sessions in testdata. The configurations in the manuals
// are there as hub.yaml and provider.yaml, with their folder below the session's.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for _, house := range []string{"hub", "provider"} {
				text, err := sample(house)
				if err != nil {
					return err
				}
				text = strings.ReplaceAll(text, "/var/lib/ecs", e.WorkDir)
				err = os.WriteFile(filepath.Join(e.WorkDir, house+".yaml"), []byte(text), 0o600)
				if err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// sample gives the configuration that a house's manual shows.
func sample(house string) (string, error) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations", house+".md"))
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(page), "```yaml\n")
	text, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		return "", fmt.Errorf("docs/operations/%s.md shows no configuration", house)
	}
	return text, nil
}

// The README's commands exist.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	seen, code := 0, false
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		if !code {
			continue
		}
		target, ok := strings.CutPrefix(strings.TrimSpace(line), "make ")
		if !ok {
			continue
		}
		seen++
		if !strings.Contains(string(makefile), "\n"+target+":") {
			t.Errorf("README.md says make %s, which the Makefile does not know", target)
		}
	}
	if seen < 2 {
		t.Errorf("README.md names %d commands of make", seen)
	}
}
