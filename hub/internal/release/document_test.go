package release

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/decision"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
)

// The examples of docs/formats/release.md are what the desk writes, byte for byte.
func TestDocument(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "formats", "release.md"))
	must(t, err)
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	id, err := contract.ParseID("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")
	must(t, err)
	h, err := marking.ParseHandling("U TLP:AMBER PAP:AMBER acs-dsply")
	must(t, err)
	it := indicator.Item{
		ID: id, Number: 1, Handling: 1, Pattern: "[domain-name:value = 'bad-update.example']", Confidence: 85, TLP: contract.Amber,
		Category: contract.CommandAndControl, Action: contract.Sinkhole, Summary: "Control server of a sample malware family", Disclosure: 3,
		Enforce: true, Display: true, Notify: true, Created: at, ValidFrom: at, ValidUntil: at.AddDate(0, 3, 0), Privacy: indicator.NotPresent,
	}
	d := &Desk{cfg: Config{Creator: "identity--8a5b2e0c-6f43-4a0d-9c8e-3f1f6c1d2b7a"}}
	s := &session{d: d, marked: map[int64]marks{}, providers: map[string]decision.Provider{}}
	m, err := s.marks(1, h)
	must(t, err)
	x, body, err := d.object(&it, h, m.refs, at)
	must(t, err)
	examples := []string{string(body), m.definitions[0].body}
	target, err := contract.ParseID("indicator--26ffb872-1dd9-446e-b6f5-d58527e5b5d2")
	must(t, err)
	beside, err := derived(x, target)
	must(t, err)
	examples = append(examples, beside.body)
	for _, how := range []change{revoked, blank} {
		next := *x
		next.Modified = at.Add(time.Hour)
		how(&next)
		body, err = next.Canonical()
		must(t, err)
		examples = append(examples, string(body))
	}
	for _, e := range examples {
		if !strings.Contains(string(page), "\n"+e+"\n") {
			t.Errorf("docs/formats/release.md lacks\n%s", e)
		}
	}
}
