package sheet

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"ecs/hub/internal/format"
)

// Bounds of a workbook (ISO/IEC 29500-1, SpreadsheetML), beside format.Limits.
const (
	maxDirectory = 4 << 20  // bytes of the archive's directory
	maxPart      = 16 << 20 // bytes of each part but sheets and shared strings, unpacked
	maxShared    = 64 << 20 // bytes of all shared strings in memory
	maxToken     = 1 << 20  // bytes between two marks of XML; a cell holds 32,767 characters
	maxSheets    = 1000
	maxStyles    = 65_536
)

// seekable is what a file is, and what an archive needs.
type seekable interface {
	io.ReaderAt
	io.Seeker
}

// openFile opens the workbook that begins at an offset of a file.
func openFile(f seekable, start int64, limits format.Limits, sheet string) (table, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	return openWorkbook(io.NewSectionReader(f, start, end-start), end-start, limits, sheet, nil)
}

// openSpooled copies the workbook into a file without a name, since the directory
// of an archive is at its end.
func openSpooled(r io.Reader, limits format.Limits, sheet string) (table, error) {
	f, err := os.CreateTemp("", "sheet-*")
	if err != nil {
		return nil, fmt.Errorf("spooling the workbook: %w", err)
	}
	_ = os.Remove(f.Name()) // the open file stays
	n, err := io.Copy(f, io.LimitReader(r, limits.Total+1))
	if err == nil && n > limits.Total {
		err = refused(codeFormat, "the workbook is larger than %d bytes: deliver it in parts, or as CSV", limits.Total)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	t, err := openWorkbook(f, n, limits, sheet, f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return t, nil
}

// workbook is an open archive and what its parts say.
type workbook struct {
	parts    map[string]*zip.File
	left     int64 // bytes that may still be unpacked
	names    []string
	hidden   []bool
	ids      []string // relationships of the sheets
	chosen   string
	days1904 bool
	styles   []style
	shared   shared
}

// metered gives an error when the directory of an archive goes on and on.
type metered struct {
	r    io.ReaderAt
	left int64
}

// ReadAt implements [io.ReaderAt].
func (m *metered) ReadAt(b []byte, at int64) (int, error) {
	m.left -= int64(len(b))
	if m.left < 0 {
		return 0, errors.New("its directory is larger than any of a workbook")
	}
	return m.r.ReadAt(b, at)
}

func openWorkbook(r io.ReaderAt, size int64, limits format.Limits, name string, spool io.Closer) (table, error) {
	m := &metered{r: r, left: maxDirectory}
	archive, err := zip.NewReader(m, size)
	if err != nil {
		return nil, refused(codeFormat, "this begins like a workbook (.xlsx) and cannot be opened: %s. Save it again, or as CSV", err)
	}
	m.left = 1 << 62 // what is unpacked is counted from here on
	w := &workbook{parts: map[string]*zip.File{}, left: limits.Total}
	for _, f := range archive.File {
		_, twice := w.parts[partName(f.Name)]
		if twice {
			return nil, refused(codeFormat, "the workbook holds part %q twice: save it again", clip(f.Name))
		}
		w.parts[partName(f.Name)] = f
	}
	if w.parts["mimetype"] != nil && w.parts["content.xml"] != nil {
		return nil, refused(codeFormat, "this is an OpenDocument file (.ods): save it as .xlsx or CSV")
	}
	sheet, err := w.read(name)
	if err != nil {
		return nil, whole(err)
	}
	part, err := w.open(sheet, limits.Total)
	if err != nil {
		return nil, whole(err)
	}
	return newXLSX(w, part, limits.Record, spool), nil
}

// whole makes errors of the workbook a refusal.
func whole(err error) error {
	var already *format.Refused
	var path *os.PathError
	if errors.As(err, &already) || errors.As(err, &path) {
		return err
	}
	return refused(codeFormat, "the workbook cannot be read: %s. Save it again, or as CSV", err)
}

// partName folds the name of a part, whose case does not count (ISO/IEC 29500-2).
func partName(s string) string {
	return strings.TrimPrefix(path.Clean("/"+strings.ToLower(strings.ReplaceAll(s, `\`, "/"))), "/")
}

// read reads everything but the sheet, and gives the sheet's part.
func (w *workbook) read(name string) (string, error) {
	main := "xl/workbook.xml"
	rels, err := w.relations("_rels/.rels", "")
	if err != nil {
		return "", err
	}
	for _, rel := range rels {
		if strings.HasSuffix(rel.kind, "/officeDocument") {
			main = rel.target
		}
	}
	if w.parts[main] == nil {
		return "", refused(codeFormat, "this is an archive (.zip) and no workbook: unpack it, and deliver the files in it")
	}
	err = w.each(main, maxPart, w.sheet)
	if err != nil {
		return "", err
	}
	rels, err = w.relations(path.Join(path.Dir(main), "_rels", path.Base(main)+".rels"), path.Dir(main))
	if err != nil {
		return "", err
	}
	id, err := w.choose(name)
	if err != nil {
		return "", err
	}
	sheet := ""
	for _, rel := range rels {
		switch {
		case rel.id == id:
			sheet = rel.target
		case strings.HasSuffix(rel.kind, "/styles") && w.parts[rel.target] != nil:
			err = w.readStyles(rel.target)
		case strings.HasSuffix(rel.kind, "/sharedStrings") && w.parts[rel.target] != nil:
			err = w.readShared(rel.target)
		}
		if err != nil {
			return "", err
		}
	}
	if w.parts[sheet] == nil {
		return "", errors.New("a sheet that it names is not in it")
	}
	return sheet, nil
}

// choose gives the relationship of the wanted sheet.
func (w *workbook) choose(name string) (string, error) {
	for i, n := range w.names {
		if name == "" && !w.hidden[i] || name != "" && fold(n) == fold(name) {
			w.chosen = n
			return w.ids[i], nil
		}
	}
	if name == "" {
		return "", refused(codeFormat, "the workbook has no visible sheet")
	}
	return "", refused(codeFormat, "the workbook has no sheet %q, only %q: has the source changed its files? Change the mapping", clip(name), clip(strings.Join(w.names, ", ")))
}

func (w *workbook) sheet(e xml.StartElement) error {
	switch e.Name.Local {
	case "workbookPr":
		v := attr(e, "date1904")
		w.days1904 = v == "1" || v == "true"
	case "sheet":
		if len(w.names) == maxSheets {
			return errors.New("it has more than 1000 sheets")
		}
		id := ""
		for _, a := range e.Attr {
			if a.Name.Local == "id" && a.Name.Space != "" {
				id = a.Value
			}
		}
		w.names = append(w.names, attr(e, "name"))
		w.ids = append(w.ids, id)
		state := attr(e, "state")
		w.hidden = append(w.hidden, state == "hidden" || state == "veryHidden")
	}
	return nil
}

type relation struct{ id, kind, target string }

// relations reads a part of relationships; one that is not there has none.
func (w *workbook) relations(part, base string) ([]relation, error) {
	var out []relation
	if w.parts[strings.ToLower(part)] == nil {
		return nil, nil
	}
	err := w.each(strings.ToLower(part), maxPart, func(e xml.StartElement) error {
		target := attr(e, "Target")
		if e.Name.Local != "Relationship" || attr(e, "TargetMode") == "External" {
			return nil
		}
		if !strings.HasPrefix(target, "/") {
			target = path.Join(base, target)
		}
		out = append(out, relation{id: attr(e, "Id"), kind: attr(e, "Type"), target: partName(target)})
		return nil
	})
	return out, err
}

func attr(e xml.StartElement, name string) string {
	for i := range e.Attr {
		if e.Attr[i].Name.Local == name && e.Attr[i].Name.Space == "" {
			return e.Attr[i].Value
		}
	}
	return ""
}

// part is one part being read, within the budget of the whole.
type part struct {
	w     *workbook
	r     io.ReadCloser
	left  int64
	in    *bufio.Reader
	token int // bytes since the last token
	xml   *xml.Decoder
}

var (
	errUnpacked = errors.New("it is larger, unpacked, than may be")
	errToken    = errors.New("a cell or a mark in it is longer than 1 MiB")
)

func (w *workbook) open(name string, most int64) (*part, error) {
	f := w.parts[name]
	if f == nil {
		return nil, fmt.Errorf("part %q is missing", clip(name))
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	p := &part{w: w, r: r, left: most}
	p.in = bufio.NewReaderSize(budget{p}, 64<<10)
	p.xml = xml.NewDecoder(p)
	p.xml.CharsetReader = func(string, io.Reader) (io.Reader, error) {
		return nil, errors.New("it is not in UTF-8")
	}
	return p, nil
}

// budget is the part unpacked, as far as it may be.
type budget struct{ p *part }

// Read implements [io.Reader].
func (b budget) Read(buf []byte) (int, error) {
	n, err := b.p.r.Read(buf)
	b.p.left -= int64(n)
	b.p.w.left -= int64(n)
	if b.p.left < 0 || b.p.w.left < 0 {
		return 0, errUnpacked
	}
	return n, err
}

// ReadByte implements [io.ByteReader], which the decoder uses, and ends tokens that
// are too long.
func (p *part) ReadByte() (byte, error) {
	p.token++
	if p.token > maxToken {
		return 0, errToken
	}
	return p.in.ReadByte()
}

// Read implements [io.Reader]; the decoder does not need it.
func (p *part) Read(b []byte) (int, error) { return p.in.Read(b) }

// next gives the next mark or text.
func (p *part) next() (xml.Token, error) {
	p.token = 0
	return p.xml.RawToken()
}

// each calls f with every element of a part.
func (w *workbook) each(name string, most int64, f func(xml.StartElement) error) error {
	p, err := w.open(name, most)
	if err != nil {
		return err
	}
	defer p.r.Close()
	for {
		tok, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		err = f(e)
		if err != nil {
			return err
		}
	}
}
