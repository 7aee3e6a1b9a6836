package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Every command that a manual or a README shows is one that the program takes, and
// every command and flag of the desk is in its manual.
func TestManualsAreTrue(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	err = os.WriteFile(password, []byte("secret"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ECS_USER", "alice")
	t.Setenv("ECS_PASSWORD_FILE", password)
	_, examples, ok := strings.Cut(string(page), "## EXAMPLES")
	if !ok {
		t.Fatal("the manual has no examples")
	}
	seen, code := 0, false
	for text := range strings.Lines(examples) {
		if strings.HasPrefix(text, "```") {
			code = !code
			continue
		}
		if !code {
			continue
		}
		for part := range strings.SplitSeq(strings.TrimSpace(text), " | ") {
			rest, ok := strings.CutPrefix(part, "ecs ")
			if !ok {
				continue
			}
			seen++
			rest, _, _ = strings.Cut(rest, " >")
			var c cli
			k, err := kong.New(&c, kong.Name("ecs"), kong.Exit(func(int) { t.Errorf("%q ends the program", part) }))
			if err != nil {
				t.Fatal(err)
			}
			_, err = k.Parse(words(rest))
			if err != nil {
				t.Errorf("docs/operations/cli.md: %q: %v", part, err)
			}
		}
	}
	if seen < 8 {
		t.Errorf("the manual shows %d commands", seen)
	}
	var c cli
	k, err := kong.New(&c, kong.Name("ecs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range k.Model.Children {
		if n.Name != "indicator" {
			continue
		}
		for _, x := range n.Children {
			if !strings.Contains(string(page), "\necs indicator "+x.Name+" ") || !strings.Contains(string(page), "**"+x.Name+"**") {
				t.Errorf("docs/operations/cli.md does not have ecs indicator %s", x.Name)
			}
			for _, f := range x.Flags {
				if !strings.Contains(string(page), "--"+f.Name) && f.Name != "help" {
					t.Errorf("docs/operations/cli.md does not have --%s of ecs indicator %s", f.Name, x.Name)
				}
			}
		}
	}
}

// words splits a line as a shell does, as far as the manual needs it.
func words(line string) []string {
	var out []string
	var word strings.Builder
	quoted, begun := false, false
	for _, c := range line {
		switch {
		case c == '"':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				out = append(out, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if begun {
		out = append(out, word.String())
	}
	return out
}
