package decision

import (
	"bytes"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/export"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/program"
	"ecs/observable"
)

func TestOffer(t *testing.T) {
	o, p := good(t)
	o.Services = contract.DNS | contract.NetFlow
	p.Services = contract.DNS | contract.SMTP
	got := offer(o, p, program.Provider{ID: "alder"}, now)
	if !slices.Equal(got.Services, []contract.Services{contract.DNS}) || got.Why != "" {
		t.Errorf("%+v", got)
	}
	o.Handling = parse(t, "TS TLP:GREEN")
	got = offer(o, p, program.Provider{ID: "alder"}, now)
	if len(got.Services) != 0 || !strings.Contains(got.Why, "below the level TS") {
		t.Errorf("%+v", got)
	}
	p.Services = 0
	if got = offer(o, p, program.Provider{ID: "alder"}, now); !strings.Contains(got.Why, "not accredited for the service") {
		t.Errorf("%+v", got)
	}
}

// An export for a provider has what it may be given, counts what is sealed, and says
// nothing of what is above it.
func TestForExport(t *testing.T) {
	_, p := good(t)
	var rows []export.Row
	for i, words := range []string{"U TLP:GREEN", "U TLP:GREEN acs-dsply", "TS TLP:GREEN", "U TLP:RED"} {
		h := parse(t, words)
		rows = append(rows, export.Row{Handling: h, Item: indicator.Item{
			ID: contract.NewID(), State: indicator.Released, Pattern: "[domain-name:value = 'a.example']", Kind: observable.Domain, Value: "a.example",
			Services: contract.DNS, Handling: int64(i + 1), TLP: h.TLP(), Enforce: true, Display: true, Notify: true, Privacy: indicator.NotPresent,
			ValidFrom: now.Add(-time.Hour), ValidUntil: now.Add(time.Hour), Created: now, Modified: now,
		}})
	}
	all := iter.Seq2[export.Row, error](func(yield func(export.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	})
	for _, f := range export.Formats {
		var b bytes.Buffer
		report, err := f.Write(&b, all, export.Options{
			May: ForExport(p, now), At: now, Title: "test",
			Program: export.Identity{ID: "identity--8f9f2b0c-6c7e-4f5c-9d53-0d3f0f6a7b11", Name: "Program", Created: now},
		})
		if err != nil {
			t.Fatal(err)
		}
		if report.Written != 1 || report.Held() != 1 || report.Withheld["ACS DSPLY does not permit its display"] != 1 {
			t.Errorf("%s: %+v", f.Name, report)
		}
		for _, r := range rows[1:] {
			if strings.Contains(b.String(), r.Item.ID.String()) {
				t.Errorf("%s names what was withheld", f.Name)
			}
		}
	}
}
