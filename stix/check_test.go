package stix

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample makes an object of a type from further members.
func sample(typ, members string) string {
	head := `{"type":"` + typ + `","id":"` + typ + `--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa","spec_version":"2.1"`
	if !IsObservable(typ) {
		head += `,"created":"2020-01-01T00:00:00.000Z"`
		if typ != "marking-definition" {
			head += `,"modified":"2020-01-01T00:00:00.000Z"`
		}
	}
	return head + strings.TrimSuffix(","+members, ",") + "}"
}

// samples are good objects, one of each type.
var samples = map[string]string{
	"attack-pattern":       `"name":"n","kill_chain_phases":[{"kill_chain_name":"a","phase_name":"b"}]`,
	"campaign":             `"name":"n","first_seen":"2020-01-01T00:00:00Z","last_seen":"2020-01-01T00:00:00Z"`,
	"course-of-action":     `"name":"n","external_references":[{"source_name":"s","external_id":"e"}]`,
	"grouping":             `"context":"c","object_refs":["` + idA + `"]`,
	"identity":             `"name":"n"`,
	"incident":             `"name":"n"`,
	"indicator":            `"pattern":"p","pattern_type":"stix","valid_from":"2020-01-01T00:00:00Z"`,
	"infrastructure":       `"name":"n"`,
	"intrusion-set":        `"name":"n"`,
	"location":             `"country":"us"`,
	"malware":              `"is_family":false`,
	"malware-analysis":     `"product":"p","result":"benign"`,
	"note":                 `"content":"first line\nsecond","object_refs":["` + idA + `"]`,
	"observed-data":        `"first_observed":"2020-01-01T00:00:00Z","last_observed":"2020-01-01T00:00:00Z","number_observed":1,"object_refs":["` + idA + `"]`,
	"opinion":              `"opinion":"agree","object_refs":["` + idA + `"]`,
	"report":               `"name":"n","published":"2020-01-01T00:00:00Z","object_refs":["` + idA + `"]`,
	"threat-actor":         `"name":"n"`,
	"tool":                 `"name":"n"`,
	"vulnerability":        `"name":"n"`,
	"relationship":         `"relationship_type":"related-to","source_ref":"` + idA + `","target_ref":"` + idB + `"`,
	"sighting":             `"sighting_of_ref":"` + idA + `","count":0`,
	"language-content":     `"object_ref":"` + idA + `","contents":{"de":{"name":"x"}}`,
	"marking-definition":   `"definition_type":"statement","definition":{"statement":"s"}`,
	"extension-definition": `"name":"n","schema":"s","version":"1.0","extension_types":["property-extension"],"created_by_ref":"` + idA + `"`,
	"artifact":             `"payload_bin":"VGVzdA=="`,
	"autonomous-system":    `"number":64496`,
	"directory":            `"path":"/tmp"`,
	"domain-name":          `"value":"example.com"`,
	"email-addr":           `"value":"john@example.com"`,
	"email-message":        `"is_multipart":false,"subject":"s"`,
	"file":                 `"hashes":{"MD5":"d41d8cd98f00b204e9800998ecf8427e"}`,
	"ipv4-addr":            `"value":"198.51.100.3"`,
	"ipv6-addr":            `"value":"2001:db8::1"`,
	"mac-addr":             `"value":"00:00:5e:00:53:01"`,
	"mutex":                `"name":"n"`,
	"network-traffic":      `"protocols":["tcp"],"dst_ref":"ipv4-addr--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"`,
	"process":              `"pid":5`,
	"software":             `"name":"n"`,
	"url":                  `"value":"https://example.com/"`,
	"user-account":         `"account_login":"root"`,
	"windows-registry-key": `"key":"HKLM\\x"`,
	"x509-certificate":     `"subject":"s"`,
}

