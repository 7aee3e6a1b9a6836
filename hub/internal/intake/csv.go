package intake

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"ecs/contract"
	"ecs/observable"
)

// csvColumns are the columns that a header may name, in any order. A column that
// we do not know refuses the file: it could be a misspelled marking.
var csvColumns = []string{
	"value", "pattern", "type", "category", "confidence", "tlp", "valid_from", "valid_until", "observed", "summary",
	"context", "reference", "action", "disclosure", "notify", "enforce", "display",
}

// csvReader reads entries of a CSV file.
type csvReader struct {
	split   *csvSplitter
	comma   rune
	columns []string
}

func newCSVReader(r io.Reader, maxItem int) *csvReader {
	return &csvReader{split: newCSVSplitter(r, maxItem)}
}

// begin reads the header: the first line that is neither empty nor a comment.
func (c *csvReader) begin() error {
	for first := true; ; first = false {
		el, err := c.split.next()
		if errors.Is(err, io.EOF) {
			return &Refused{Code: CodeFormat, Reason: "the CSV file has no header line"}
		}
		if err != nil {
			return err
		}
		raw := el.raw
		if first {
			raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
			if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
				return &Refused{Code: CodeUTF8, Reason: "the CSV file is UTF-16: save it as UTF-8"}
			}
		}
		if blank(raw) {
			continue
		}
		if el.refuse != nil || !utf8.Valid(raw) {
			return &Refused{Code: CodeFormat, Reason: "the header line of the CSV file cannot be read"}
		}
		return c.header(string(raw))
	}
}

func (c *csvReader) header(line string) error {
	c.comma = ','
	for _, r := range ";\t" {
		if strings.Count(line, string(r)) > strings.Count(line, string(c.comma)) {
			c.comma = r
		}
	}
	c.split.comma = byte(c.comma)
	fields, err := c.fields([]byte(line))
	if err != nil {
		return &Refused{Code: CodeFormat, Reason: "the header line of the CSV file cannot be read: " + err.Error()}
	}
	for _, f := range fields {
		f = strings.ToLower(strings.TrimSpace(f))
		switch {
		case !slices.Contains(csvColumns, f):
			return &Refused{Code: CodeFormat, Reason: fmt.Sprintf("unknown column %q in line %d: want some of %s",
				clip(f), c.split.line-1, strings.Join(csvColumns, ", "))}
		case slices.Contains(c.columns, f):
			return &Refused{Code: CodeFormat, Reason: fmt.Sprintf("column %q is named twice", f)}
		}
		c.columns = append(c.columns, f)
	}
	if !slices.Contains(c.columns, "value") && !slices.Contains(c.columns, "pattern") {
		return &Refused{Code: CodeFormat, Reason: "the header names neither a column value nor a column pattern"}
	}
	return nil
}

func (c *csvReader) fields(raw []byte) ([]string, error) {
	r := csv.NewReader(bytes.NewReader(raw))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = c.comma, -1, true
	out, err := r.Read()
	var pe *csv.ParseError
	if errors.As(err, &pe) {
		return nil, pe.Err // without its line: that of the record is known better
	}
	return out, err
}

func blank(raw []byte) bool {
	t := bytes.TrimSpace(raw)
	return len(t) == 0 || t[0] == '#'
}

// next gives the next record. read is false for a line that is empty or a
// comment, which does not count as an item.
func (c *csvReader) next() (el element, read bool, err error) {
	el, err = c.split.next()
	if err != nil {
		return el, false, err
	}
	return el, el.refuse != nil || !blank(el.raw), nil
}

// entry reads one record.
func (c *csvReader) entry(el element) (*entry, *Refusal) {
	if !utf8.Valid(el.raw) {
		return nil, refusal(CodeUTF8, "the record is not UTF-8")
	}
	fields, err := c.fields(el.raw)
	if err != nil {
		return nil, refusal(CodeSyntax, "not a CSV record: %s", err)
	}
	if len(fields) != len(c.columns) {
		return nil, refusal(CodeSyntax, "%d fields, and the header names %d", len(fields), len(c.columns))
	}
	e := newEntry()
	var value, pattern, kind string
	var bad *Refusal
	for i, f := range fields {
		f = strings.TrimSpace(f)
		switch c.columns[i] {
		case "value":
			value = f
		case "pattern":
			pattern = f
		case "type":
			kind = f
		default:
			bad = e.field(c.columns[i], f)
		}
		if bad != nil {
			return nil, bad
		}
	}
	e.compiled, bad = compileCSV(value, pattern, kind)
	if bad != nil {
		return nil, bad
	}
	return &e, nil
}

