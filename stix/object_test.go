package stix

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestObservableID(t *testing.T) {
	b, err := os.ReadFile("../test/vectors/stix-id.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Object json.RawMessage
		ID     string
	}
	err = json.Unmarshal(b, &vectors)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		got, err := ObservableID(v.Object)
		if err != nil {
			t.Errorf("%s: %v", v.Object, err)
		} else if got != v.ID {
			t.Errorf("%s: got %s, want %s", v.Object, got, v.ID)
		}
	}
}

func TestObservableIDHashes(t *testing.T) {
	id := func(object string) string {
		t.Helper()
		got, err := ObservableID([]byte(object))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	md5 := id(`{"type":"file","hashes":{"MD5":"aa"}}`)
	if got := id(`{"type":"file","hashes":{"SHA-256":"bb","MD5":"aa"},"size":5}`); got != md5 {
		t.Errorf("MD5 alone must contribute: %s, %s", got, md5)
	}
	if got := id(`{"type":"file","hashes":{"SSDEEP":"x","SHA-512":"bb"}}`); got != id(`{"type":"file","hashes":{"SHA-512":"bb"}}`) {
		t.Error("SHA-512 must contribute before unlisted hashes")
	}
	if got := id(`{"type":"file","hashes":{"TLSH":"x","SSDEEP":"y"}}`); got != id(`{"type":"file","hashes":{"SSDEEP":"y"}}`) {
		t.Error("the first by name must contribute")
	}
	_, err := ObservableID([]byte(`{"type":"process","pid":5}`))
	if !errors.Is(err, ErrNoProperties) {
		t.Errorf("process: got %v, want ErrNoProperties", err)
	}
	_, err = ObservableID([]byte(`{"type":"indicator"}`))
	if err == nil {
		t.Error("an indicator has no deterministic identifier")
	}
	_, err = ObservableID([]byte(`{"type":"url"`))
	if err == nil {
		t.Error("broken JSON accepted")
	}
}

func TestParseTime(t *testing.T) {
	for in, want := range map[string]time.Time{
		"2016-01-01T00:00:00Z":                time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC),
		"2016-01-01T00:00:00.5Z":              time.Date(2016, 1, 1, 0, 0, 0, 5e8, time.UTC),
		"2016-01-01T00:00:00.000001Z":         time.Date(2016, 1, 1, 0, 0, 0, 1000, time.UTC),
		"2016-01-01T00:00:00.123456789123Z":   time.Date(2016, 1, 1, 0, 0, 0, 123456789, time.UTC),
		"2016-01-01T00:00:00.00000000000001Z": time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		got, err := ParseTime(in)
		if err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", "2016-01-01", "2016-01-01T00:00:00", "2016-01-01T00:00:00+00:00", "2016-01-01t00:00:00z",
		"2016-01-01T00:00:00.Z", "2016-01-01T00:00:00,5Z", "2016-13-01T00:00:00Z", "2016-01-01T00:00:00.5.5Z", "2016-1-1T00:00:00Z00",
	} {
		got, err := ParseTime(in)
		if err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
	if got := FormatTime(time.Date(2016, 1, 1, 1, 0, 0, 1999999, time.FixedZone("", 3600))); got != "2016-01-01T00:00:00.001Z" {
		t.Error(got)
	}
}

func TestIDs(t *testing.T) {
	for _, id := range []string{"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "x-a-b--8E2E2D2B-17D4-4CBF-938F-98EE46B3CD3F", NewID("indicator")} {
		err := CheckID(id)
		if err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"", "indicator", "indicator--", "indicator--8e2e2d2b17d44cbf938f98ee46b3cd3f", "Indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "a--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3g"} {
		err := CheckID(id)
		if err == nil {
			t.Errorf("%q accepted", id)
		}
	}
}

const indicator = `{
  "type": "indicator", "spec_version": "2.1", "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
  "created_by_ref": "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff",
  "created": "2016-04-06T20:03:48.000Z", "modified": "2016-04-06T20:03:48.000Z",
  "indicator_types": ["malicious-activity"], "name": "Poison Ivy", "description": "This is it",
  "pattern": "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']", "pattern_type": "stix",
  "valid_from": "2016-01-01T00:00:00Z", "valid_until": "2017-01-01T00:00:00Z", "confidence": 85, "revoked": true,
  "object_marking_refs": ["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"],
  "kill_chain_phases": [{"kill_chain_name": "lockheed-martin-cyber-kill-chain", "phase_name": "delivery"}],
  "extensions": {"extension-definition--5b1e4a86-0c5c-4b3f-8a57-2f6d3c7e91a4": {"extension_type": "property-extension"}},
  "x_unknown": {"kept": true}
}`

func TestIndicator(t *testing.T) {
	o, err := ParseObject([]byte(indicator))
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.Indicator()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2016, 4, 6, 20, 3, 48, 0, time.UTC)
	want := &Indicator{
		Object: &Object{
			Raw: json.RawMessage(indicator), Type: "indicator", SpecVersion: "2.1",
			ID:        "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
			CreatedBy: "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff", Created: at, Modified: at, Revoked: true, Confidence: 85,
			Markings:   []string{"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"},
			Extensions: []string{"extension-definition--5b1e4a86-0c5c-4b3f-8a57-2f6d3c7e91a4"},
		},
		Name: "Poison Ivy", Description: "This is it", Types: []string{"malicious-activity"},
		Pattern: "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']", PatternType: "stix",
		ValidFrom: time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC), ValidUntil: time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC),
		KillChain: []string{"lockheed-martin-cyber-kill-chain/delivery"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Object{})); diff != "" {
		t.Error(diff)
	}
}

