// Package misp reads and writes events of MISP in the MISP core format
// (draft-dulaunoy-misp-core-format): single events, lists of them, answers of its
// API, the event files of a feed, and the feed's manifest.
//
// It is NOT for talking to a MISP instance, nor for judging: it says what an event
// says of each attribute, and hub/internal/intake takes it from there.
// docs/formats/misp.md says what becomes of each type and tag.
//
// Invariants, beside those of package format:
//   - No attribute is given without the tags of its event, though MISP writes them
//     behind the attributes. Each event is read twice: for what it says of itself,
//     and for its attributes. An input that can seek ([io.Seeker]) may hold events
//     of any length; in another one an event has at most 4 MiB.
//   - An event whose end is missing gives nothing: its markings may be what is
//     missing.
package misp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"ecs/hub/internal/format"
)

// Codes of problems, as hub/internal/intake names them.
const (
	codeFormat       = "FORMAT"
	codeSyntax       = "SYNTAX"
	codeTruncated    = "TRUNCATED"
	codeTooLarge     = "ITEM-TOO-LARGE"
	codeUTF8         = "BAD-UTF8"
	codeType         = "WRONG-TYPE"
	codeMissing      = "MISSING-FIELD"
	codeValue        = "BAD-VALUE"
	codeUnobservable = "PATTERN-UNOBSERVABLE"
	codeBenign       = "NOT-MALICIOUS"
)

const (
	defaultRecord = 256 << 10
	maxKey        = 256 // bytes of the name of a member that we might want
)

// where says what the reader is inside of.
type where uint8

const (
	inList    where = iota // of events
	inWrapper              // an object around an event or a list of events
	inEvent
	inAttributes
	inObjects
)

type frame struct {
	where where
	first bool
	begin place // of a wrapper, which may turn out to be an event
	seen  bool  // a wrapper has shown that it is one
}

// Reader reads events attribute by attribute.
type Reader struct {
	s     *scanner
	limit int
	stack []frame
	begun bool
	found bool // something of MISP was met
	over  bool
	event event
	at    attribute
	parts []attribute // of the object at hand
	line  int64       // where the element at hand begins

	queue []format.Record
	next  int
}

// Open is a [format.Open]. It goes back in r when r is an [io.Seeker].
func Open(r io.Reader, limits format.Limits) (format.Reader, error) { return New(r, limits), nil }

// New makes a reader; it reads nothing yet.
func New(r io.Reader, limits format.Limits) *Reader {
	if limits.Record <= 0 {
		limits.Record = defaultRecord
	}
	return &Reader{s: newScanner(r), limit: limits.Record}
}

// Next implements [format.Reader].
func (m *Reader) Next() (*format.Record, error) {
	for m.next == len(m.queue) {
		m.queue, m.next = m.queue[:0], 0
		if m.over {
			return nil, io.EOF
		}
		err := m.step()
		if err == nil {
			continue
		}
		err = m.broken(err)
		if err != nil {
			return nil, err
		}
	}
	m.next++
	return &m.queue[m.next-1], nil
}

// broken turns the place where the input cannot be read on into a record with a
// problem; errors of the input stay errors.
func (m *Reader) broken(err error) error {
	var refused *format.Refused
	switch {
	case errors.As(err, &refused):
		return err
	case m.s.err != nil && errors.Is(err, m.s.err) && !errors.Is(err, io.EOF):
		return err
	case !m.found:
		return &format.Refused{Code: codeFormat, Reason: "not an event of MISP: " + explain(err)}
	}
	m.over = true
	code, reason := codeSyntax, "the input cannot be read from here on: "+explain(err)
	switch {
	case errors.Is(err, errAhead):
		code, reason = codeTooLarge, fmt.Sprintf("the event is longer than %d MiB, and its markings may stand at its end: deliver it as a file", blindAhead>>20)
	case errors.Is(err, io.EOF):
		code, reason = codeTruncated, "the input ends inside of this event: nothing of it is taken, because its markings may be missing"
	}
	m.queue = append(m.queue, format.Record{
		Place: "line " + strconv.FormatInt(m.line, 10), Line: m.line, Confidence: -1, Problem: &format.Problem{Code: code, Reason: reason},
	})
	return nil
}

func explain(err error) string {
	if errors.Is(err, io.EOF) {
		return "it ends too soon"
	}
	return err.Error()
}

// step reads one element of what the reader is inside of.
func (m *Reader) step() error {
	if !m.begun {
		return m.begin()
	}
	if len(m.stack) == 0 {
		return m.end()
	}
	f := &m.stack[len(m.stack)-1]
	end := byte('}')
	if f.where == inList || f.where == inAttributes || f.where == inObjects {
		end = ']'
	}
	more, err := m.s.more(end, &f.first)
	if err != nil {
		return err
	}
	if !more {
		if f.where == inWrapper && !f.seen && len(m.stack) > 1 {
			m.line = f.begin.line
			m.problem(nil, codeMissing, "neither an event of MISP nor an object around one")
		}
		m.stack = m.stack[:len(m.stack)-1]
		return nil
	}
	_, err = m.s.peek()
	if err != nil {
		return err
	}
	m.line = m.s.line
	switch f.where {
	case inList:
		return m.element()
	case inWrapper:
		return m.wrapped(f)
	case inEvent:
		return m.member()
	default:
		return m.item(f.where)
	}
}

// begin finds out what stands at the top.
func (m *Reader) begin() error {
	m.begun = true
	c, err := m.s.peek()
	if err == nil && c == 0xef {
		err = m.byteOrderMark()
		if err == nil {
			c, err = m.s.peek()
		}
	}
	if err != nil {
		return err
	}
	m.line = m.s.line
	switch c {
	case '{':
		m.enter(inWrapper)
	case '[':
		m.found = true
		m.enter(inList)
	case 0xff, 0xfe:
		return &format.Refused{Code: codeUTF8, Reason: "it is UTF-16: save it as UTF-8"}
	default:
		return &format.Refused{Code: codeFormat, Reason: "not JSON, which events of MISP are"}
	}
	return nil
}