func compileCSV(value, pattern, kind string) (observable.Compiled, *Refusal) {
	var a observable.Atom
	var err error
	switch {
	case value == "" && pattern == "":
		return observable.Compiled{}, refusal(CodeMissing, "neither a value nor a pattern")
	case value != "" && pattern != "":
		return observable.Compiled{}, refusal(CodeValue, "both a value and a pattern: give one of them")
	case pattern != "":
		c, err := observable.Compile(pattern)
		if err != nil {
			return c, refuseCompile(err)
		}
		return c, nil
	case kind == "":
		a, err = observable.FromValue(value)
	default:
		k, kerr := observable.ParseKind(strings.ToLower(kind))
		if kerr != nil {
			return observable.Compiled{}, refusal(CodeValue, "%s", kerr)
		}
		a, err = ofKind(k, value)
	}
	if err != nil {
		return observable.Compiled{}, refusal(CodeValue, "%s", err)
	}
	c := compileAtom(a)
	if len(c.Pattern) > contract.MaxPattern {
		return c, refusal(CodeValue, "the value gives a pattern of %d bytes, limit %d", len(c.Pattern), contract.MaxPattern)
	}
	return c, nil
}

// ofKind reads a value of a stated kind. Kinds that can be guessed may be
// defanged and narrowed, such as 192.0.2.1:443.
func ofKind(k observable.Kind, value string) (observable.Atom, error) {
	switch k {
	case observable.Subject, observable.FileName:
		return observable.Make(k, value)
	}
	a, err := observable.FromValue(value)
	if k == observable.Port && err != nil {
		n, perr := strconv.ParseUint(value, 10, 16)
		if perr == nil && n > 0 {
			return observable.Atom{Kind: observable.Port, Port: uint16(n)}, nil
		}
	}
	same := a.Kind == k || a.Kind == observable.Addr && k == observable.Prefix
	if err == nil && same {
		return a, nil
	}
	if err == nil {
		return a, fmt.Errorf("type is %s, but the value is of type %s", k, a.Kind)
	}
	return observable.Make(k, value)
}

// field reads one of the columns that describe the item.
func (e *entry) field(column, f string) *Refusal {
	var bad *Refusal
	var err error
	if f == "" {
		return nil // as if the column were not there
	}
	switch column {
	case "category":
		err = e.category.UnmarshalText([]byte(strings.ToLower(f)))
	case "action":
		err = e.action.UnmarshalText([]byte(strings.ToLower(f)))
		e.actionSet = true
	case "tlp":
		e.tlp, err = parseTLP(f)
		e.tlpSet = true
	case "confidence":
		e.confidence, bad = number(column, f, 100)
	case "disclosure":
		var n int
		n, bad = number(column, f, 3)
		e.disclosure = uint8(n)
	case "valid_from":
		e.from, bad = moment(column, f)
	case "valid_until":
		e.until, bad = moment(column, f)
	case "observed":
		e.observed, bad = moment(column, f)
	case "summary":
		e.summary, bad = text(column, f, contract.MaxSummary)
	case "context":
		e.context, bad = text(column, f, maxContext)
	case "reference":
		e.reference, bad = text(column, f, maxReference)
	case "notify":
		e.notify, bad = yesNo(column, f)
	case "enforce":
		e.enforce, bad = yesNo(column, f)
	case "display":
		e.display, bad = yesNo(column, f)
	}
	if err != nil {
		return refusal(CodeValue, "%s: %s", column, err)
	}
	return bad
}

func number(column, f string, top int) (int, *Refusal) {
	n, err := strconv.Atoi(f)
	if err != nil || n < 0 || n > top {
		return 0, refusal(CodeValue, "%s %q is not a whole number from 0 to %d", column, clip(f), top)
	}
	return n, nil
}

func yesNo(column, f string) (bool, *Refusal) {
	switch strings.ToLower(f) {
	case "true", "yes", "y", "1", "permit":
		return true, nil
	case "false", "no", "n", "0", "deny":
		return false, nil
	default:
		return false, refusal(CodeValue, "%s %q is neither true nor false", column, clip(f))
	}
}

// parseTLP reads a marking as people write it: TLP:AMBER+STRICT, amber, and
// WHITE, as TLP 1.0 called what is CLEAR now.
func parseTLP(f string) (contract.TLP, error) {
	f = strings.TrimPrefix(strings.ToLower(f), "tlp:")
	if f == "white" {
		return contract.Clear, nil
	}
	var t contract.TLP
	err := t.UnmarshalText([]byte(f))
	return t, err
}
