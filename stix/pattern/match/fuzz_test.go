package match

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"ecs/stix/pattern"
)

// FuzzMatch takes patterns and data of strangers: an answer, or an error of ours,
// and the same answer for the canonical spelling of the pattern.
func FuzzMatch(f *testing.F) {
	v := readVectors(f)
	for i, c := range v.Cases {
		if i%9 == 0 {
			f.Add(c.Pattern, []byte(v.Data[c.Data]))
		}
	}
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		p, err := pattern.Parse(text)
		if err != nil {
			return
		}
		d, err := Read(bytes.NewReader(data))
		if err != nil {
			var e *DataError
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		m, err := New(p, norm.NFC.String)
		if err != nil {
			var e *pattern.Error
			if !errors.As(err, &e) || e.Pos > len(text) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		const steps = 100_000
		r, err := m.Match(d, steps)
		if err != nil {
			var e *BudgetError
			if !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if r.Steps > steps || r.Matched != (r.Binding != nil) {
			t.Fatalf("%+v", r)
		}
		again, err := New(parse(t, p.String()), norm.NFC.String)
		if err != nil {
			t.Fatal(err)
		}
		other, err := again.Match(d, steps)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, other); diff != "" {
			t.Fatalf("%s and %s differ: %s", text, p, diff)
		}
	})
}

func TestReadRefuses(t *testing.T) {
	const good = `"type":"observed-data","id":"observed-data--1","first_observed":"2026-01-01T00:00:00Z","last_observed":"2026-01-01T00:00:00Z"`
	for _, c := range []struct{ name, in, why string }{
		{"empty", "", "not JSON"},
		{"text", "a.example", "not JSON"},
		{"string", `"x"`, "want a bundle"},
		{"two", "{} {}", "follows the end"},
		{"bytes", "\"\xff\"", "UTF-8"},
		{"no number", "{" + good + "}", "number_observed"},
		{"zero", "{" + good + `,"number_observed":0}`, "number_observed"},
		{"fraction", "{" + good + `,"number_observed":1.5}`, "number_observed"},
		{"no time", `{"type":"observed-data","id":"observed-data--1","number_observed":1,"first_observed":"2026-01-01T00:00:00Z"}`, "last_observed"},
		{"backwards", `{"type":"observed-data","id":"observed-data--1","number_observed":1,"first_observed":"2026-01-01T00:00:01Z","last_observed":"2026-01-01T00:00:00Z"}`, "before"},
		{"nameless", `[{"type":"url","value":"http://a.example/"}]`, "no id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.in))
			var e *DataError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("got %v, want a DataError with %q", err, c.why)
			}
		})
	}
}

// Of versions the latest counts, and nothing of what was revoked; what nothing
// refers to is not observed.
func TestReadVersions(t *testing.T) {
	version := func(modified, more string) string {
		return `{"type":"observed-data","id":"observed-data--1","modified":"` + modified + `","first_observed":"2026-01-01T00:00:00Z","last_observed":"2026-01-01T00:00:00Z","number_observed":1` + more + `}`
	}
	const things = `,{"type":"url","id":"url--1","value":"a"},{"type":"url","id":"url--2","value":"b"},{"type":"url","id":"url--1","value":"c"},{"type":"identity","id":"identity--1","name":"n"}`
	both := `{"type":"bundle","objects":[` + version("2026-01-02T00:00:00Z", `,"object_refs":["url--1","identity--1","url--9"]`) + `,` + version("2026-01-01T00:00:00Z", `,"object_refs":["url--2"]`) + things + `]}`
	for text, want := range map[string]bool{
		"[url:value = 'a']": true, "[url:value = 'b']": false, "[url:value = 'c']": false, "[identity:name = 'n']": false,
	} {
		if got := run(t, text, read(t, both)).Matched; got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	revoked := `[` + version("2026-01-01T00:00:00Z", `,"object_refs":["url--1"]`) + `,` + version("2026-01-02T00:00:00Z", `,"revoked":true,"object_refs":["url--1"]`) + things + `]`
	if d := read(t, revoked); len(d.Observations) != 0 {
		t.Errorf("a revoked observation counts: %+v", d.Observations)
	}
}

func BenchmarkMatch(b *testing.B) {
	v := readVectors(b)
	var d *Data
	for name, raw := range v.Data {
		if strings.Contains(name, "2.1 complex") {
			d = read(b, string(raw))
		}
	}
	m, err := New(parse(b, "([person:age < 30] AND [person:name > 'aaron']) WITHIN 2 SECONDS REPEATS 3 TIMES"), norm.NFC.String)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err = m.Match(d, 0)
		if err != nil {
			b.Fatal(err)
		}
	}
}