func (m *Reader) byteOrderMark() error {
	for m.s.end-m.s.pos < 3 {
		err := m.s.fill()
		if err != nil {
			return err
		}
	}
	if string(m.s.buf[m.s.pos:m.s.pos+3]) != "\xef\xbb\xbf" {
		return errShape
	}
	m.s.pos += 3
	return nil
}

// enter goes into the array or object that begins here.
func (m *Reader) enter(w where) {
	f := frame{where: w, first: true}
	if w == inWrapper {
		f.begin = m.s.here()
	}
	m.s.pos++
	m.stack = append(m.stack, f)
}

// end looks at what follows the value at the top.
func (m *Reader) end() error {
	_, err := m.s.peek()
	switch {
	case err == nil && m.found:
		err = errors.New("something follows the end of the JSON value")
	case errors.Is(err, io.EOF) && m.found:
		m.over = true
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return &format.Refused{Code: codeFormat, Reason: "not an event of MISP: it has neither Event nor response nor Attribute"}
	}
	return err
}

// element reads an element of a list of events.
func (m *Reader) element() error {
	c, err := m.s.peek()
	if err != nil {
		return err
	}
	if c != '{' {
		return m.odd("an event was expected, not another JSON value")
	}
	if len(m.stack) > 8 {
		return errDepth
	}
	m.enter(inWrapper)
	return nil
}

// odd reads over a value of another type than we look for.
func (m *Reader) odd(why string) error {
	raw, _, err := m.s.value(maxHead)
	if err != nil {
		return err
	}
	m.problem(raw, codeType, why)
	return nil
}

func (m *Reader) problem(raw []byte, code, reason string) *format.Record {
	m.queue = append(m.queue, format.Record{
		Place: "line " + strconv.FormatInt(m.line, 10), Line: m.line, Raw: raw, Confidence: -1, Problem: &format.Problem{Code: code, Reason: reason},
	})
	return &m.queue[len(m.queue)-1]
}

// ofEvents are members that only an event has, or an answer with attributes alone.
var ofEvents = map[string]bool{
	"Attribute": true, "Object": true, "Tag": true, "info": true, "Orgc": true, "threat_level_id": true, "analysis": true,
	"publish_timestamp": true, "orgc_id": true, "attribute_count": true,
}

// wrapped reads a member of an object that is around an event, or is one.
func (m *Reader) wrapped(f *frame) error {
	begin := f.begin
	key, err := m.s.key(maxKey)
	if err != nil {
		return err
	}
	c, err := m.s.peek()
	if key == "Event" || key == "response" {
		f.seen = true // before f moves with the stack
	}
	switch {
	case err != nil:
		return err
	case key == "Event" && c == '{':
		return m.open()
	case key == "response" && c == '[':
		m.found = true
		m.enter(inList)
		return nil
	case key == "response" && c == '{' && len(m.stack) < 8:
		m.enter(inWrapper)
		return nil
	case key == "Event" || key == "response":
		m.found = true
		return m.odd(key + " is not what MISP writes there")
	case ofEvents[key] && !f.seen:
		m.stack = m.stack[:len(m.stack)-1]
		err = m.s.back(begin)
		if err != nil {
			return err
		}
		return m.open()
	case len(m.stack) == 1 && len(key) == 36 && uuid(key):
		return &format.Refused{Code: codeFormat, Reason: "it is the manifest of a feed: deliver the events that it names"}
	}
	return m.s.skip()
}

// open reads what an event says of itself and goes to its beginning.
func (m *Reader) open() error {
	m.found, m.line = true, m.s.line
	begin := m.s.here()
	problem, err := m.event.survey(m.s, m.limit)
	if err != nil {
		return err
	}
	if problem != nil {
		m.s.pin = -1
		m.problem(nil, problem.Code, problem.Reason).Place = m.placeOf(m.event.uuid)
		return nil
	}
	err = m.s.back(begin)
	if err != nil {
		return err
	}
	m.enter(inEvent)
	return nil
}

func (m *Reader) placeOf(id string) string {
	if uuid(id) {
		return id
	}
	return "line " + strconv.FormatInt(m.line, 10)
}

// member reads a member of an event on the second pass.
func (m *Reader) member() error {
	key, err := m.s.key(maxKey)
	if err != nil {
		return err
	}
	if key != "Attribute" && key != "Object" {
		return m.s.skip()
	}
	c, err := m.s.peek()
	switch {
	case err != nil:
		return err
	case c == 'n': // null
		return m.s.skip()
	case c != '[':
		return m.odd(key + " is not a list")
	case key == "Object":
		m.enter(inObjects)
	default:
		m.enter(inAttributes)
	}
	return nil
}

// item reads one attribute, or one object with its attributes.
func (m *Reader) item(w where) error {
	raw, long, err := m.s.value(m.limit)
	switch {
	case err != nil:
		return err
	case long:
		m.problem(raw, codeTooLarge, fmt.Sprintf("it is longer than %d bytes", m.limit))
	case !utf8.Valid(raw):
		m.problem(raw, codeUTF8, "it is not UTF-8")
	case raw[0] != '{':
		m.problem(raw, codeType, "an object was expected, not another JSON value")
	case w == inObjects:
		m.object(raw)
	default:
		m.attribute(raw)
	}
	return nil
}

// uuid reports whether s is written as a UUID (RFC 9562 section 4).
func uuid(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}
