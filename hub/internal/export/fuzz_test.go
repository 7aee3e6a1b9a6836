package export_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"ecs/contract"
	"ecs/hub/internal/export"
	"ecs/stix"
)

// Whatever the further objects are, the bundle is JSON, and none of them names an
// indicator that is not in it.
func FuzzMore(f *testing.F) {
	in, held := value(1, "in.example"), value(2, "held.example")
	f.Add([]byte(`{"type":"relationship","spec_version":"2.1","id":"relationship--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0062","created":"2026-11-21T12:00:00.000Z","modified":"2026-11-21T12:00:00.000Z","relationship_type":"indicates","source_ref":"` + held.Item.ID.String() + `","target_ref":"malware--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061"}`))
	f.Add([]byte(`{"type":"note","spec_version":"2.1","id":"note--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0062","created":"2026-11-21T12:00:00.000Z","modified":"2026-11-21T12:00:00.000Z","content":"x","object_refs":["\u0069` + held.Item.ID.String()[1:] + `"]}`))
	f.Add([]byte(`{"type":"malware","spec_version":"2.1","id":"malware--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061","created":"2026-11-21T12:00:00.000Z","modified":"2026-11-21T12:00:00.000Z","is_family":true}`))
	f.Add([]byte(`]}`))
	f.Fuzz(func(t *testing.T, more []byte) {
		o := options()
		o.May = func(r *export.Row) (bool, string) { return r.Item.ID == in.Item.ID, "no" }
		o.More = func(yield func([]byte, error) bool) { yield(more, nil) }
		text, r := write(t, "stix", []export.Row{in, held}, o)
		if r.Written != 1 || !json.Valid([]byte(text)) {
			t.Fatalf("%+v\n%s", r, text)
		}
		if r.Objects == 0 {
			return
		}
		_, err := stix.ParseObject(more)
		if err != nil {
			t.Fatalf("written, and not valid: %v", err)
		}
		var all any
		err = json.Unmarshal([]byte(text), &all)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		err = json.NewEncoder(&b).Encode(all) // without escapes
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(strings.ToLower(b.String()), "indicator--") {
			if len(part) < 36 {
				continue
			}
			id, err := contract.ParseID("indicator--" + part[:36])
			if err == nil && id != in.Item.ID {
				t.Fatalf("%s is betrayed by\n%s", id, text)
			}
		}
	})
}
