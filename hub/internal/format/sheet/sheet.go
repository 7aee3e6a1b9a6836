// Package sheet reads deliveries that are tables: CSV and XLSX. A table whose
// columns have our own names (docs/formats/sheet.md) is read as it is; any other
// needs a [Mapping], which says what each column of a source's file means, is
// saved for the source, and is proposed by [Suggest] from the header.
//
// It is NOT for judging what a row says, and it evaluates no formula: a cell is
// what its file holds.
//
// Invariants, beside those of package format:
//   - A column that is neither known nor mapped refuses the file: it could be a
//     misspelled marking. What a mapping ignores is counted, see [Reader.Left].
//   - A TLP in a comment, or in a row above the header, marks all records below it,
//     beside what each says itself.
//   - A field that cannot be read is a Problem of its row, never a guess.
//   - Memory holds one row, and of XLSX the shared strings, at most 64 MiB.
package sheet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"ecs/hub/internal/format"
)

// Codes of problems and refusals, as docs/formats/intake.md lists them.
const (
	codeFormat    = "FORMAT"
	codeSyntax    = "SYNTAX"
	codeTruncated = "TRUNCATED"
	codeTooLarge  = "ITEM-TOO-LARGE"
	codeUTF8      = "BAD-UTF8"
	codeMissing   = "MISSING-FIELD"
	codeValue     = "BAD-VALUE"
)

const (
	maxColumns    = 512
	defaultRecord = 256 << 10
	defaultTotal  = 1 << 30
)

// cell is one field of a row.
type cell struct {
	text   string
	number bool   // of XLSX, a number that no format says to be a date
	bad    string // of XLSX, why it has no value: an error, a formula without a result
}

// row is one line of the table. It holds until the next.
type row struct {
	line    int64
	raw     []byte
	cells   []cell
	sparse  bool // empty cells at its end are not there
	problem *format.Problem
}

func (r *row) blank() bool {
	for i := range r.cells {
		if r.cells[i].bad != "" || strings.TrimSpace(r.cells[i].text) != "" {
			return false
		}
	}
	return true
}

// table gives row after row; the error at the end is io.EOF.
type table interface {
	next() (*row, error)
	above() *banner
	io.Closer
}

// Reader reads the records of a table, one for each value of a row.
type Reader struct {
	rows table
	plan *plan
	made []format.Record // of the row at hand
	at   int
	out  format.Record
}

// Open is a [format.Open] for CSV and XLSX whose columns have our own names.
func Open(r io.Reader, limits format.Limits) (format.Reader, error) { return open(r, limits, nil) }

// Open is a [format.Open] for the files of a source by its mapping. The mapping
// must have passed [Mapping.Check].
func (m *Mapping) Open(r io.Reader, limits format.Limits) (format.Reader, error) {
	return open(r, limits, m)
}

func open(r io.Reader, limits format.Limits, m *Mapping) (format.Reader, error) {
	reader, err := newReader(r, limits, m)
	if err != nil {
		return nil, err
	}
	return reader, nil
}

func newReader(r io.Reader, limits format.Limits, m *Mapping) (*Reader, error) {
	rows, err := openTable(r, limits, m)
	if err != nil {
		return nil, err
	}
	p, err := begin(rows, m)
	if err != nil {
		_ = rows.Close()
		return nil, err
	}
	book, ok := rows.(*xlsxTable)
	p.days1904 = ok && book.w.days1904
	return &Reader{rows: rows, plan: p}, nil
}

// Close lets go of a spooled workbook. The end of the table does so, too.
func (r *Reader) Close() error { return r.rows.Close() }

// Next implements [format.Reader].
func (r *Reader) Next() (*format.Record, error) {
	for r.at == len(r.made) {
		row, err := r.rows.next()
		if errors.Is(err, io.EOF) {
			_ = r.rows.Close()
			return nil, io.EOF
		}
		if err != nil {
			return nil, err
		}
		if row.problem == nil && row.blank() {
			continue
		}
		r.plan.banner = r.rows.above().marks
		r.made, r.at = r.plan.records(row, r.made[:0]), 0
	}
	r.out = r.made[r.at]
	r.at++
	return &r.out, nil
}

// Left is a column that the mapping ignores.
type Left struct {
	Header string `json:"header"`
	Number int    `json:"number"` // from 1
	Cells  int64  `json:"cells"`  // how many of them held something, so far
}

// Left gives what was read and not kept: the ignored columns, in their order.
func (r *Reader) Left() []Left {
	var out []Left
	for i, c := range r.plan.columns {
		if c.field == Ignore {
			out = append(out, Left{Header: c.header, Number: i + 1, Cells: c.left})
		}
	}
	return out
}

// openTable tells CSV from XLSX by the first bytes.
func openTable(r io.Reader, limits format.Limits, m *Mapping) (table, error) {
	if limits.Record <= 0 {
		limits.Record = defaultRecord
	}
	if limits.Total <= 0 {
		limits.Total = defaultTotal
	}
	var sheet, separator string
	headerLine := 0
	if m != nil {
		sheet, separator, headerLine = m.Sheet, m.Separator, m.Header
	}
	file, seekable := r.(seekable)
	start := int64(0)
	var err error
	if seekable {
		start, err = file.Seek(0, io.SeekCurrent)
		seekable = err == nil // a pipe is a file, too
	}
	br := bufio.NewReaderSize(r, limits.Record+64<<10)
	first, err := br.Peek(8)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch string(first[:min(len(first), 4)]) {
	case "PK\x03\x04":
		if seekable {
			return openFile(file, start, limits, sheet)
		}
		return openSpooled(br, limits, sheet)
	case "\xd0\xcf\x11\xe0":
		return nil, refused(codeFormat, "this is an old (.xls) or encrypted workbook: save it as .xlsx without a password, or as CSV")
	}
	return newCSV(br, limits.Record, separator, headerLine), nil
}

func refused(code, text string, args ...any) error {
	return &format.Refused{Code: code, Reason: bounded(fmt.Sprintf(text, args...))}
}

func problem(code, text string, args ...any) *format.Problem {
	return &format.Problem{Code: code, Reason: bounded(fmt.Sprintf(text, args...))}
}

// bounded makes a reason fit to be shown whatever an error of a library holds.
func bounded(s string) string {
	const most = 480
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// clip keeps messages short whatever was put in.
func clip(s string) string {
	const most = 60
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	n := most
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
