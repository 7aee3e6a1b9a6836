package export_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/export"
	"ecs/hub/internal/format"
	"ecs/hub/internal/format/misp"
	"ecs/hub/internal/format/sheet"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/observable"
	"ecs/stix"
)

// records reads an export by the reader that intake has for its format.
func records(t *rapid.T, open format.Open, text []byte) []format.Record {
	r, err := open(bytes.NewReader(text), format.Limits{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var out []format.Record
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.Problem != nil {
			t.Fatalf("%s: %s in\n%s", rec.Problem.Code, rec.Problem.Reason, text)
		}
		c := *rec
		c.Labels, c.Marks = slices.Clone(rec.Labels), slices.Clone(rec.Marks)
		out = append(out, c)
	}
}

// patternOf gives the canonical pattern of a record, as intake makes it.
func patternOf(t *rapid.T, r *format.Record) observable.Compiled {
	p := r.Pattern
	if p == "" {
		a, err := observable.FromValue(r.Value)
		if r.Kind == observable.Subject || r.Kind == observable.FileName || err == nil && r.Kind != observable.None && a.Kind != r.Kind {
			a, err = observable.Make(r.Kind, r.Value)
		}
		if err != nil {
			t.Fatal(err)
		}
		p = observable.Pattern(a)
	}
	c, err := observable.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What the hub exports as CSV, its own reader gives back.
func TestCSVIsDeliveredAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(anyRow, 0, 6).Draw(t, "rows")
		var b bytes.Buffer
		_, err := export.CSV(&b, rowsOf(rows), options())
		if err != nil {
			t.Fatal(err)
		}
		got := records(t, sheet.Open, b.Bytes())
		if len(got) != len(rows) {
			t.Fatalf("%d rows became %d:\n%s", len(rows), len(got), b.String())
		}
		for i, r := range got {
			c := patternOf(t, &r)
			if h := marking.Combine(r.Marks...); !h.Equal(rows[i].Handling) {
				t.Fatalf("%s became %s", rows[i].Handling, h)
			}
			id, err := contract.ParseID(r.Reference)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(told(rows[i].Item), indicator.Item{
				ID: id, Pattern: c.Pattern, Kind: c.Atoms[0].Kind, Value: c.Atoms[0].String(), Services: c.Services, Category: r.Category,
				Action: r.Action, Confidence: r.Confidence, TLP: marking.Combine(r.Marks...).TLP(), Enforce: *r.Enforce, Display: *r.Display,
				Notify: *r.Notify, Disclosure: *r.Disclosure, Labels: strings.Join(r.Labels, "\n"), Summary: r.Summary, Context: r.Context,
				ValidFrom: r.From, ValidUntil: r.Until, Observed: r.Observed,
			}); diff != "" {
				t.Fatalf("%s\nin\n%s", diff, b.String())
			}
		}
	})
}

// What it exports as MISP, too, as far as MISP can say it.
func TestMISPIsDeliveredAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(anyRow, 0, 6).Draw(t, "rows")
		var b bytes.Buffer
		_, err := export.MISP(&b, rowsOf(rows), options())
		if err != nil {
			t.Fatal(err)
		}
		got := records(t, misp.Open, b.Bytes())
		for _, r := range rows {
			c, err := observable.Compile(r.Item.Pattern)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range c.Atoms {
				if len(got) == 0 {
					t.Fatalf("%s is missing in\n%s", a, b.String())
				}
				rec := got[0]
				got = got[1:]
				if rec.Skip != !r.Item.Enforce {
					t.Fatalf("%s: to_ids is not whether it may be used to block", a)
				}
				if rec.Skip {
					continue
				}
				h := marking.Combine(rec.Marks...)
				if p := patternOf(t, &rec).Pattern; p != observable.Pattern(a) || !h.Dominates(r.Handling) || h.TLP() != r.Item.TLP || rec.Credibility != 2 ||
					!rec.Observed.Equal(r.Item.Observed) || math.Abs(float64(rec.Confidence-r.Item.Confidence)) > 13 {
					t.Fatalf("%s, %v became %s, %+v in\n%s", a, r.Item, p, rec, b.String())
				}
				if r.Item.Category != contract.Other && rec.Category != r.Item.Category || !strings.Contains(folded(rec.Context), folded(r.Item.Summary)) {
					t.Fatalf("category %s became %s, context %q", r.Item.Category, rec.Category, rec.Context)
				}
				for l := range strings.SplitSeq(r.Item.Labels, "\n") {
					if l != "" && !slices.Contains(rec.Labels, l) {
						t.Fatalf("label %q is not among %q", l, rec.Labels)
					}
				}
			}
		}
		if len(got) != 1 || !got[0].Skip {
			t.Fatalf("%d records are left, want the report alone", len(got))
		}
	})
}

// folded is how a reader keeps a comment: white space of each run is one space.
func folded(s string) string { return strings.Join(strings.Fields(s), " ") }

// What it exports as STIX is read as it was written.
func TestSTIXIsDeliveredAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(anyRow, 0, 6).Draw(t, "rows")
		var b bytes.Buffer
		_, err := export.STIX(&b, rowsOf(rows), options())
		if err != nil {
			t.Fatal(err)
		}
		in := stix.NewReader(bytes.NewReader(b.Bytes()), stix.Limits{})
		for {
			o, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if o.Type != "indicator" {
				continue
			}
			x, err := o.Indicator()
			if err != nil {
				t.Fatal(err)
			}
			it := rows[0].Item
			rows = rows[1:]
			if o.ID != it.ID.String() || x.Pattern != it.Pattern || x.Description != it.Summary || o.Confidence != it.Confidence || o.CreatedBy != program.ID {
				t.Fatalf("%+v became %+v", it, x)
			}
		}
		if len(rows) != 0 {
			t.Fatalf("%d rows are missing", len(rows))
		}
	})
}

func benchmark(b *testing.B, f export.Write) {
	const n = 20_000
	rows := make([]export.Row, n)
	for i := range rows {
		rows[i] = value(i, "h"+string(rune('a'+i%26))+".bad.example")
		rows[i].Item.Handling = 1
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := f(io.Discard, rowsOf(rows), options())
		if err != nil || r.Written != n {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkSTIX(b *testing.B) { benchmark(b, export.STIX) }
func BenchmarkMISP(b *testing.B) { benchmark(b, export.MISP) }
func BenchmarkCSV(b *testing.B)  { benchmark(b, export.CSV) }
func BenchmarkList(b *testing.B) { benchmark(b, export.List) }
