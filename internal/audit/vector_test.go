package audit

import (
	"os"
	"strings"
	"testing"
)

// The page's example is what the code computes.
func TestDocumentedVector(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	e := Entry{Seq: 1, Actor: "alice", Action: "item.release", Subject: "x", Detail: []byte(`{"n":1}`), Previous: none}
	got := digest(&e, 1_700_000_000_000_000)
	if !strings.Contains(string(page), "the hash is `"+got+"`") {
		t.Fatalf("docs/formats/audit.md does not say %s", got)
	}
}
