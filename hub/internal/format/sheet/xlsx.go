package sheet

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

// maxRow is the last row of a sheet, and maxCells the last column.
const (
	maxRow   = 1 << 20
	maxCells = 1 << 14
)

// xlsxTable reads the rows of one sheet as they come.
type xlsxTable struct {
	w     *workbook
	part  *part
	max   int
	spool io.Closer // nil when the workbook is its owner's
	row   row
	size  int // bytes of the row's texts
	done  bool
	tlp   banner

	in    xlsxCell
	value []byte
}

// xlsxCell is the cell being read.
type xlsxCell struct {
	open    bool
	col     int
	kind    string
	style   int
	formula bool
	texts   int // open elements whose text counts
	skipped int // open phonetic runs
	any     bool
}

func newXLSX(w *workbook, p *part, maxRecord int, spool io.Closer) *xlsxTable {
	return &xlsxTable{w: w, part: p, max: maxRecord, spool: spool, row: row{sparse: true}}
}

// above gives the markings of rows above the header.
func (t *xlsxTable) above() *banner { return &t.tlp }

// Close implements [io.Closer].
func (t *xlsxTable) Close() error {
	if t.part.r == nil {
		return nil
	}
	_ = t.part.r.Close()
	t.part.r = nil
	t.done = true
	if t.spool == nil {
		return nil
	}
	return t.spool.Close()
}

func (t *xlsxTable) next() (*row, error) {
	if t.done {
		return nil, io.EOF
	}
	r := &t.row
	inRow := false
	for {
		tok, err := t.part.next()
		if err != nil {
			t.done = true
			r.line++
			r.raw = nil
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			r.problem = problem(codeTruncated, "the sheet cannot be read from here on: %s. Save the workbook again", err)
			return r, nil
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			switch tok.Name.Local {
			case "row":
				inRow = true
				t.begin(tok)
			case "c":
				if inRow {
					t.cell(tok)
				}
			default:
				t.inside(tok.Name.Local, 1)
			}
		case xml.EndElement:
			switch tok.Name.Local {
			case "sheetData":
				t.done = true
				return nil, io.EOF
			case "row":
				if inRow {
					t.raw()
					return r, nil
				}
			case "c":
				if t.in.open {
					t.end()
				}
			default:
				t.inside(tok.Name.Local, -1)
			}
		case xml.CharData:
			if !t.in.open || t.in.texts == 0 || t.in.skipped > 0 {
				continue
			}
			if t.fits(len(tok)) {
				t.value = append(t.value, tok...)
			}
		}
	}
}

// fits counts what the row holds. One that is too large keeps its place and
// nothing else.
func (t *xlsxTable) fits(n int) bool {
	t.size += n
	if t.size > t.max && t.row.problem == nil {
		t.row.problem = problem(codeTooLarge, "the row is larger than %d bytes", t.max)
	}
	return t.size <= t.max
}

// begin begins a row. Its number is that which it says, if it comes behind the
// last one.
func (t *xlsxTable) begin(e xml.StartElement) {
	r := &t.row
	r.cells, r.problem, r.raw = r.cells[:0], nil, r.raw[:0]
	t.in, t.size = xlsxCell{}, 0
	n, err := strconv.ParseInt(attr(e, "r"), 10, 64)
	if err != nil || n <= r.line || n > maxRow {
		n = r.line + 1
	}
	r.line = n
}

func (t *xlsxTable) cell(e xml.StartElement) {
	t.in = xlsxCell{open: true, kind: attr(e, "t"), style: -1, col: len(t.row.cells)}
	col, ok := column(attr(e, "r"))
	if ok {
		t.in.col = col
	}
	n, err := strconv.Atoi(attr(e, "s"))
	if err == nil {
		t.in.style = n
	}
	t.value = t.value[:0]
}

// inside follows the elements of a cell: v, is and t hold its text, f its formula,
// rPh how it is spoken.
func (t *xlsxTable) inside(name string, by int) {
	if !t.in.open {
		return
	}
	switch name {
	case "v", "t":
		t.in.texts += by
		t.in.any = true
	case "rPh":
		t.in.skipped += by
	case "f":
		t.in.formula = true
	}
}

// column reads the letters of a reference such as AB12, from 0.
func column(ref string) (int, bool) {
	n := 0
	for i := 0; i < len(ref) && i < 4; i++ {
		c := ref[i]
		if c < 'A' || c > 'Z' {
			return n - 1, n > 0 && n <= maxCells
		}
		n = n*26 + int(c-'A') + 1
	}
	return 0, false
}

// end puts the cell into its row.
func (t *xlsxTable) end() {
	r := &t.row
	c := t.content()
	col := t.in.col
	t.in.open = false
	if c.text == "" && c.bad == "" {
		return
	}
	if col > maxColumns {
		if r.problem == nil {
			r.problem = problem(codeSyntax, "it has more than %d columns", maxColumns)
		}
		return
	}
	if col < len(r.cells) {
		if r.problem == nil {
			r.problem = problem(codeSyntax, "its cells are not in order: save the workbook again")
		}
		return
	}
	for len(r.cells) < col {
		r.cells = append(r.cells, cell{})
	}
	r.cells = append(r.cells, c)
}

func (t *xlsxTable) content() cell {
	v := string(t.value)
	if t.in.formula && !t.in.any {
		return cell{bad: "it is a formula without a result: open the workbook in a spreadsheet program and save it"}
	}
	switch t.in.kind {
	case "s":
		i, err := strconv.Atoi(strings.TrimSpace(v))
		s, ok := t.w.shared.get(i)
		if err != nil || !ok {
			return cell{bad: "it names a text that is not in the workbook"}
		}
		if !t.fits(len(s)) {
			return cell{}
		}
		return cell{text: string(s)}
	case "e":
		return cell{bad: "it is the error " + clip(v)}
	case "b":
		if strings.TrimSpace(v) == "1" {
			return cell{text: "true"}
		}
		return cell{text: "false"}
	case "", "n":
		if strings.TrimSpace(v) == "" {
			return cell{}
		}
		return t.w.asNumber(strings.TrimSpace(v), t.in.style)
	default: // str, inlineStr, d
		return cell{text: v}
	}
}

// raw is the row as a line of text with tabs, which is what people would copy.
func (t *xlsxTable) raw() {
	r := &t.row
	for i := range r.cells {
		if i > 0 {
			r.raw = append(r.raw, '\t')
		}
		r.raw = append(r.raw, r.cells[i].text...)
	}
}
