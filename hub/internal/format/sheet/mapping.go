package sheet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"ecs/contract"
	"ecs/observable"
)

// Field is what a column means.
type Field string

// The fields. Value, Context and Labels may have several columns.
const (
	Ignore      Field = "ignore" // read over, and counted
	Value       Field = "value"
	Pattern     Field = "pattern"
	Type        Field = "type" // of the value: a kind
	Port        Field = "port" // narrows addresses of its row
	Protocol    Field = "protocol"
	Category    Field = "category"
	Confidence  Field = "confidence"
	Credibility Field = "credibility" // 1 to 6, or with the reliability before it: B2
	TLP         Field = "tlp"
	Marking     Field = "marking" // any marking; several are divided by semicolons
	ValidFrom   Field = "valid_from"
	ValidUntil  Field = "valid_until"
	Observed    Field = "observed"
	Summary     Field = "summary"
	Context     Field = "context"
	Labels      Field = "labels" // divided by commas or semicolons
	Reference   Field = "reference"
	Action      Field = "action"
	Disclosure  Field = "disclosure"
	Notify      Field = "notify"
	Enforce     Field = "enforce"
	Display     Field = "display"
	Benign      Field = "benign"
	Revoked     Field = "revoked"
)

// Fields are all fields, in the order in which a page offers them.
var Fields = []Field{
	Value, Pattern, Type, Port, Protocol, Category, Confidence, Credibility, TLP, Marking, ValidFrom, ValidUntil, Observed,
	Summary, Context, Labels, Reference, Action, Disclosure, Notify, Enforce, Display, Benign, Revoked, Ignore,
}

func (f Field) repeats() bool {
	return f == Value || f == Context || f == Labels || f == Marking || f == Ignore
}

// NoHeader is the [Mapping.Header] of a file that begins with its first record.
const NoHeader = -1

// Mapping says what the columns of a source's files mean. Its JSON form is
// canonical when it comes from [Mapping.JSON].
type Mapping struct {
	// Sheet is the name of the sheet of a workbook; empty: the first visible one.
	Sheet string `json:"sheet,omitempty"`
	// Separator of CSV: one of , ; | and tab. Empty: the one that the header has
	// most of.
	Separator string `json:"separator,omitempty"`
	// Header is the line of the header, from 1; 0: the first that is neither empty
	// nor a comment; NoHeader: there is none, and columns go by number.
	Header  int      `json:"header,omitempty"`
	Columns []Column `json:"columns"`
	// Constants are what a row means that says nothing itself, by field. Those of
	// Marking and Labels are added to what the row says.
	Constants map[Field]string `json:"constants,omitempty"`
	// Dates is how dates without a time zone are written: empty or "iso"
	// (2026-01-31), "dmy" (31.01.2026), "mdy" (01/31/2026), "unix" (seconds),
	// "unix-ms". Dates of a workbook and RFC 3339 are always read.
	Dates string `json:"dates,omitempty"`
	// Zone is the offset from UTC of times that have none, such as "+02:00"; empty:
	// UTC.
	Zone string `json:"zone,omitempty"`
	// Scale is how confidence is written: empty or "0-100", "0-10", "0-1", "words"
	// (low, medium, high), "probability" (likely, ...), "admiralty" (B2); STIX 2.1
	// appendix A has the numbers.
	Scale string `json:"scale,omitempty"`
	// Markings, Categories and Kinds translate the source's words, in any case, to
	// ours: a marking ("tlp:amber"), a category ("c2"), a kind ("domain", or "any" to
	// let the value tell). The word "*" is every other word.
	Markings   map[string]string `json:"markings,omitempty"`
	Categories map[string]string `json:"categories,omitempty"`
	Kinds      map[string]string `json:"kinds,omitempty"`
}

// Column is what one column of the file means. It is found by its header, in any
// case, by its number, or by both, which must agree then.
type Column struct {
	Header string `json:"header,omitempty"`
	Number int    `json:"number,omitempty"` // from 1
	Field  Field  `json:"field"`
	// Kind is that of all values of the column ("domain"); of Value only.
	Kind string `json:"kind,omitempty"`
	// Split are the characters that divide several values of one cell; of Value and
	// Labels only.
	Split string `json:"split,omitempty"`
	// Optional columns may be missing in a file; any other refuses it.
	Optional bool `json:"optional,omitempty"`
}

var (
	dateWords  = []string{"", "iso", "dmy", "mdy", "unix", "unix-ms"}
	scaleWords = []string{"", "0-100", "0-10", "0-1", "words", "probability", "admiralty"}
)

const maxMappingBytes = 64 << 10

