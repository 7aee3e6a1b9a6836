package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// element is one raw item as the splitters find it.
type element struct {
	raw    []byte   // its bytes, or their beginning when refused; valid until the next call
	line   int64    // where it begins, from 1
	refuse *Refusal // why it cannot be read; nil for a whole item
}

// jsonSplitter cuts the array "objects" of a bundle into its elements without
// holding more than one of them. It counts brackets and knows strings; whether
// an element is JSON is for the parser that gets it, so that one bad element
// does not take the others with it. A line break inside a string, which JSON
// does not know, ends the string: an unclosed quote spoils one element.
type jsonSplitter struct {
	r    *bufio.Reader
	max  int
	line int64
	buf  []byte
	in   bool   // inside "objects"
	any  bool   // an array "objects" was seen
	kind string // the bundle's type, as far as seen
	over bool   // nothing comes any more
}

func newJSONSplitter(r io.Reader, maxItem int) *jsonSplitter {
	return &jsonSplitter{r: bufio.NewReaderSize(r, 64<<10), max: maxItem, line: 1}
}

// begin reads up to the bundle's opening brace.
func (s *jsonSplitter) begin() error {
	mark, err := s.r.Peek(3)
	if err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = s.r.Discard(3)
	}
	c, err := s.token()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err != nil || c != '{' {
		return &Refused{Code: CodeFormat, Reason: "not a STIX bundle: it does not begin with a JSON object"}
	}
	return nil
}

// next gives the next element of "objects". At the end of the bundle the error
// is io.EOF; an error of the reader comes as it is.
func (s *jsonSplitter) next() (element, error) {
	for !s.over {
		if !s.in {
			err := s.member()
			if err != nil {
				return s.broken(err)
			}
			continue
		}
		c, err := s.token()
		if err != nil {
			return s.broken(err)
		}
		switch c {
		case ',':
			continue
		case ']':
			s.in = false
			continue
		}
		line := s.line
		whole, err := s.value(c, true)
		el := element{raw: s.buf, line: line}
		switch {
		case errors.Is(err, io.EOF):
			s.over = true
			el.refuse = refusal(CodeTruncated, "the file ends in the middle of this object")
		case err != nil:
			return el, err
		case !whole:
			el.refuse = refusal(CodeTooLarge, "the object is larger than %d bytes", s.max)
		}
		return el, nil
	}
	return element{}, io.EOF
}

// broken turns the end of the file where more had to come into a refused
// element; other errors end the reading.
func (s *jsonSplitter) broken(err error) (element, error) {
	if !errors.Is(err, io.EOF) {
		return element{}, err
	}
	s.over = true
	return element{line: s.line, refuse: refusal(CodeTruncated, "the file ends before the bundle is closed")}, nil
}

// member reads one member of the bundle, or its end.
func (s *jsonSplitter) member() error {
	c, err := s.token()
	if err != nil {
		return err
	}
	switch c {
	case ',':
		return nil
	case '}':
		s.over = true
		return nil
	case '"':
	default:
		_, err = s.value(c, false) // not a member: passed over
		return err
	}
	_, err = s.value('"', true)
	if err != nil {
		return err
	}
	key := string(s.buf)
	c, err = s.token()
	if err != nil || c != ':' {
		return err
	}
	c, err = s.token()
	if err != nil {
		return err
	}
	if key == `"objects"` && c == '[' {
		s.in, s.any = true, true
		return nil
	}
	_, err = s.value(c, true)
	if key == `"type"` {
		s.kind = string(s.buf)
	}
	return err
}

// token gives the next byte that is not white space.
func (s *jsonSplitter) token() (byte, error) {
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return c, nil
		}
	}
}

// value reads on to the end of the value that begins with c. It keeps the bytes
// in s.buf, up to the limit; whole is false when there were more.
func (s *jsonSplitter) value(c byte, keep bool) (whole bool, err error) {
	s.buf, whole = append(s.buf[:0], c), true
	depth, quoted, escaped := 0, false, false
	for first := true; ; first = false {
		if !first {
			if quoted && !escaped {
				whole = s.plain(keep) && whole
			}
			c, err = s.r.ReadByte()
			if err != nil {
				return whole, err
			}
			if keep && len(s.buf) < s.max {
				s.buf = append(s.buf, c)
			} else if keep {
				whole = false
			}
		}
		if c == '\n' {
			s.line++
			quoted, escaped = false, false
		}
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return whole, nil
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
			if depth == 0 {
				return whole, nil
			}
			if depth < 0 && first { // a bracket too many: an element of its own, so that reading goes on
				return whole, nil
			}
			if depth < 0 { // the end of what surrounds a bare word or number
				return whole, s.unread(keep, whole)
			}
		case depth == 0 && c == ',':
			return whole, s.unread(keep, whole)
		case depth == 0 && c == '\n':
			return whole, nil // after a string that a line break ended
		}
	}
}

// plain reads over those buffered bytes of a string that mean nothing else.
func (s *jsonSplitter) plain(keep bool) (whole bool) {
	window, _ := s.r.Peek(s.r.Buffered())
	n := 0
	for n < len(window) && window[n] != '"' && window[n] != '\\' && window[n] != '\n' {
		n++
	}
	whole = true
	if keep {
		room := min(n, s.max-len(s.buf))
		s.buf = append(s.buf, window[:room]...)
		whole = room == n
	}
	_, _ = s.r.Discard(n)
	return whole
}

func (s *jsonSplitter) unread(keep, whole bool) error {
	if keep && whole && len(s.buf) > 1 {
		s.buf = s.buf[:len(s.buf)-1]
	}
	return s.r.UnreadByte()
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
