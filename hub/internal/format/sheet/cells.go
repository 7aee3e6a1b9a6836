package sheet

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// style is what a cell's number means.
type style uint8

const (
	plainNumber style = iota
	dateNumber
	percentNumber
)

// readStyles reads which formats are dates (ISO/IEC 29500-1 section 18.8.30).
func (w *workbook) readStyles(name string) error {
	custom := map[string]style{}
	in := false
	return w.each(name, maxPart, func(e xml.StartElement) error {
		switch e.Name.Local {
		case "numFmt":
			if len(custom) < maxStyles {
				custom[attr(e, "numFmtId")] = styleOf(attr(e, "formatCode"))
			}
		case "cellXfs":
			in = true
		case "cellStyles", "dxfs", "tableStyles":
			in = false
		case "xf":
			if !in {
				return nil
			}
			if len(w.styles) == maxStyles {
				return errors.New("it has more than 65536 styles")
			}
			id := attr(e, "numFmtId")
			s, ok := custom[id]
			if !ok {
				n, err := strconv.Atoi(id)
				switch {
				case err != nil:
				case n >= 14 && n <= 22, n >= 27 && n <= 36, n >= 45 && n <= 47, n >= 50 && n <= 58:
					s = dateNumber
				case n == 9 || n == 10:
					s = percentNumber
				}
			}
			w.styles = append(w.styles, s)
		}
		return nil
	})
}

// styleOf tells a format: letters of dates outside of quotes and brackets.
func styleOf(code string) style {
	code, _, _ = strings.Cut(code, ";") // that of positive numbers
	s := plainNumber
	for i := 0; i < len(code); i++ {
		switch c := code[i] | 0x20; {
		case code[i] == '"':
			n := strings.IndexByte(code[i+1:], '"')
			if n < 0 {
				return s
			}
			i += n + 1
		case code[i] == '[':
			n := strings.IndexByte(code[i:], ']')
			if n < 0 {
				return s
			}
			if strings.Contains("hms", code[i+1:i+n]) && n > 1 {
				return plainNumber // a length of time
			}
			i += n
		case code[i] == '\\' || code[i] == '_' || code[i] == '*':
			i++
		case code[i] == '%':
			s = percentNumber
		case strings.HasPrefix(strings.ToLower(code[i:]), "general"):
			i += len("general") - 1
		case c == 'y' || c == 'd' || c == 'm' || c == 'h' || c == 's':
			return dateNumber
		}
	}
	return s
}

// shared are the shared strings, one behind the other.
type shared struct {
	text []byte
	ends []uint32
}

func (s *shared) get(i int) ([]byte, bool) {
	if i < 0 || i >= len(s.ends) {
		return nil, false
	}
	from := uint32(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.text[from:s.ends[i]], true
}

// readShared reads the shared strings; phonetic runs are no part of the text.
func (w *workbook) readShared(name string) error {
	p, err := w.open(name, w.left)
	if err != nil {
		return err
	}
	defer p.r.Close()
	var texts, phonetic int
	for {
		tok, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			switch tok.Name.Local {
			case "t":
				texts++
			case "rPh":
				phonetic++
			}
		case xml.EndElement:
			switch tok.Name.Local {
			case "t":
				texts--
			case "rPh":
				phonetic--
			case "si":
				w.shared.ends = append(w.shared.ends, uint32(len(w.shared.text)))
			}
		case xml.CharData:
			if texts > 0 && phonetic == 0 {
				w.shared.text = append(w.shared.text, tok...)
			}
		}
		if len(w.shared.text)+4*len(w.shared.ends) > maxShared {
			return refused(codeFormat, "the texts of the workbook are more than %d MiB: save the sheet as CSV, which has no such limit", maxShared>>20)
		}
	}
}

// fromSerial gives the time of a number of days since 1900, or 1904, to the
// second. That Excel counts a 29 February 1900 does not matter after it.
func fromSerial(x float64, since1904 bool) time.Time {
	epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	if since1904 {
		epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	day := math.Floor(x)
	return epoch.AddDate(0, 0, int(day)).Add(time.Duration(math.Round((x-day)*86400)) * time.Second)
}

// asNumber gives a number as a spreadsheet shows it, with 15 digits.
func (w *workbook) asNumber(v string, s int) cell {
	x, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return cell{bad: "the number " + strconv.Quote(clip(v)) + " is none"}
	}
	how := plainNumber
	if s >= 0 && s < len(w.styles) {
		how = w.styles[s]
	}
	switch {
	case how == dateNumber && x >= 0 && x < 2958466: // 9999-12-31
		return cell{text: fromSerial(x, w.days1904).Format(time.RFC3339)}
	case how == percentNumber:
		return cell{text: strconv.FormatFloat(x*100, 'g', 15, 64) + "%"}
	case x == math.Trunc(x) && math.Abs(x) < 1e15:
		return cell{text: strconv.FormatFloat(x, 'f', 0, 64), number: true}
	default:
		return cell{text: strconv.FormatFloat(x, 'g', 15, 64), number: true}
	}
}
