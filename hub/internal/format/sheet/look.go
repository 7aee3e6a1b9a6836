package sheet

import (
	"errors"
	"io"
	"slices"

	"ecs/hub/internal/format"
)

// Sample is the beginning of a file as it is, for a page on which a mapping is
// made.
type Sample struct {
	Sheets []string `json:"sheets,omitempty"` // of a workbook, in order
	Sheet  string   `json:"sheet,omitempty"`  // the one looked at
	Rows   []Line   `json:"rows"`
	Header int      `json:"header"` // index in Rows of what looks like the header
}

// Line is one row of a sample.
type Line struct {
	Line    int64    `json:"line"`
	Cells   []string `json:"cells"`
	Problem string   `json:"problem,omitempty"`
}

// Look reads the first n rows of a file and guesses which is the header. sheet
// chooses one of a workbook, empty for the first visible one. Its errors are those
// of [Open].
func Look(r io.Reader, limits format.Limits, sheet string, n int) (*Sample, error) {
	rows, err := openTable(r, limits, &Mapping{Sheet: sheet, Header: NoHeader})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	s := &Sample{}
	switch t := rows.(type) {
	case *xlsxTable:
		s.Sheets = t.w.names
		s.Sheet = t.w.chosen
	case *csvTable:
		t.comments = true // a header may be one
	}
	for len(s.Rows) < n {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if row.problem == nil && row.blank() {
			continue
		}
		l := Line{Line: row.line}
		for i := range row.cells {
			l.Cells = append(l.Cells, row.cells[i].text)
		}
		if row.problem != nil {
			l.Problem = row.problem.Reason
		}
		s.Rows = append(s.Rows, l)
	}
	s.guess()
	return s, nil
}

// guess takes the first row with the most words that name a field.
func (s *Sample) guess() {
	best := 0
	for i, l := range s.Rows {
		known := 0
		for _, c := range l.Cells {
			if len(c) <= 80 && headerWord(c).field != "" {
				known++
			}
		}
		if known > best {
			best, s.Header = known, i
		}
	}
}

// Suggest proposes a mapping of the file that was looked at.
func (s *Sample) Suggest() Proposal {
	if len(s.Rows) == 0 {
		return Proposal{}
	}
	var rows [][]string
	for _, l := range s.Rows[s.Header+1:] {
		rows = append(rows, l.Cells)
	}
	p := Suggest(s.Rows[s.Header].Cells, rows)
	p.Mapping.Sheet = s.Sheet
	p.Mapping.Header = int(s.Rows[s.Header].Line)
	return p
}

// Preview gives the first n records of a file by a mapping, nil for a file with our
// own names, and what the mapping leaves out of them.
func Preview(r io.Reader, limits format.Limits, m *Mapping, n int) ([]format.Record, []Left, error) {
	reader, err := newReader(r, limits, m)
	if err != nil {
		return nil, nil, err
	}
	defer reader.Close()
	var out []format.Record
	for len(out) < n {
		rec, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		keep := *rec
		keep.Raw = slices.Clone(rec.Raw)
		out = append(out, keep)
	}
	return out, reader.Left(), nil
}
