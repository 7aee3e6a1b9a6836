package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// element is one raw item as the readers find it.
type element struct {
	id     string   // identifier of an object, if it could be made out
	raw    []byte   // its bytes, or their beginning when refused; valid until the next call
	line   int64    // where it begins, from 1
	refuse *Refusal // why it cannot be read; nil for a whole item
}

// csvSplitter cuts a CSV file into records without holding more than one. A
// record whose closing quote is missing spoils only its own line.
type csvSplitter struct {
	r     *bufio.Reader
	max   int
	line  int64
	comma byte // separator; 0 until the header is read: any of the three
}

func newCSVSplitter(r io.Reader, maxItem int) *csvSplitter {
	return &csvSplitter{r: bufio.NewReaderSize(r, maxItem+64<<10), max: maxItem, line: 1}
}

// next gives the next record without its line end. The last one needs none.
func (s *csvSplitter) next() (element, error) {
	quoted, closed := false, -1
	lines := int64(0)
	for at := 0; ; {
		window, err := s.r.Peek(min(s.r.Buffered()+1, s.max))
		if len(window) > at {
			window, _ = s.r.Peek(min(s.r.Buffered(), s.max))
		}
		for ; at < len(window); at++ {
			switch window[at] {
			case '"':
				switch {
				case quoted:
					quoted, closed = false, at
				case at == 0 || s.separates(window[at-1]) || closed == at-1: // elsewhere it is only a character
					quoted = true
				}
			case '\n':
				lines++
				if !quoted {
					return s.take(window[:at], at+1, lines), nil
				}
			}
		}
		switch {
		case len(window) >= s.max:
			return s.cut(window, refusal(CodeTooLarge, "the record is larger than %d bytes, or its closing quote is missing", s.max))
		case errors.Is(err, io.EOF) && len(window) == 0:
			return element{}, io.EOF
		case errors.Is(err, io.EOF) && quoted:
			return s.cut(window, refusal(CodeTruncated, "a quote is opened in this record and never closed"))
		case errors.Is(err, io.EOF):
			return s.take(window, at, lines), nil
		case err != nil:
			return element{}, err
		}
	}
}

func (s *csvSplitter) separates(c byte) bool {
	if s.comma == 0 {
		return c == ',' || c == ';' || c == '\t'
	}
	return c == s.comma
}

func (s *csvSplitter) take(raw []byte, n int, lines int64) element {
	el := element{raw: bytes.TrimSuffix(raw, []byte("\r")), line: s.line}
	s.line += lines
	_, _ = s.r.Discard(n) // the bytes stay in the buffer until it is filled again
	return el
}

// cut refuses the first line of what cannot be a record, and goes on behind it.
func (s *csvSplitter) cut(window []byte, why *Refusal) (element, error) {
	first, _, found := bytes.Cut(window, []byte("\n"))
	el := element{raw: bytes.Clone(first[:min(len(first), 4<<10)]), line: s.line, refuse: why}
	if found {
		s.line++
		_, _ = s.r.Discard(len(first) + 1)
		return el, nil
	}
	for { // a line longer than the limit: read over it
		_, err := s.r.ReadSlice('\n')
		switch {
		case err == nil:
			s.line++
			return el, nil
		case errors.Is(err, io.EOF):
			return el, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return el, err
		}
	}
}
