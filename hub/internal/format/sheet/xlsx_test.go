package sheet

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"ecs/hub/internal/format"
)

// book makes a workbook with the library that others use; the second sheet is the
// one with rows, the first is hidden.
func book(t testing.TB, fill func(f *excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.NewSheet("Indicators")
	must(err)
	must(f.SetSheetName("Sheet1", "Notes"))
	f.SetActiveSheet(1)
	must(f.SetSheetVisible("Notes", false))
	fill(f)
	var b bytes.Buffer
	must(f.Write(&b))
	return b.Bytes()
}

func set(t testing.TB, f *excelize.File, sheet string, rows [][]any) {
	t.Helper()
	for i, r := range rows {
		err := f.SetSheetRow(sheet, fmt.Sprintf("A%d", i+1), &r)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func messy(t testing.TB) []byte {
	return book(t, func(f *excelize.File) {
		day := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		set(t, f, "Indicators", [][]any{
			{"Report of the week, TLP:GREEN"},
			{},
			{"#", "Indicator", "First seen (UTC)", "Certainty", "Comment", "Handling"},
			{1, "hxxp://a[.]example/x", day, 0.8, "first", "TLP:AMBER"},
			{2, "192.0.2.1", 46085, 0.5, true},
			{},
			{4, "b.example", "2026-03-04", 0.25},
			{5, "c.example", nil, 0.1, nil, nil, "stray"},
		})
		percent, err := f.NewStyle(&excelize.Style{NumFmt: 9})
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			f.SetCellStyle("Indicators", "D4", "D8", percent),
			f.SetCellFormula("Indicators", "B9", `"d.example"`),
			f.SetCellRichText("Indicators", "B10", []excelize.RichTextRun{{Text: "e."}, {Text: "example", Font: &excelize.Font{Bold: true}}}),
			f.SetCellValue("Notes", "A1", "nothing here"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestWorkbook(t *testing.T) {
	file := messy(t)
	s, err := Look(bytes.NewReader(file), small, "", 20)
	if err != nil {
		t.Fatal(err)
	}
	if s.Sheet != "Indicators" || len(s.Sheets) != 2 || s.Rows[s.Header].Line != 3 {
		t.Fatalf("looked at: %+v", s)
	}
	p := s.Suggest()
	if !p.Complete {
		t.Fatalf("proposal: %+v: %v", p, p.Mapping.Check())
	}
	want := []Field{Context, Value, ValidFrom, Confidence, Context, Marking}
	for i, c := range p.Mapping.Columns {
		if c.Field != want[i] {
			t.Errorf("column %q is %s, want %s: %s", c.Header, c.Field, want[i], p.Reasons[i].Why)
		}
	}
	wantLines := []string{
		"line 4 hxxp://a[.]example/x TLP:GREEN TLP:AMBER", "line 5 192.0.2.1 TLP:GREEN", "line 7 b.example TLP:GREEN",
		"line 8 SYNTAX", "line 9 BAD-VALUE", "line 10 e.example TLP:GREEN",
	}
	onDisk := filepath.Join(t.TempDir(), "book.xlsx")
	if err := os.WriteFile(onDisk, file, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(onDisk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, r := range map[string]io.Reader{"memory": bytes.NewReader(file), "file": f, "stream": iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(file)))} {
		lines, recs, err := readAll(t, p.Mapping.Open, r)
		if err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(wantLines, lines); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
		if r := recs[0]; !r.From.Equal(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)) || r.Confidence != 80 || r.Context != "#: 1\nComment: first" {
			t.Errorf("%s: first: %+v", name, r)
		}
		if r := recs[1]; !r.From.Equal(time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)) || r.Context != "#: 2\nComment: true" || r.Confidence != 50 {
			t.Errorf("%s: second: %+v", name, r)
		}
	}
}

// TestOwnNamesInWorkbook reads without a mapping, and as CSV gives it.
func TestOwnNamesInWorkbook(t *testing.T) {
	file := book(t, func(f *excelize.File) {
		set(t, f, "Indicators", [][]any{
			{"value", "confidence", "tlp", "valid_until"},
			{"a.example", 80, "amber", "2027-01-31"},
			{"b.example"},
			{"c.example", 800},
		})
	})
	book, recs, err := readAll(t, Open, bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	csv, _, err := readAll(t, Open, strings.NewReader("value,confidence,tlp,valid_until\na.example,80,amber,2027-01-31\nb.example,,,\nc.example,800,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(csv, book); diff != "" {
		t.Error(diff)
	}
	if string(recs[0].Raw) != "a.example\t80\tamber\t2027-01-31" {
		t.Errorf("raw: %q", recs[0].Raw)
	}
}

// rebuilt changes one part of a workbook.
func rebuilt(t testing.TB, file []byte, name string, change func(string) string) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	found := false
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		s := string(text)
		if f.Name == name {
			found = true
			s = change(s)
		}
		w, err := out.Create(f.Name)
		if err == nil {
			_, err = io.WriteString(w, s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("no part %s", name)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const sheetPart = "xl/worksheets/sheet2.xml"

func ownBook(t testing.TB) []byte {
	return book(t, func(f *excelize.File) {
		set(t, f, "Indicators", [][]any{{"value", "summary"}, {"a.example", "x"}, {"b.example", "y"}})
	})
}

func TestHostileWorkbooks(t *testing.T) {
	good := ownBook(t)
	space := strings.Repeat(" ", 20<<20)
	for name, c := range map[string]struct {
		file []byte
		want string // of the refusal, or of the last line
	}{
		"good": {good, "line 3 b.example"},
		"bomb": {rebuilt(t, good, sheetPart, func(s string) string { return strings.Replace(s, "<sheetData>", "<sheetData>"+space, 1) }), "longer than 1 MiB"},
		"bomb of marks": {rebuilt(t, good, sheetPart, func(s string) string {
			return strings.Replace(s, "<sheetData>", "<sheetData>"+strings.Repeat("<x>"+strings.Repeat("y", 100_000)+"</x>", 200), 1)
		}), "larger, unpacked"},
		"cut off": {rebuilt(t, good, sheetPart, func(s string) string { return s[:strings.Index(s, `<row r="3"`)] }), "line 3 TRUNCATED"},
		"long cell": {rebuilt(t, good, "xl/sharedStrings.xml", func(s string) string {
			return strings.Replace(s, "b.example", strings.Repeat("b", 5000), 1)
		}), "line 3 ITEM-TOO-LARGE"},
		"no strings":          {rebuilt(t, good, "xl/sharedStrings.xml", func(string) string { return "<sst></sst>" }), "not in the workbook"},
		"strings without end": {rebuilt(t, good, "xl/sharedStrings.xml", func(s string) string { return s[:len(s)-20] }), "cannot be read"},
		"other sheets":        {rebuilt(t, good, "xl/workbook.xml", func(s string) string { return strings.ReplaceAll(s, "<sheet ", "<shet ") }), "no visible sheet"},
		"cells backwards":     {rebuilt(t, good, sheetPart, func(s string) string { return strings.ReplaceAll(s, `r="A3"`, `r="C3"`) }), "line 3 SYNTAX"},
		"far away":            {rebuilt(t, good, sheetPart, func(s string) string { return strings.ReplaceAll(s, `r="B3"`, `r="XFD3"`) }), "line 3 SYNTAX"},
		"row 10^12":           {rebuilt(t, good, sheetPart, func(s string) string { return strings.ReplaceAll(s, `<row r="3"`, `<row r="1000000000000"`) }), "line 3 b.example"},
		"no relations":        {rebuilt(t, good, "_rels/.rels", func(string) string { return "<a/>" }), "line 3 b.example"},
		"shared without end": {rebuilt(t, good, "xl/sharedStrings.xml", func(s string) string {
			return strings.Replace(s, "</sst>", strings.Repeat("<si><t>x</t></si>", 900_000)+"</sst>", 1)
		}), "line 3 b.example"},
	} {
		lines, _, err := readAll(t, Open, bytes.NewReader(c.file))
		got := ""
		var whole *format.Refused
		switch {
		case errors.As(err, &whole):
			got = whole.Reason
		case err != nil:
			t.Errorf("%s: %v is no refusal", name, err)
		case len(lines) > 0:
			got = lines[len(lines)-1]
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestTooManyTexts has 70 MiB of shared strings, which compress to nothing.
func TestTooManyTexts(t *testing.T) {
	if testing.Short() {
		t.Skip("70 MiB of XML: left out of short runs")
	}
	file := rebuilt(t, ownBook(t), "xl/sharedStrings.xml", func(s string) string {
		return strings.Replace(s, "</sst>", strings.Repeat("<si><t>"+strings.Repeat("x", 1<<20-100)+"</t></si>", 70)+"</sst>", 1)
	})
	_, err := Open(bytes.NewReader(file), format.Limits{})
	var whole *format.Refused
	if !errors.As(err, &whole) || !strings.Contains(whole.Reason, "more than 64 MiB") {
		t.Errorf("%v", err)
	}
}

func TestNoWorkbook(t *testing.T) {
	made := func(names ...string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, n := range names {
			w, err := z.Create(n)
			if err == nil {
				_, err = io.WriteString(w, "<a/>")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"archive":      {made("list.csv"), "no workbook"},
		"OpenDocument": {made("mimetype", "content.xml"), ".ods"},
		"twice":        {made("xl/a.xml", "xl/A.xml"), "twice"},
		"directory":    {made(strings.Split(strings.Repeat(strings.Repeat("n", 60_000)+",", 100), ",")...), "larger than any of a workbook"},
	} {
		_, err := Open(bytes.NewReader(c.file), small)
		var whole *format.Refused
		if !errors.As(err, &whole) || !strings.Contains(whole.Reason, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestDatesOfFormats(t *testing.T) {
	for code, want := range map[string]style{
		"General": plainNumber, "0.00": plainNumber, "0%": percentNumber, "yyyy-mm-dd": dateNumber, "[$-409]d/m/yy h:mm AM/PM;@": dateNumber,
		`#,##0 "days"`: plainNumber, "[h]:mm": plainNumber, `0.0\d`: plainNumber, "[Red]0": plainNumber, `"unfinished`: plainNumber, "[unfinished": plainNumber,
	} {
		if got := styleOf(code); got != want {
			t.Errorf("%q: %d, want %d", code, got, want)
		}
	}
	for _, c := range []struct {
		x     float64
		since bool
		want  string
	}{{46054, false, "2026-02-01T00:00:00Z"}, {46054.5, false, "2026-02-01T12:00:00Z"}, {44592, true, "2026-02-01T00:00:00Z"}, {46054.99999999, false, "2026-02-02T00:00:00Z"}} {
		if got := fromSerial(c.x, c.since).Format(time.RFC3339); got != c.want {
			t.Errorf("%v: %s, want %s", c.x, got, c.want)
		}
	}
}

// manyRows writes a large workbook by the library's own stream.
func manyRows(t testing.TB, rows int) []byte {
	return book(t, func(f *excelize.File) {
		w, err := f.NewStreamWriter("Indicators")
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows + 1 {
			row := []any{fmt.Sprintf("host-%d.bad.example", i), "domain", "c2", i % 100, "green"}
			if i == 0 {
				row = []any{"value", "type", "category", "confidence", "tlp"}
			}
			cell, err := excelize.CoordinatesToCellName(1, i+1)
			if err == nil {
				err = w.SetRow(cell, row)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		err = w.Flush()
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestMemoryDoesNotGrow reads ten times the rows with the same memory.
func TestMemoryDoesNotGrow(t *testing.T) {
	most := func(rows int) uint64 {
		file := manyRows(t, rows)
		rd, err := Open(bytes.NewReader(file), format.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var m runtime.MemStats
		var peak uint64
		runtime.GC()
		runtime.ReadMemStats(&m)
		base := m.HeapAlloc
		for n := 0; ; n++ {
			_, err := rd.Next()
			if errors.Is(err, io.EOF) {
				if n != rows {
					t.Fatalf("%d records of %d rows", n, rows)
				}
				return peak
			}
			if err != nil {
				t.Fatal(err)
			}
			if n%(rows/10) == 0 {
				runtime.GC()
				runtime.ReadMemStats(&m)
				if m.HeapAlloc > base {
					peak = max(peak, m.HeapAlloc-base)
				}
			}
		}
	}
	few, many := most(2000), most(20_000)
	if many > few+1<<20 {
		t.Errorf("%d bytes for 2,000 rows and %d for 20,000", few, many)
	}
}

func BenchmarkXLSX(b *testing.B) {
	const rows = 20_000
	file := manyRows(b, rows)
	b.ReportAllocs()
	for b.Loop() {
		rd, err := Open(bytes.NewReader(file), format.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		for {
			_, err := rd.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
