package sheet

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"ecs/hub/internal/format"
)

// splitter cuts a CSV file into records without holding more than one. A
// record whose closing quote is missing spoils only its own line.
type splitter struct {
	r     *bufio.Reader // its buffer is larger than max
	max   int
	line  int64
	comma byte // separator; 0 until the header is read: any of the three
}

// next gives the next record without its line end. The last one needs none.
func (s *splitter) next() (row, error) {
	quoted, closed := false, -1
	lines := int64(0)
	for at := 0; ; {
		var err error
		if s.r.Buffered() <= at && at < s.max { // only then: it moves what is in the buffer
			_, err = s.r.Peek(at + 1)
		}
		window, _ := s.r.Peek(min(s.r.Buffered(), s.max))
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
			return s.cut(window, problem(codeTooLarge, "the record is larger than %d bytes, or its closing quote is missing", s.max))
		case errors.Is(err, io.EOF) && len(window) == 0:
			return row{}, io.EOF
		case errors.Is(err, io.EOF) && quoted:
			return s.cut(window, problem(codeTruncated, "a quote is opened in this record and never closed"))
		case errors.Is(err, io.EOF):
			return s.take(window, at, lines), nil
		case err != nil:
			return row{}, err
		}
	}
}

func (s *splitter) separates(c byte) bool {
	if s.comma == 0 {
		return c == ',' || c == ';' || c == '\t' || c == '|'
	}
	return c == s.comma
}

func (s *splitter) take(raw []byte, n int, lines int64) row {
	el := row{raw: bytes.TrimSuffix(raw, []byte("\r")), line: s.line}
	s.line += lines
	_, _ = s.r.Discard(n) // the bytes stay in the buffer until it is filled again
	return el
}

// cut refuses the first line of what cannot be a record, and goes on behind it.
func (s *splitter) cut(window []byte, why *format.Problem) (row, error) {
	first, _, found := bytes.Cut(window, []byte("\n"))
	el := row{raw: bytes.Clone(first[:min(len(first), 4<<10)]), line: s.line, problem: why}
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