func parse(t testing.TB, text string) *Object {
	t.Helper()
	o, err := ParseObject([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

func TestCheckSamples(t *testing.T) {
	if diff := cmp.Diff(slices.Sorted(maps.Keys(specTexts)), slices.Sorted(maps.Keys(samples))); diff != "" {
		t.Fatal("types without a sample:", diff)
	}
	for typ, members := range samples {
		o := parse(t, sample(typ, members))
		for _, f := range o.Check() {
			t.Errorf("%s: %v", typ, f)
		}
		if o.Name() == "" || o.Name() == o.ID && typ != "artifact" && typ != "malware" {
			t.Errorf("%s: name %q", typ, o.Name())
		}
		// Each required property is missed.
		var all map[string]json.RawMessage
		err := json.Unmarshal(o.Raw, &all)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range specs[typ] {
			if !p.required || p.name == "spec_version" {
				continue
			}
			less := maps.Clone(all)
			delete(less, p.name)
			text, err := json.Marshal(less)
			if err != nil {
				t.Fatal(err)
			}
			faults := parse(t, string(text)).Check()
			if !slices.ContainsFunc(faults, func(f *PropertyError) bool { return f.Name == p.name && f.Fault == Missing }) {
				t.Errorf("%s without %s: %v", typ, p.name, faults)
			}
		}
	}
}

func TestCheckFaults(t *testing.T) {
	const artifact = "artifact--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
	for _, c := range []struct{ typ, members, property string }{
		{"identity", `"name":5`, "name"},
		{"identity", `"name":""`, "name"},
		{"identity", `"name":"n","Upper":1`, "Upper"},
		{"identity", `"name":"n","ab":1`, "ab"},
		{"identity", `"name":"n","roles":[]`, "roles"},
		{"identity", `"name":"n","roles":[5]`, "roles"},
		{"identity", `"name":"n","lang":5`, "lang"},
		{"identity", `"name":"n","extensions":{"x":5}`, "extensions"},
		{"identity", `"name":"n","extensions":{"extension-definition--5":{"extension_type":"new-sdo"}}`, "extensions"},
		{"identity", `"name":"n","extensions":{"` + TLPExtension + `":{}}`, "extensions"},
		{"identity", `"name":"n","external_references":[{"source_name":"s"}]`, "external_references"},
		{"identity", `"name":"n","external_references":[{"url":"u"}]`, "external_references"},
		{"identity", `"name":"n","external_references":{}`, "external_references"},
		{"identity", `"name":"n","granular_markings":[{"lang":"fr","selectors":["x"]}]`, "granular_markings"},
		{"attack-pattern", `"name":"n","kill_chain_phases":[{"kill_chain_name":"a"}]`, "kill_chain_phases"},
		{"campaign", `"name":"n","first_seen":"2020-01-02T00:00:00Z","last_seen":"2020-01-01T00:00:00Z"`, "last_seen"},
		{"campaign", `"name":"n","first_seen":"yesterday"`, "first_seen"},
		{"indicator", `"pattern":"p","pattern_type":"stix","valid_from":"2020-01-01T00:00:00Z","valid_until":"2020-01-01T00:00:00Z"`, "valid_until"},
		{"location", `"name":"n"`, "region"},
		{"location", `"country":"us","latitude":5`, "latitude"},
		{"location", `"country":"us","latitude":91,"longitude":1`, "latitude"},
		{"location", `"country":"us","precision":5`, "precision"},
		{"malware", `"is_family":true`, "name"},
		{"malware", `"is_family":"yes"`, "is_family"},
		{"malware", `"is_family":false,"sample_refs":["` + idA + `"]`, "sample_refs"},
		{"malware-analysis", `"product":"p"`, "result"},
		{"observed-data", `"first_observed":"2020-01-01T00:00:00Z","last_observed":"2020-01-01T00:00:00Z","number_observed":0,"object_refs":["` + idA + `"]`, "number_observed"},
		{"observed-data", `"first_observed":"2020-01-01T00:00:00Z","last_observed":"2020-01-01T00:00:00Z","number_observed":1.5,"object_refs":["` + idA + `"]`, "number_observed"},
		{"observed-data", `"first_observed":"2020-01-01T00:00:00Z","last_observed":"2020-01-01T00:00:00Z","number_observed":1`, "object_refs"},
		{"observed-data", `"first_observed":"2020-01-01T00:00:00Z","last_observed":"2020-01-01T00:00:00Z","number_observed":1,"object_refs":["` + idA + `"],"objects":{}`, "objects"},
		{"opinion", `"opinion":"meh","object_refs":["` + idA + `"]`, "opinion"},
		{"relationship", `"relationship_type":"Uses It","source_ref":"` + idA + `","target_ref":"` + idB + `"`, "relationship_type"},
		{"relationship", `"relationship_type":"uses","source_ref":"x","target_ref":"` + idB + `"`, "source_ref"},
		{"relationship", `"relationship_type":"uses","source_ref":"` + idA + `","target_ref":"relationship--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"`, "target_ref"},
		{"relationship", `"relationship_type":"uses","source_ref":"` + idA + `","target_ref":"` + idB + `","start_time":"2020-01-01T00:00:00Z","stop_time":"2020-01-01T00:00:00Z"`, "stop_time"},
		{"sighting", `"sighting_of_ref":"` + artifact + `"`, "sighting_of_ref"},
		{"sighting", `"sighting_of_ref":"` + idA + `","count":-1`, "count"},
		{"sighting", `"sighting_of_ref":"` + idA + `","where_sighted_refs":["` + artifact + `"]`, "where_sighted_refs"},
		{"language-content", `"object_ref":"` + idA + `","contents":{"de":5}`, "contents"},
		{"marking-definition", `"definition_type":"tlp","definition":{"tlp":"red"}`, "id"},
		{"marking-definition", `"definition_type":"statement"`, "definition"},
		{"marking-definition", `"name":"n"`, "extensions"},
		{"marking-definition", `"definition_type":"statement","definition":{"statement":"s"},"modified":"2020-01-01T00:00:00.000Z"`, "modified"},
		{"extension-definition", `"name":"n","schema":"s","version":"1","extension_types":["new"]`, "extension_types"},
		{"extension-definition", `"name":"n","schema":"s","version":"1","extension_types":["new-sdo"],"extension_properties":["a"]`, "extension_properties"},
		{"artifact", `"payload_bin":"?"`, "payload_bin"},
		{"artifact", `"mime_type":"text/plain"`, "payload_bin"},
		{"artifact", `"payload_bin":"VGVzdA==","url":"https://example.com/"`, "url"},
		{"artifact", `"url":"https://example.com/"`, "hashes"},
		{"artifact", `"payload_bin":"VGVzdA==","decryption_key":"k"`, "encryption_algorithm"},
		{"email-message", `"is_multipart":true,"body":"b"`, "body"},
		{"email-message", `"is_multipart":false,"body_multipart":[{"body":"b"}]`, "body_multipart"},
		{"email-message", `"is_multipart":true,"body_multipart":[{"body":"b","body_raw_ref":"` + artifact + `"}]`, "body_multipart"},
		{"email-message", `"is_multipart":true,"body_multipart":[{"body_raw_ref":"` + idA + `"}]`, "body_multipart"},
		{"file", `"size":5`, "hashes"},
		{"file", `"hashes":{"MD5":"abc"}`, "hashes"},
		{"file", `"hashes":{"MD5":5}`, "hashes"},
		{"file", `"name":"n","size":-1`, "size"},
		{"file", `"name":"n","magic_number_hex":"xyz"`, "magic_number_hex"},
		{"network-traffic", `"protocols":["tcp"]`, "src_ref"},
		{"network-traffic", `"protocols":["tcp"],"dst_ref":"` + artifact + `"`, "dst_ref"},
		{"network-traffic", `"protocols":["tcp"],"src_ref":"ipv4-addr--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa","src_port":65536`, "src_port"},
		{"network-traffic", `"protocols":["tcp"],"src_ref":"ipv4-addr--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa","is_active":true,"end":"2020-01-01T00:00:00Z"`, "end"},
		{"process", ``, "extensions"},
		{"user-account", ``, "extensions"},
	} {
		faults := parse(t, sample(c.typ, c.members)).Check()
		if !slices.ContainsFunc(faults, func(f *PropertyError) bool { return f.Name == c.property }) {
			t.Errorf("%s with %s: %v, want one of %s", c.typ, c.members, faults, c.property)
		}
	}
	old := parse(t, `{"type":"identity","id":"`+idA+`","name":"n"}`).Check()
	if len(old) != 1 || old[0].Name != "spec_version" {
		t.Errorf("STIX 2.0: %v", old)
	}
	stamp := parse(t, strings.ReplaceAll(sample("identity", `"name":"n"`), ".000Z", ".0Z")).Check()
	if len(stamp) != 2 {
		t.Errorf("short timestamps: %v", stamp)
	}
	other := parse(t, sample("x-other", `"confidence":5`)).Check()
	if len(other) != 0 {
		t.Errorf("another type: %v", other)
	}
}

func TestRefs(t *testing.T) {
	o := parse(t, sample("report", `"created_by_ref":"`+idA+`","object_refs":["`+idB+`","nothing","`+idA+`"],"extensions":{"x":{"deep":[{"y_ref":"`+idB+`"}],"z_refs":"`+idA+`"}},"a_ref":"5"`))
	want := []Ref{
		{"created_by_ref", "created_by_ref", idA},
		{"object_refs", "object_refs.[0]", idB},
		{"object_refs", "object_refs.[2]", idA},
		{"y_ref", "extensions.x.deep.[0].y_ref", idB},
	}
	got := o.Refs()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, r := range got {
		if o.Select(r.Path).Str() != r.ID {
			t.Errorf("%s points at %s", r.Path, o.Select(r.Path).Raw())
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ typ, members, want string }{
		{"identity", `"name":" a\n\tb\u202e "`, "a b"},
		{"file", `"hashes":{"MD5":"d41d8cd98f00b204e9800998ecf8427e"}`, "MD5 d41d8cd98f00b204e9800998ecf8427e"},
		{"autonomous-system", `"number":64496`, "autonomous-system 64496"},
		{"location", `"latitude":1.5,"longitude":-2`, "1.5, -2"},
		{"observed-data", `"number_observed":3`, "observed-data, 3 times"},
		{"sighting", `"sighting_of_ref":"` + idA + `"`, "sighting of " + idA},
		{"x-other", ``, "x-other--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"},
		{"identity", `"name":"` + strings.Repeat("ä", 300) + `"`, strings.Repeat("ä", 98) + "…"},
	} {
		if got := parse(t, sample(c.typ, c.members)).Name(); got != c.want {
			t.Errorf("%s with %s: got %q, want %q", c.typ, c.members, got, c.want)
		}
	}
}

func TestRelations(t *testing.T) {
	r, err := parse(t, sample("relationship", samples["relationship"]+`,"start_time":"2020-01-01T00:00:00Z"`)).Relationship()
	if err != nil || r.Kind != "related-to" || r.Source != idA || r.Target != idB || r.Start.IsZero() || !r.Stop.IsZero() {
		t.Errorf("%+v, %v", r, err)
	}
	s, err := parse(t, sample("sighting", samples["sighting"]+`,"summary":true,"where_sighted_refs":["`+idB+`"]`)).Sighting()
	if err != nil || s.Of != idA || s.Count != 0 || !s.Summary || s.Where[0] != idB {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = parse(t, sample("sighting", `"sighting_of_ref":"`+idA+`"`)).Sighting()
	if err != nil || s.Count != -1 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{
		sample("relationship", `"relationship_type":"x","source_ref":"`+idA+`"`),
		sample("relationship", `"relationship_type":"x","source_ref":"`+idA+`","target_ref":"y"`),
		sample("relationship", samples["relationship"]+`,"start_time":"2020-01-01T00:00:00Z","stop_time":"2019-01-01T00:00:00Z"`),
		sample("identity", ""),
	} {
		r, err := parse(t, bad).Relationship()
		if err == nil {
			t.Errorf("%s: %+v", bad, r)
		}
	}
	for _, bad := range []string{
		sample("sighting", `"sighting_of_ref":"`+idA+`","count":1000000000`),
		sample("sighting", `"sighting_of_ref":"`+idA+`","first_seen":"2020-01-01T00:00:00Z","last_seen":"2019-01-01T00:00:00Z"`),
		sample("sighting", ""),
		sample("identity", ""),
	} {
		s, err := parse(t, bad).Sighting()
		if err == nil {
			t.Errorf("%s: %+v", bad, s)
		}
	}
}

// TestAttackWhole holds ATT&CK for ICS against the standard: all of it is as it
// should be, all that it refers to is there, and its bytes stay.
func TestAttackWhole(t *testing.T) {
	text := attack(t)
	r := NewReader(bytes.NewReader(text), Limits{})
	ids := map[string]bool{}
	var refs []Ref
	var names, n int
	for {
		o, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		ids[o.ID] = true
		refs = append(refs, o.Refs()...)
		for _, f := range o.Check() {
			t.Errorf("%s: %v", o.ID, f)
		}
		if !bytes.Equal(o.Raw, text[o.Offset:][:len(o.Raw)]) {
			t.Errorf("%s: bytes changed", o.ID)
		}
		want, err := slowJSON(o.Raw, maxDepth)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(o.Canonical(), slowCanonical(nil, want)) {
			t.Errorf("%s: canonical form differs", o.ID)
		}
		if o.Name() != o.ID {
			names++
		}
	}
	for _, ref := range refs {
		if !ids[ref.ID] {
			t.Errorf("%s refers to %s, which is not there", ref.Path, ref.ID)
		}
	}
	if n != 1826 || len(refs) < 3*n || names != n {
		t.Errorf("%d objects, %d references, %d names", n, len(refs), names)
	}
}
