// Package list reads the formats in which indicators go around as lines of text:
// plain lists, hosts files, response policy zones, Suricata rules and datasets,
// Zeek intelligence files, and the trail files of Maltrail.
//
// It is NOT for spreadsheets (sheet) nor for reports that people write (report),
// and it does not judge values: it cuts out what a line says is bad, and
// hub/internal/intake finds out whether that is a name, an address or nonsense.
// docs/formats/lists.md says what is read from each format.
//
// Invariants, beside those of package format:
//   - A line is read by itself, but for what a header or a comment above it says.
//     A broken line spoils no other.
//   - No record is broader than its line. A rule whose conditions no service can
//     observe is refused with the condition, not taken without it. The exceptions
//     are named in docs/formats/lists.md: a name covers the names below it, and the
//     port behind a name is told to the analyst only.
package list

import (
	"bytes"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/observable"
)

// Kind is one of the formats of this package.
type Kind string

// The kinds.
const (
	Plain    Kind = "list"     // one value a line
	Hosts    Kind = "hosts"    // hosts(5): 0.0.0.0 name
	RPZ      Kind = "rpz"      // response policy zone, a zone file (RFC 1035 section 5)
	Suricata Kind = "suricata" // rules of Suricata and Snort
	Dataset  Kind = "dataset"  // dataset and datarep files of Suricata
	Zeek     Kind = "zeek"     // Zeek's intelligence framework
	Maltrail Kind = "maltrail" // trail files of Maltrail
)

// Kinds are all kinds, in the order in which a person would look for them.
var Kinds = []Kind{Plain, Hosts, RPZ, Suricata, Dataset, Zeek, Maltrail}

// Codes of problems, as hub/internal/intake names them.
const (
	codeFormat       = "FORMAT"
	codeSyntax       = "SYNTAX"
	codeTooLarge     = "ITEM-TOO-LARGE"
	codeUTF8         = "BAD-UTF8"
	codeMissing      = "MISSING-FIELD"
	codeValue        = "BAD-VALUE"
	codeUnobservable = "PATTERN-UNOBSERVABLE"
)

// Bounds of what is kept of a line for people, in bytes.
const (
	maxContext    = 4 << 10
	maxLabel      = 200
	maxLabels     = 64
	defaultRecord = 256 << 10
)

// Options choose how a list is read.
type Options struct {
	Kind Kind
	// Name is that of the file, empty when there is none. The trail files of Maltrail
	// are named after the family that they speak of.
	Name string
}

// Open gives the opener of one kind of list.
func Open(o Options) format.Open {
	return func(r io.Reader, limits format.Limits) (format.Reader, error) { return New(r, limits, o) }
}

// Reader reads one list.
type Reader struct {
	in    lines
	kind  Kind
	parse func(line string) // adds to queue what the line holds

	queue []format.Record // of the last line
	at    int             // the next of queue
	raw   []byte          // the last line
	place [32]byte        // "line N" of the last line

	labels   []string // of the whole file
	category contract.Category
	about    string    // context of the lines that follow
	observed time.Time // when the file was made, as its comments say

	zone  zone   // RPZ
	one   rule   // Suricata
	zeek  zeek   // Zeek
	group trails // Maltrail
}