// ParseMapping reads the JSON form and checks it. Properties that it does not know
// are errors.
func ParseMapping(b []byte) (*Mapping, error) {
	if len(b) > maxMappingBytes {
		return nil, fmt.Errorf("a mapping of %d bytes, limit %d", len(b), maxMappingBytes)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	m := new(Mapping)
	err := d.Decode(m)
	if err != nil {
		return nil, fmt.Errorf("the mapping is not as it should be: %w", err)
	}
	_, err = d.Token()
	if !errors.Is(err, io.EOF) {
		return nil, errors.New("the mapping is followed by something else: remove it")
	}
	return m, m.Check()
}

// JSON gives the canonical form: the same mapping gives the same bytes, and
// [ParseMapping] gives it back. Words are in lower case and defaults left out.
func (m *Mapping) JSON() ([]byte, error) {
	err := m.Check()
	if err != nil {
		return nil, err
	}
	c := *m
	c.Columns = slices.Clone(m.Columns)
	for i := range c.Columns {
		c.Columns[i].Header = strings.Join(strings.Fields(c.Columns[i].Header), " ")
	}
	c.Markings, c.Categories, c.Kinds = lowered(m.Markings), lowered(m.Categories), lowered(m.Kinds)
	if c.Dates == "iso" {
		c.Dates = ""
	}
	if c.Scale == "0-100" {
		c.Scale = ""
	}
	return json.Marshal(&c)
}

func lowered(words map[string]string) map[string]string {
	if len(words) == 0 {
		return nil
	}
	out := make(map[string]string, len(words))
	for k, v := range words {
		out[fold(k)] = strings.ToLower(strings.TrimSpace(v))
	}
	return out
}

// fold is how headers and words are compared: lower case, white space folded.
func fold(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }

// Check says what is wrong with a mapping, all of it.
func (m *Mapping) Check() error {
	var errs []error
	bad := func(text string, args ...any) { errs = append(errs, fmt.Errorf(text, args...)) }
	if m.Header < NoHeader || m.Header > 10_000 {
		bad("header: %d is no line from 1 to 10000 (0: the first line, -1: none)", m.Header)
	}
	if m.Separator != "" && (len(m.Separator) != 1 || !strings.Contains(",;|\t", m.Separator)) {
		bad("separator: %q is none of comma, semicolon, bar and tab", clip(m.Separator))
	}
	if !slices.Contains(dateWords, m.Dates) {
		bad("dates: %q is none of %s", clip(m.Dates), strings.Join(dateWords[1:], ", "))
	}
	if !slices.Contains(scaleWords, m.Scale) {
		bad("scale: %q is none of %s", clip(m.Scale), strings.Join(scaleWords[1:], ", "))
	}
	_, err := zone(m.Zone)
	if err != nil {
		errs = append(errs, err)
	}
	if len(m.Columns) == 0 || len(m.Columns) > maxColumns {
		bad("columns: %d of them; want 1 to %d", len(m.Columns), maxColumns)
	}
	errs = append(errs, m.checkColumns()...)
	errs = append(errs, m.checkConstants()...)
	for w, k := range m.Kinds {
		_, ok := kindWord(k)
		if !ok {
			bad("kinds: %q becomes %q, which is no kind: want any, domain, address, prefix, url and the like", clip(w), clip(k))
		}
	}
	for w, c := range m.Categories {
		var cat contract.Category
		if cat.UnmarshalText([]byte(fold(c))) != nil {
			bad("categories: %q becomes %q: want c2, phishing, delivery, exfiltration, scanning or other", clip(w), clip(c))
		}
	}
	for w, k := range m.Markings {
		if strings.TrimSpace(k) == "" {
			bad("markings: %q becomes nothing: name the marking", clip(w))
		}
	}
	for _, words := range []map[string]string{m.Markings, m.Categories, m.Kinds} {
		if len(words) > 1000 || len(lowered(words)) != len(words) {
			bad("a list of words is longer than 1000, or has a word in two cases")
		}
	}
	return errors.Join(errs...)
}

func (m *Mapping) checkColumns() (errs []error) {
	names, numbers, used := map[string]bool{}, map[int]bool{}, map[Field]bool{}
	for i, c := range m.Columns {
		bad := func(text string, args ...any) {
			errs = append(errs, fmt.Errorf("column %d of the mapping: "+text, append([]any{i + 1}, args...)...))
		}
		name := fold(c.Header)
		switch {
		case name == "" && c.Number == 0:
			bad("it has neither header nor number")
		case c.Number < 0 || c.Number > maxColumns:
			bad("number %d is not from 1 to %d", c.Number, maxColumns)
		case m.Header == NoHeader && c.Number == 0:
			bad("a file without a header needs numbers")
		case c.Number == 0 && names[name] || c.Number > 0 && numbers[c.Number]:
			bad("it is named twice")
		case !utf8.ValidString(c.Header) || len(c.Header) > 1000:
			bad("its header is longer than 1000 bytes or not UTF-8")
		}
		names[name] = true
		numbers[c.Number] = true
		if !slices.Contains(Fields, c.Field) {
			bad("%q is no field", clip(string(c.Field)))
		}
		if used[c.Field] && !c.Field.repeats() {
			bad("field %s has another column already", c.Field)
		}
		used[c.Field] = true
		if c.Kind != "" {
			k, ok := kindWord(c.Kind)
			if c.Field != Value || !ok || k == observable.None {
				bad("kind %q: it is for values, and one of domain, address, prefix, url and the like", clip(c.Kind))
			}
		}
		if c.Split != "" && (c.Field != Value && c.Field != Labels || len(c.Split) > 16 || strings.ContainsAny(c.Split, "\x00\"")) {
			bad("split is for values and labels: up to 16 characters that divide them")
		}
	}
	if !used[Value] && !used[Pattern] {
		errs = append(errs, errors.New("no column is the value or the pattern"))
	}
	return errs
}

// checkConstants reads each constant as a row would.
func (m *Mapping) checkConstants() (errs []error) {
	for _, f := range Fields {
		text, ok := m.Constants[f]
		if !ok {
			continue
		}
		switch f {
		case Value, Pattern, Ignore:
			errs = append(errs, fmt.Errorf("constants: %s cannot be the same for all", f))
			continue
		}
		p := &plan{mapping: m}
		var d draft
		why := p.field(&d, f, &cell{text: strings.TrimSpace(text)}, "")
		if why != nil || strings.TrimSpace(text) == "" {
			errs = append(errs, fmt.Errorf("constants: %s cannot be %q", f, clip(text)))
		}
	}
	for f := range m.Constants {
		if !slices.Contains(Fields, f) {
			errs = append(errs, fmt.Errorf("constants: %q is no field", clip(string(f))))
		}
	}
	return errs
}
