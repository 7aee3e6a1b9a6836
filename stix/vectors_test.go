package stix

import (
	"encoding/json"
	"os"
	"testing"
)

// upgradeVector is one entry of test/vectors/stix-upgrade.json.
type upgradeVector struct {
	Name        string            `json:"name"`
	From        json.RawMessage   `json:"from"`        // an object of STIX 2.0
	To          json.RawMessage   `json:"to"`          // what it becomes
	Observables []json.RawMessage `json:"observables"` // out of observed-data, in order
}

// TestUpgradeVectors holds the upgrade to the file that is there for others, too.
func TestUpgradeVectors(t *testing.T) {
	b, err := os.ReadFile("../test/vectors/stix-upgrade.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []upgradeVector
	err = json.Unmarshal(b, &vectors)
	if err != nil {
		t.Fatal(err)
	}
	same := func(name string, want json.RawMessage, got *Object) {
		t.Helper()
		form, err := CanonicalJSON(want)
		if err != nil {
			t.Fatal(err)
		}
		if string(form) != string(got.Raw) {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got.Raw, form)
		}
	}
	for _, v := range vectors {
		u, err := Upgrade(parse(t, string(v.From)))
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		same(v.Name, v.To, u.Object)
		if len(u.Observables) != len(v.Observables) {
			t.Errorf("%s: %d observables, want %d", v.Name, len(u.Observables), len(v.Observables))
			continue
		}
		for i, o := range u.Observables {
			same(v.Name, v.Observables[i], o)
		}
	}
	if len(vectors) < 8 {
		t.Errorf("only %d vectors", len(vectors))
	}
}
