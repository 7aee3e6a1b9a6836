package export

import (
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ecs/hub/internal/marking"
	"ecs/observable"
)

// csvColumns are those of docs/formats/intake.md, so that an export can be
// delivered again.
var csvColumns = []string{
	"value", "pattern", "type", "category", "confidence", "tlp", "marking", "valid_from", "valid_until", "observed", "summary",
	"labels", "reference", "action", "disclosure", "notify", "enforce", "display",
}

// CSV writes one record for each row. A row of one value has it in value and type,
// any other its pattern. The last line is a comment with the report.
func CSV(w io.Writer, rows iter.Seq2[Row, error], opt Options) (Report, error) {
	o := newOut(w, false)
	o.puts(strings.Join(csvColumns, ","))
	if opt.Context {
		o.puts(",context")
	}
	o.puts("\n")
	var line []byte
	err := o.each(rows, &opt, func(r *Row) error {
		if !o.short(r) {
			o.report.Withheld[WhyMarkings]++
			return nil
		}
		line = o.record(line[:0], r, opt.Context)
		o.put(line)
		o.report.Written++
		return nil
	})
	if err != nil {
		return o.report, err
	}
	o.puts("# " + o.report.String() + "\n")
	return o.end()
}

func (o *out) record(b []byte, r *Row, context bool) []byte {
	it := &r.Item
	if bare(it.Kind, it.Value, it.Pattern) {
		b = append(cell(b, it.Value), ',', ',')
		b = cell(b, it.Kind.String())
	} else {
		b = cell(append(b, ','), it.Pattern)
		b = append(b, ',')
	}
	b = cell(append(b, ','), it.Category.String())
	b = strconv.AppendInt(append(b, ','), int64(it.Confidence), 10)
	b = cell(append(b, ','), it.TLP.String())
	b = append(b, ',')
	if pap := r.Handling.PAP(); pap != marking.PAPClear {
		b = cell(b, "PAP:"+strings.TrimPrefix(pap.String(), "PAP:"))
	}
	for _, t := range []time.Time{it.ValidFrom, it.ValidUntil, it.Observed} {
		b = append(b, ',')
		if !t.IsZero() {
			b = t.UTC().AppendFormat(b, time.RFC3339Nano)
		}
	}
	b = cell(append(b, ','), it.Summary)
	b = cell(append(b, ','), o.labels(it.Labels))
	b = cell(append(b, ','), it.ID.String())
	b = cell(append(b, ','), it.Action.String())
	b = strconv.AppendInt(append(b, ','), int64(it.Disclosure), 10)
	for _, yes := range []bool{it.Notify, it.Enforce, it.Display} {
		b = strconv.AppendBool(append(b, ','), yes)
	}
	if context {
		b = cell(append(b, ','), it.Context)
	} else if it.Context != "" {
		o.left("context for analysts")
	}
	return append(b, '\n')
}

// labels gives the labels of a cell. Intake divides a cell at commas and
// semicolons, so that a label that holds one cannot stand in it.
func (o *out) labels(lines string) string {
	if !strings.ContainsAny(lines, ",;") {
		return strings.ReplaceAll(lines, "\n", "; ")
	}
	var keep []string
	for l := range strings.SplitSeq(lines, "\n") {
		if strings.ContainsAny(l, ",;") {
			o.left("labels with a comma or semicolon")
			continue
		}
		keep = append(keep, l)
	}
	return strings.Join(keep, "; ")
}

// bare reports whether kind and value say all that the pattern says, in the way in
// which intake reads them.
func bare(k observable.Kind, value, pattern string) bool {
	if trigger(value) {
		return false // a pattern begins with a bracket, which no spreadsheet takes for a formula
	}
	var a observable.Atom
	var err error
	switch k {
	case observable.None:
		return false
	case observable.Subject, observable.FileName:
		a, err = observable.Make(k, value)
	default:
		a, err = observable.FromValue(value)
	}
	return err == nil && a.Kind == k && a.String() == value && observable.Pattern(a) == pattern
}

// trigger reports whether a spreadsheet could take a cell for a formula. The full
// width forms count, since some fold them.
func trigger(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return strings.ContainsRune("=+-@\t\r\n＝＋－＠", r) && s != ""
}

// cell writes a field (RFC 4180 section 2). One that a spreadsheet could take for a
// formula gets a space before it, which intake drops.
func cell(b []byte, s string) []byte {
	guard := trigger(s)
	if !guard && !strings.ContainsAny(s, ",;\t|\"\r\n#") && strings.TrimSpace(s) == s {
		return append(b, s...)
	}
	b = append(b, '"')
	if guard {
		b = append(b, ' ')
	}
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			break
		}
		b = append(append(b, s[:i]...), '"', '"')
		s = s[i+1:]
	}
	return append(append(b, s...), '"')
}
