package stix

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"unicode/utf8"
)

// Limits bounds what a stream may ask of its reader. A zero field takes the
// value of [DefaultLimits].
type Limits struct {
	Object  int   // bytes of one object, white space included
	Depth   int   // nesting within one object
	Objects int64 // objects in all, broken ones included; -1 for any number
}

// DefaultLimits fit what sources publish; the largest object of ATT&CK for ICS
// has 200 KiB.
var DefaultLimits = Limits{Object: 1 << 20, Depth: maxDepth, Objects: -1}

// maxNesting bounds the memory that finding the end of a value takes.
const maxNesting = 10000

// ObjectError says that one object could not be read. The stream goes on.
type ObjectError struct {
	Index  int    // position among the objects, from 0
	Offset int64  // of its first byte in the input
	Line   int64  // on which it begins, from 1
	ID     string // its identifier, "" if none could be made out
	Raw    []byte // its beginning, at most 4 KiB
	Err    error  // see [ErrTooBig], [ErrUTF8], [ErrNotObject], [SyntaxError], [PropertyError]
}

// Error implements error.
func (e *ObjectError) Error() string {
	name := e.ID
	if name == "" {
		name = "no identifier"
	}
	return fmt.Sprintf("stix: object %d (%s) at byte %d: %v", e.Index, clip(name), e.Offset, e.Err)
}

// Unwrap gives the cause.
func (e *ObjectError) Unwrap() error { return e.Err }

// StreamError says that nothing more can be read.
type StreamError struct {
	Offset int64  // where reading stopped, in bytes
	Listed bool   // whether the list of objects had been met
	Index  int    // position of the object that was being read, or would come next
	Line   int64  // on which that object begins, or reading stopped
	Raw    []byte // beginning of that object, at most 4 KiB; nil between objects
	Err    error  // io.ErrUnexpectedEOF for a truncated input
}

// Error implements error.
func (e *StreamError) Error() string { return fmt.Sprintf("stix: byte %d: %v", e.Offset, e.Err) }

// Unwrap gives the cause.
func (e *StreamError) Unwrap() error { return e.Err }

// ErrTooBig is the cause of an [ObjectError] for an object above the budget.
var ErrTooBig = errors.New("object above the budget of bytes")

// Reader reads objects one by one from a bundle, a TAXII envelope, a plain JSON
// array, or a lone object. It is for one goroutine.
type Reader struct {
	in    *bufio.Reader
	lim   Limits
	off   int64
	line  int64
	index int
	state state
	err   error // a StreamError or io.EOF, for ever

	bundle  string // identifier of the bundle
	version string // its spec_version
	seen    bool   // whether the list of objects was met
	array   bool   // the input is a plain array
	first   bool   // no object of the list was read yet
	keeping bool   // whether bytes go into head, in case the input is a lone object
	head    []byte
	buf     []byte // one value at a time
	scan    scanner
}

type state uint8

const (
	atStart state = iota
	inList
	atEnd
)

// NewReader gives a reader of in. Callers bound the length of the whole
// themselves, with [io.LimitReader] or a deadline.
func NewReader(in io.Reader, lim Limits) *Reader {
	if lim.Object == 0 {
		lim.Object = DefaultLimits.Object
	}
	if lim.Depth == 0 {
		lim.Depth = DefaultLimits.Depth
	}
	if lim.Objects == 0 {
		lim.Objects = DefaultLimits.Objects
	}
	return &Reader{in: bufio.NewReaderSize(in, 64<<10), lim: lim, line: 1}
}

// Offset tells how many bytes were read so far.
func (r *Reader) Offset() int64 { return r.off }

// Listed tells whether the list of objects has been met: without it the input is
// a lone object, an empty bundle, or nothing of ours.
func (r *Reader) Listed() bool { return r.seen }

// BundleVersion gives the spec_version of the bundle, which only those of STIX
// 2.0 have; "" if there is none, or it has not been read yet.
func (r *Reader) BundleVersion() string { return r.version }

