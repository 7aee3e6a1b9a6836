package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/formats/openapi.json anew")

type documented struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		ID          string `json:"operationId"`
		Summary     string `json:"summary"`
		Description string `json:"description"`
		Parameters  []struct {
			Name, In string
		} `json:"parameters"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]map[string]any `json:"schemas"`
	} `json:"components"`
}

func readDocument(t *testing.T) documented {
	t.Helper()
	var d documented
	err := json.Unmarshal(Document(), &d)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The copy in the manual is what a hub serves.
func TestTheCopyOfTheDocumentIsTheServedOne(t *testing.T) {
	file := filepath.Join("..", "..", "..", "docs", "formats", "openapi.json")
	if *update {
		err := os.WriteFile(file, Document(), 0o644)
		if err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, Document()) {
		t.Error("docs/formats/openapi.json is not the document that a hub serves: run go test ./hub/internal/api -run 'Copy|Manual' -update, and look at the difference")
	}
	s := serve(t)
	for _, login := range []string{"ann", "root"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v1/openapi.json", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(login, s.Passwords[login])
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		_, err = b.ReadFrom(got.Body)
		_ = got.Body.Close()
		if err != nil || got.StatusCode != http.StatusOK || !bytes.Equal(b.Bytes(), kept) {
			t.Errorf("%s: status %d, %d bytes served, %d kept: %v", login, got.StatusCode, b.Len(), len(kept), err)
		}
	}
}

// Each operation of the document is answered, under the method it says.
func TestEveryOperationIsAnswered(t *testing.T) {
	s := serve(t)
	seen := map[string]bool{}
	d := readDocument(t)
	for path, ops := range d.Paths {
		for method, op := range ops {
			if op.ID == "" || seen[op.ID] {
				t.Errorf("%s %s: operationId %q is empty or there twice", method, path, op.ID)
			}
			seen[op.ID] = true
			if op.Summary == "" || strings.HasSuffix(op.Summary, ".") || !strings.Contains(op.Description, "Who may: ") {
				t.Errorf("%s %s: summary %q, description %q", method, path, op.Summary, op.Description)
			}
			at := path
			for _, p := range op.Parameters {
				if p.In == "path" {
					at = strings.ReplaceAll(at, "{"+p.Name+"}", "none")
				}
			}
			if strings.Contains(at, "{") {
				t.Errorf("%s: a part of the path is not described", path)
			}
			var got struct{ Type string }
			status := s.call(t, "ann", strings.ToUpper(method), at, "", &got)
			if got.Type == "urn:ecs:problem:no-such-address" || status == http.StatusMethodNotAllowed || status == http.StatusInternalServerError {
				t.Errorf("%s %s: status %d, %s", method, path, status, got.Type)
			}
		}
	}
	if len(seen) != len(Addresses()) || len(seen) < 30 {
		t.Errorf("%d operations are documented, %d routed", len(seen), len(Addresses()))
	}
	for _, a := range Addresses() {
		if _, ok := d.Paths[a.Path][strings.ToLower(a.Method)]; !ok {
			t.Errorf("%s %s is routed and not documented", a.Method, a.Path)
		}
	}
}

// The manual lists every operation.
func TestTheManualListsEveryOperation(t *testing.T) {
	file := filepath.Join("..", "..", "..", "docs", "formats", "api.md")
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- operations -->\n", "<!-- end of operations -->\n"
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/formats/api.md has no place for the list")
	}
	var table strings.Builder
	table.WriteString("| | | |\n| --- | --- | --- |\n")
	a := &api{}
	for _, r := range a.routes() {
		table.WriteString("| " + r.Title + " | `" + r.Method + " " + strings.TrimPrefix(prefix+r.Path, "/api/v1") + "` | " + r.Group + " |\n")
	}
	want := before + begin + table.String() + end + after
	if *update {
		err = os.WriteFile(file, []byte(want), 0o644)
		if err != nil {
			t.Fatal(err)
		}
	} else if string(page) != want {
		t.Error("the list of operations in docs/formats/api.md is not that of the program: run go test ./hub/internal/api -run 'Copy|Manual' -update")
	}
}