func TestIndicatorRefused(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"type", `"type": "indicator"`, `"type": "Indicator"`, "begin with the type"},
		{"type as number", `"type": "indicator"`, `"type": 5`, "type is not a string"},
		{"upper-case name", `"type": "indicator"`, `"Type": "indicator"`, "type is missing"},
		{"identifier", "indicator--8e2e", "indicator--8e2", "not a STIX identifier"},
		{"creator", "identity--", "tool--", "does not name an identity"},
		{"version", `"spec_version": "2.1"`, `"spec_version": "3.0"`, "unknown"},
		{"time", "2016-04-06T20:03:48.000Z", "2016-04-06", "property created"},
		{"modified first", `"modified": "2016`, `"modified": "2015`, "before created"},
		{"confidence", "85", "101", "confidence is not"},
		{"confidence as float", "85", "85.5", "confidence is not"},
		{"confidence as string", "85", `"85"`, "confidence is not"},
		{"revoked", `"revoked": true`, `"revoked": "true"`, "neither true nor false"},
		{"markings", `["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"]`, `"red"`, "not a list"},
		{"no markings", `["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"]`, `[]`, "not a list"},
		{"marking", "marking-definition--3", "indicator--3", "does not name a marking"},
		{"no pattern", `"pattern":`, `"x_pattern":`, "pattern is missing"},
		{"empty pattern", `"[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']"`, `""`, "pattern is empty"},
		{"no pattern type", `"pattern_type":`, `"x_pattern_type":`, "pattern_type is missing"},
		{"no start", `"valid_from":`, `"x_valid_from":`, "are required"},
		{"end before start", `"2017-01-01T00:00:00Z"`, `"2016-01-01T00:00:00Z"`, "not after"},
		{"kill chain", `"phase_name"`, `"phase"`, "kill_chain_phases"},
		{"another type", "indicator", "malware", "not an indicator"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(indicator, c.old, c.new, 1)
			if c.name == "another type" {
				text = strings.ReplaceAll(indicator, `"indicator`, `"malware`)
			}
			if text == indicator {
				t.Fatal("the case changes nothing")
			}
			o, err := ParseObject([]byte(text))
			if err == nil {
				_, err = o.Indicator()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestVersion20(t *testing.T) {
	text := strings.NewReplacer(`"spec_version": "2.1",`, "", `"pattern_type": "stix",`, "").Replace(indicator)
	o, err := ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	x, err := o.Indicator()
	if err != nil {
		t.Fatal(err)
	}
	if x.SpecVersion != "2.0" || x.PatternType != "stix" {
		t.Errorf("got version %q, pattern type %q", x.SpecVersion, x.PatternType)
	}
}
