package list

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"ecs/hub/internal/format"
)

// lines cuts an input into lines and holds one.
type lines struct {
	r      *bufio.Reader
	max    int
	number int64 // of the line that next gave last, from 1
}

func newLines(r io.Reader, limit int) lines {
	return lines{r: bufio.NewReaderSize(r, max(limit+2, 64<<10)), max: limit}
}

// begin looks at the first bytes, and passes over a byte order mark.
func (l *lines) begin() error {
	head, err := l.r.Peek(min(512, l.r.Size()))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	code, reason := other(head)
	if code != "" {
		return &format.Refused{Code: code, Reason: reason}
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, err = l.r.Discard(3)
		return err
	}
	return nil
}

// next gives the next line without its end, LF or CRLF; the last one needs
// none. long says that it is longer than the limit; then line is its beginning.
// It holds until the next call.
func (l *lines) next() (line []byte, long bool, err error) {
	line, err = l.r.ReadSlice('\n')
	switch {
	case err == nil:
		line = line[:len(line)-1]
	case errors.Is(err, io.EOF) && len(line) > 0:
	case errors.Is(err, bufio.ErrBufferFull):
		line = bytes.Clone(line[:min(len(line), 4<<10)])
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.r.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, false, err
		}
		l.number++
		return line, true, nil
	default:
		return nil, false, err
	}
	l.number++
	line = bytes.TrimSuffix(line, []byte("\r"))
	return line, len(line) > l.max, nil
}
