package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/hub/internal/format"
)

// TestFieldsAsOthers compares the cutting of a line with encoding/csv.
func TestFieldsAsOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringOfN(rapid.SampledFrom([]rune("ab\", ;é\t")), 1, 24, -1).Draw(t, "line")
		comma := rapid.SampledFrom([]byte(",;\t")).Draw(t, "comma")
		r := csv.NewReader(strings.NewReader(line))
		r.Comma, r.FieldsPerRecord = rune(comma), -1
		want, werr := r.Read()
		var pe *csv.ParseError
		if errors.As(werr, &pe) {
			werr = pe.Err
		}
		cells, err := fields(line, comma, nil)
		if !errors.Is(err, werr) {
			t.Fatalf("%q: %v, want %v", line, err, werr)
		}
		if err != nil {
			return
		}
		var got []string
		for _, c := range cells {
			got = append(got, c.text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", line, diff)
		}
	})
}

// TestTableAsOthers writes random tables with encoding/csv, and reads them again,
// however the bytes come.
func TestTableAsOthers(t *testing.T) {
	m := &Mapping{Header: NoHeader, Separator: ",", Columns: []Column{{Number: 1, Field: Value}, {Number: 2, Field: Reference}}}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab\",\n; é")), 1, 12, -1)
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		var want [][2]string
		for range rapid.IntRange(0, 8).Draw(t, "rows") {
			row := [2]string{"x" + text.Draw(t, "value") + "x", "y" + text.Draw(t, "reference") + "y"}
			want = append(want, row)
			err := w.Write(row[:])
			if err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
		var r io.Reader = &b
		if rapid.Bool().Draw(t, "slow") {
			r = iotest.OneByteReader(r)
		}
		rd, err := m.Open(r, small)
		if err != nil {
			t.Fatal(err)
		}
		var got [][2]string
		for {
			rec, err := rd.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || rec.Problem != nil {
				t.Fatal(err, rec.Problem)
			}
			got = append(got, [2]string{rec.Value, rec.Reference})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// fuzzed reads a whole table, and checks what must hold for every input.
func fuzzed(t *testing.T, open format.Open, r io.Reader, size int) []string {
	t.Helper()
	limits := format.Limits{Record: 2048, Total: 4 << 20}
	rd, err := open(r, limits)
	var whole *format.Refused
	if errors.As(err, &whole) {
		return []string{whole.Reason}
	}
	if err != nil {
		t.Fatalf("an input without errors gave %v", err)
	}
	var out []string
	line := int64(0)
	for {
		rec, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if errors.As(err, &whole) {
			return append(out, whole.Reason)
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.Line < line || rec.Place == "" || rec.Problem != nil && (rec.Value != "" || rec.Problem.Reason == "" || len(rec.Problem.Reason) > 500 || !utf8.ValidString(rec.Problem.Reason)) ||
			rec.Problem == nil && rec.Value == "" && rec.Pattern == "" || len(rec.Raw) > 4096+maxColumns*8 {
			t.Fatalf("record %+v", rec)
		}
		line = rec.Line
		out = append(out, say(rec))
		if len(out) > 2*size+2 {
			t.Fatal("more records than bytes: the reader does not move on")
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("value,tlp\na.example,green\n\"b.example\",\n"))
	f.Add([]byte("\xef\xbb\xbfpattern;summary\r\n\"[domain-name:value = 'x.example']\";\"a\nb\"\"c\"\r\n"))
	f.Add([]byte("value\n\"open\nb.example\n"))
	f.Add([]byte("# TLP:RED\nvalue\ttype\tport\n192.0.2.1\taddress\t5\n5\"x\ty\t\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
			return
		}
		once := fuzzed(t, Open, bytes.NewReader(data), len(data))
		slow := fuzzed(t, Open, iotest.OneByteReader(bytes.NewReader(data)), len(data))
		if diff := cmp.Diff(once, slow); diff != "" {
			t.Error(diff)
		}
		s, err := Look(bytes.NewReader(data), small, "", 20)
		if err != nil {
			return
		}
		p := s.Suggest()
		if p.Complete {
			fuzzed(t, p.Mapping.Open, bytes.NewReader(data), len(data))
		}
	})
}

// FuzzSheet changes the sheet of a good workbook: what is around it is the business
// of archive/zip.
func FuzzSheet(f *testing.F) {
	good := ownBook(f)
	f.Add(`<sheetData><row r="1"><c t="inlineStr"><is><t>value</t></is></c></row><row><c r="A2" t="s"><v>0</v></c><c t="e"><v>#N/A</v></c></row></sheetData>`)
	f.Add(`<x:sheetData><x:row r="9"><x:c r="A1" t="str"><x:f>1</x:f></x:c></x:row>`)
	f.Add("<sheetData><row><c><v>1</v></c></row><\xff")
	f.Fuzz(func(t *testing.T, sheet string) {
		file := rebuilt(t, good, sheetPart, func(string) string { return sheet })
		a := fuzzed(t, Open, bytes.NewReader(file), len(sheet))
		b := fuzzed(t, Open, iotest.HalfReader(bytes.NewReader(file)), len(sheet))
		if diff := cmp.Diff(a, b); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzWorkbook(f *testing.F) {
	f.Add(ownBook(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
			fuzzed(t, Open, bytes.NewReader(data), len(data)*64)
		}
	})
}

func FuzzMapping(f *testing.F) {
	f.Add([]byte(`{"header":3,"columns":[{"header":"IOC","field":"value","split":", "},{"number":2,"field":"marking"}],"dates":"dmy","zone":"+02:00","scale":"words","markings":{"*":"tlp:red"},"constants":{"category":"c2"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMapping(data)
		if err != nil {
			return
		}
		b, err := m.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseMapping(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		c, err := again.JSON()
		if err != nil || !bytes.Equal(b, c) {
			t.Fatalf("%s became %s: %v", b, c, err)
		}
	})
}