// New makes a reader. An unknown kind, and an input that is plainly something
// else (UTF-16, packed, HTML, JSON), is a [*format.Refused].
func New(r io.Reader, limits format.Limits, o Options) (*Reader, error) {
	if limits.Record <= 0 {
		limits.Record = defaultRecord
	}
	l := &Reader{in: newLines(r, limits.Record), kind: o.Kind}
	switch o.Kind {
	case Plain:
		l.parse = l.plain
	case Hosts:
		l.parse = l.hosts
	case RPZ:
		l.parse = l.policyZone
	case Suricata:
		l.parse = l.rule
	case Dataset:
		l.parse = l.dataset
	case Zeek:
		l.parse = l.intel
	case Maltrail:
		l.parse = l.trail
		l.family(path.Base(strings.ReplaceAll(o.Name, `\`, "/")))
	default:
		return nil, &format.Refused{Code: codeFormat, Reason: "no list format is called " + strconv.Quote(clip(string(o.Kind), 40))}
	}
	err := l.in.begin()
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Next implements [format.Reader].
func (l *Reader) Next() (*format.Record, error) {
	for l.at == len(l.queue) {
		l.queue, l.at = l.queue[:0], 0
		raw, long, err := l.in.next()
		if errors.Is(err, io.EOF) {
			err = l.finish()
			if err == nil && len(l.queue) > 0 {
				continue
			}
			if err == nil {
				err = io.EOF
			}
		}
		if err != nil {
			return nil, err
		}
		l.raw = raw
		switch {
		case long:
			l.raw = raw[:min(len(raw), 4<<10)]
			l.problem(codeTooLarge, "the line is longer than "+strconv.Itoa(l.in.max)+" bytes")
		case !utf8.Valid(raw):
			l.problem(codeUTF8, "the line is not UTF-8")
		default:
			l.parse(string(raw))
		}
	}
	l.at++
	return &l.queue[l.at-1], nil
}

// finish judges the file at its end.
func (l *Reader) finish() error {
	if l.kind == Zeek && l.zeek.columns == nil {
		return &format.Refused{Code: codeFormat, Reason: "not a Zeek intelligence file: it has no line that begins with #fields and a tab"}
	}
	if l.kind == RPZ {
		l.endZone()
	}
	return nil
}

// record adds an empty record for the line at hand. The pointer holds until the
// next record is added.
func (l *Reader) record() *format.Record {
	l.queue = append(l.queue, format.Record{
		Line: l.in.number, Raw: l.raw, Confidence: -1, Place: l.placeOf(l.in.number), Labels: l.labels, Category: l.category, Context: l.about, Observed: l.observed,
	})
	return &l.queue[len(l.queue)-1]
}

func (l *Reader) placeOf(line int64) string {
	return string(strconv.AppendInt(append(l.place[:0], "line "...), line, 10))
}

func (l *Reader) bare() *format.Record {
	l.queue = append(l.queue, format.Record{Line: l.in.number, Raw: l.raw, Place: l.placeOf(l.in.number), Confidence: -1})
	return &l.queue[len(l.queue)-1]
}

func (l *Reader) problem(code, reason string) {
	l.bare().Problem = &format.Problem{Code: code, Reason: reason}
}

func (l *Reader) skip() { l.bare().Skip = true }

// value adds a record of a value whose kind is what it looks like.
func (l *Reader) value(v string) *format.Record {
	r := l.record()
	r.Value = v
	return r
}

// name adds a record of a name. The star before it is dropped, since a name
// covers the names below it.
func (l *Reader) name(v string) *format.Record {
	v = strings.TrimPrefix(v, "*.")
	if v == "" {
		l.problem(codeMissing, "the name is empty, or means every name")
		return &l.queue[len(l.queue)-1]
	}
	r := l.record()
	r.Value, r.Kind = v, observable.Domain
	return r
}

// remark puts words for analysts before those of the whole file.
func remark(r *format.Record, words string) {
	words = clip(words, maxContext)
	switch {
	case words == "" || r.Problem != nil:
	case r.Context == "":
		r.Context = words
	default:
		r.Context = words + "\n" + r.Context
	}
}

// clip cuts text for people at a character, and turns characters that cannot be
// shown into spaces.
func clip(s string, limit int) string {
	s = strings.TrimSpace(s)
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r <= 0x9f || r == 0x061c || r >= 0x200e && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
}

// updated are the beginnings of comments that tell when a list was made.
var updated = []string{"last updated:", "last updated ", "updated:", "last modified:", "generated on ", "generated:", "date:"}

// moments are the spellings of times in such comments.
var moments = []string{
	time.RFC3339, "2006-01-02 15:04:05 (MST)", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05", time.RFC1123, time.RFC1123Z,
	"02 January 2006 15:04:05 (MST)", "02 January 2006 15:04:05", time.DateOnly,
}

// comment looks for what a comment of any format says of the whole file. UTC
// only: an abbreviation of another zone does not tell which one.
func (l *Reader) comment(text string) {
	text = strings.Trim(text, "#;/! \t")
	if len(text) > 120 || len(text) < len("date:") {
		return
	}
	lower := strings.ToLower(text)
	for _, p := range updated {
		if !strings.HasPrefix(lower, p) {
			continue
		}
		when := strings.TrimSpace(text[len(p):])
		for _, m := range moments {
			t, err := time.Parse(m, when)
			_, offset := t.Zone()
			if err == nil && (offset != 0 || strings.HasSuffix(m, "Z07:00") || strings.Contains(when, "UTC") || strings.Contains(when, "GMT") || !strings.Contains(m, "MST")) &&
				t.Year() >= 1990 && t.Year() <= 2200 {
				l.observed = t.UTC()
				return
			}
		}
	}
}

// others are the beginnings of inputs that are something else.
var others = []struct {
	head   string
	reason string
}{
	{"\x1f\x8b", "it is packed with gzip: unpack it first"},
	{"PK\x03\x04", "it is a ZIP or XLSX file, not a list of lines"},
	{"\xfd7zXZ", "it is packed with xz: unpack it first"},
	{"<!doctype", "it is a web page, perhaps the error page of a feed, not a list"},
	{"<html", "it is a web page, perhaps the error page of a feed, not a list"},
	{"<?xml", "it is XML, not a list of lines"},
	{"{", "it looks like JSON: read it as STIX or MISP"},
}

// other says what the input is that cannot be a list; empty when it may be one.
func other(head []byte) (code, reason string) {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return codeUTF8, "it is UTF-16: save it as UTF-8"
	}
	begin := bytes.ToLower(bytes.TrimLeft(head, "\xef\xbb\xbf \t\r\n"))
	for _, o := range others {
		if bytes.HasPrefix(begin, bytes.ToLower([]byte(o.head))) {
			return codeFormat, o.reason
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return codeFormat, "it is not text: it holds zero bytes"
	}
	return "", ""
}
