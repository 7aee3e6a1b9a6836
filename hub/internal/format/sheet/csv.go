package sheet

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// csvTable reads CSV (RFC 4180). Comments and empty lines are passed over, but for
// the header when a mapping says that it stands in a comment.
type csvTable struct {
	split  splitter
	header int64 // line that is no comment whatever it begins with
	begun  bool
	row    row

	comments bool // are rows, too
	tlp      banner
}

func newCSV(br *bufio.Reader, maxRecord int, separator string, header int) *csvTable {
	t := &csvTable{split: splitter{r: br, max: maxRecord, line: 1}, header: int64(header)}
	if separator != "" {
		t.split.comma = separator[0]
	}
	return t
}

// above gives the markings of comments.
func (t *csvTable) above() *banner { return &t.tlp }

// Close implements [io.Closer].
func (t *csvTable) Close() error { return nil }

func (t *csvTable) next() (*row, error) {
	for {
		got, err := t.split.next()
		if err != nil {
			return nil, err
		}
		if !t.begun {
			t.begun = true
			if bytes.HasPrefix(got.raw, []byte("\xff\xfe")) || bytes.HasPrefix(got.raw, []byte("\xfe\xff")) {
				return nil, refused(codeUTF8, "the file is UTF-16: save it as CSV in UTF-8")
			}
			got.raw = bytes.TrimPrefix(got.raw, []byte("\xef\xbb\xbf"))
		}
		trimmed := bytes.TrimSpace(got.raw)
		if got.problem == nil {
			if len(trimmed) == 0 || trimmed[0] == '#' && got.line != t.header && !t.comments {
				t.tlp.find(trimmed)
				continue
			}
			if trimmed[0] == '#' { // quoted fields may follow the sign
				got.raw = bytes.TrimSpace(trimmed[1:])
			}
		}
		cells := t.row.cells[:0]
		t.row = got
		t.row.cells = cells
		t.fields()
		return &t.row, nil
	}
}

// fields cuts the row. The first one that can be cut decides the separator when
// nobody said it.
func (t *csvTable) fields() {
	r := &t.row
	switch {
	case r.problem != nil:
		return
	case !utf8.Valid(r.raw):
		r.problem = problem(codeUTF8, "the record is not UTF-8")
		return
	}
	line := string(r.raw)
	if t.split.comma == 0 && !t.comments && (t.header <= 0 || r.line == t.header) {
		t.split.comma = guessSeparator(line)
	}
	comma := t.split.comma
	if comma == 0 {
		comma = guessSeparator(line) // above the header: only looked at
	}
	var err error
	r.cells, err = fields(line, comma, r.cells)
	if err != nil {
		r.problem = problem(codeSyntax, "not a CSV record: %s", err)
	}
}

func guessSeparator(line string) byte {
	best := byte(',')
	for _, c := range []byte(";\t|") {
		if strings.Count(line, string(c)) > strings.Count(line, string(best)) {
			best = c
		}
	}
	return best
}

// fields cuts a line as [csv.Reader] does, without its allocations, and gives the
// same errors.
func fields(line string, comma byte, out []cell) ([]cell, error) {
	for {
		if line == "" || line[0] != '"' {
			f, rest, more := line, "", false
			i := strings.IndexByte(line, comma)
			if i >= 0 {
				f, rest, more = line[:i], line[i+1:], true
			}
			if strings.IndexByte(f, '"') >= 0 {
				return out, csv.ErrBareQuote
			}
			out = append(out, cell{text: f})
			if !more {
				return out, nil
			}
			line = rest
			continue
		}
		f, rest, more, err := quoted(line[1:], comma)
		if err != nil {
			return out, err
		}
		out = append(out, cell{text: f})
		if !more {
			return out, nil
		}
		line = rest
	}
}

// quoted reads a field behind its opening quote.
func quoted(line string, comma byte) (field, rest string, more bool, err error) {
	var b strings.Builder
	whole := true // the field is a part of the line as it stands
	for {
		i := strings.IndexByte(line, '"')
		if i < 0 {
			return "", "", false, csv.ErrQuote
		}
		part := line[:i]
		after := line[i+1:]
		if strings.HasPrefix(after, `"`) {
			whole = false
			b.WriteString(part)
			b.WriteByte('"')
			line = after[1:]
			continue
		}
		if !whole {
			b.WriteString(part)
			part = b.String()
		}
		if strings.Contains(part, "\r\n") {
			part = strings.ReplaceAll(part, "\r\n", "\n")
		}
		switch {
		case after == "":
			return part, "", false, nil
		case after[0] == comma:
			return part, after[1:], true, nil
		default:
			return "", "", false, csv.ErrQuote
		}
	}
}

// begin reads up to the header and binds it to the mapping.
func begin(rows table, m *Mapping) (*plan, error) {
	if m != nil && m.Header == NoHeader {
		return bindNumbers(m), nil
	}
	for {
		r, err := rows.next()
		if errors.Is(err, io.EOF) {
			if m != nil && m.Header > 0 {
				return nil, refused(codeFormat, "the file has no line %d, where the mapping says the header is", m.Header)
			}
			return nil, refused(codeFormat, "the file has no header line")
		}
		if err != nil {
			return nil, err
		}
		if m != nil && m.Header > 0 && r.line != int64(m.Header) {
			for i := range r.cells {
				rows.above().find([]byte(r.cells[i].text))
			}
			continue
		}
		if r.problem == nil && r.blank() {
			continue
		}
		if r.problem != nil {
			return nil, refused(codeFormat, "the header in line %d cannot be read: %s", r.line, r.problem.Reason)
		}
		for i := range r.cells {
			if r.cells[i].bad != "" {
				return nil, refused(codeFormat, "the header in line %d cannot be read: column %d: %s", r.line, i+1, r.cells[i].bad)
			}
		}
		if m == nil {
			return bindKnown(r)
		}
		return bind(m, r)
	}
}