// BundleID gives the identifier of the bundle, "" until it has been read.
func (r *Reader) BundleID() string { return r.bundle }

// Next gives the next object. An [*ObjectError] costs one object: call Next
// again. After a [*StreamError], or [io.EOF] at the proper end, there is nothing
// more.
func (r *Reader) Next() (*Object, error) {
	if r.err != nil {
		return nil, r.err
	}
	o, err := r.next()
	var one *ObjectError
	if err != nil && !errors.As(err, &one) {
		var end *StreamError
		switch {
		case errors.Is(err, errDone):
			r.err = io.EOF
		case errors.As(err, &end):
			r.err = end
		default:
			r.err = &StreamError{Offset: r.off, Listed: r.seen, Index: r.index, Line: r.line, Err: err}
		}
		return nil, r.err
	}
	return o, err
}

var errDone = errors.New("end of the input")

func (r *Reader) next() (*Object, error) {
	if r.state == atStart {
		err := r.start()
		if err != nil {
			return nil, err
		}
		if r.state == atEnd && !r.seen {
			return r.lone()
		}
	}
	if r.state == atEnd {
		return nil, errDone
	}
	c, err := r.space()
	if err != nil {
		return nil, err
	}
	if c == ']' {
		err = r.tail()
		if err != nil {
			return nil, err
		}
		return nil, errDone
	}
	if !r.first {
		if c != ',' {
			return nil, fmt.Errorf("want a comma or the end of the list of objects, got %q", c)
		}
		c, err = r.space()
		if err != nil {
			return nil, err
		}
	}
	r.first = false
	return r.object(c)
}

// start reads up to the first object of the list, or the whole of a lone one.
func (r *Reader) start() error {
	bom, _ := r.in.Peek(3)
	switch {
	case string(bom) == "\ufeff":
		_, _ = r.in.Discard(3)
		r.off += 3
	case len(bom) >= 2 && (bom[0] == 0xff && bom[1] == 0xfe || bom[0] == 0xfe && bom[1] == 0xff):
		return errors.New("not UTF-8 but UTF-16; convert the file")
	}
	c, err := r.space()
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the input is empty: %w", err)
	case err != nil:
		return err
	case c == '[':
		r.array = true
		r.list()
		return nil
	case c != '{':
		return fmt.Errorf("not a STIX bundle in JSON: it begins with %q", c)
	}
	r.keeping, r.head = true, []byte{'{'}
	return r.members(true)
}

func (r *Reader) list() {
	r.state, r.seen, r.first, r.keeping, r.head = inList, true, true, false, nil
}

// members reads properties of the outermost object up to its end or the list of
// objects. fresh says that none was read yet.
func (r *Reader) members(fresh bool) error {
	for {
		c, err := r.space()
		if err != nil {
			return err
		}
		if c == '}' && fresh {
			r.state = atEnd
			return r.nothingMore()
		}
		if c != '"' {
			return fmt.Errorf("want the name of a property in double quotes, got %q", c)
		}
		name, err := r.short(c)
		if err != nil {
			return err
		}
		c, err = r.space()
		if err != nil {
			return err
		}
		if c != ':' {
			return fmt.Errorf("want a colon, got %q", c)
		}
		c, err = r.space()
		if err != nil {
			return err
		}
		if name == "objects" && c == '[' {
			if r.seen {
				return errors.New("a second list of objects")
			}
			r.list()
			return nil
		}
		value, err := r.short(c)
		if err != nil {
			return err
		}
		switch name {
		case "id":
			r.bundle = value
		case "spec_version":
			r.version = value
		}
		c, err = r.space()
		if err != nil {
			return err
		}
		if c == '}' {
			r.state = atEnd
			return r.nothingMore()
		}
		if c != ',' {
			return fmt.Errorf("want a comma or a closing brace, got %q", c)
		}
		fresh = false
	}
}

// tail reads what follows the list of objects.
func (r *Reader) tail() error {
	r.state = atEnd
	if r.array {
		return r.nothingMore()
	}
	c, err := r.space()
	if err != nil {
		return err
	}
	switch c {
	case '}':
		return r.nothingMore()
	case ',':
		return r.members(false)
	default:
		return fmt.Errorf("want a comma or a closing brace, got %q", c)
	}
}

func (r *Reader) nothingMore() error {
	c, err := r.space()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("data after the end: %q", c)
}

// lone reads an input without a list of objects: an empty bundle or envelope,
// or one object.
func (r *Reader) lone() (*Object, error) {
	if len(r.head) > r.lim.Object {
		return nil, &ObjectError{Line: 1, ID: findID(r.head), Raw: beginning(r.head), Err: ErrTooBig}
	}
	err := r.scan.whole(r.head, r.lim.Depth)
	if err != nil {
		return nil, &ObjectError{Line: 1, ID: findID(r.head), Raw: beginning(r.head), Err: err}
	}
	typ := Value{t: &tape{text: string(r.head), nodes: r.scan.nodes}}.Get("type")
	if !typ.Ok() || typ.Str() == "bundle" {
		return nil, errDone
	}
	o, err := r.scan.take(r.head)
	if err != nil {
		return nil, &ObjectError{Line: 1, ID: findID(r.head), Raw: beginning(r.head), Err: err}
	}
	o.Line = 1
	return o, nil
}

// object reads one element of the list; c is its first byte.
func (r *Reader) object(c byte) (*Object, error) {
	if c == ',' || c == ']' {
		return nil, fmt.Errorf("want an object, got %q", c)
	}
	e := &ObjectError{Index: r.index, Offset: r.off - 1, Line: r.line}
	if r.lim.Objects >= 0 && int64(r.index) >= r.lim.Objects {
		return nil, fmt.Errorf("more than %d objects", r.lim.Objects)
	}
	r.index++
	o, err := r.ahead(c)
	if o != nil {
		o.Index, o.Offset, o.Line = e.Index, e.Offset, e.Line
		if err == nil {
			return o, nil
		}
		e.ID, e.Raw, e.Err = findID(o.Raw), beginning(o.Raw), err
		return nil, e
	}
	raw, whole, err := r.value(c, r.lim.Object)
	if err != nil {
		return nil, &StreamError{Offset: r.off, Listed: true, Index: e.Index, Line: e.Line, Raw: beginning(r.buf), Err: err}
	}
	e.Err = ErrTooBig
	if whole {
		raw = slices.Clone(raw)
		o, e.Err = r.scan.parse(raw, r.lim.Depth)
		if e.Err == nil {
			o.Index, o.Offset, o.Line = e.Index, e.Offset, e.Line
			return o, nil
		}
	}
	e.ID, e.Raw = findID(raw), beginning(raw)
	return nil, e
}

// ahead reads a good object that is wholly in the buffer, which most are. For
// all others it gives nil and has read nothing; errors are those of common
// properties.
func (r *Reader) ahead(c byte) (*Object, error) {
	if c != '{' || r.in.UnreadByte() != nil {
		return nil, nil
	}
	window, _ := r.in.Peek(r.in.Buffered())
	err := r.scan.first(window, r.lim.Depth)
	n := r.scan.pos
	if err != nil || n > r.lim.Object || !utf8.Valid(window[:n]) {
		_, _ = r.in.Discard(1)
		return nil, nil
	}
	o, err := r.scan.take(slices.Clone(window[:n]))
	_, _ = r.in.Discard(n)
	r.off += int64(n - 1)
	r.line += int64(bytes.Count(window[1:n], newline))
	return o, err
}

var newline = []byte{'\n'}

// beginning copies the first 4 KiB, for reports.
func beginning(b []byte) []byte { return slices.Clone(b[:min(len(b), 4<<10)]) }

var idProperty = regexp.MustCompile(`"id"\s*:\s*"([^"\\\x00-\x1f]{1,300})"`)

// findID makes out an identifier in the bytes of a broken object.
func findID(b []byte) string {
	m := idProperty.FindSubmatch(b)
	if m == nil {
		return ""
	}
	return string(m[1])
}
