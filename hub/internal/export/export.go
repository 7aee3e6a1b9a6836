// Package export writes a selection of indicators for people and other systems:
// as a STIX 2.1 bundle, a MISP event, CSV that intake reads again, or plain lists.
// docs/formats/export.md describes the outputs.
//
// It is NOT an outlet to providers: what they may use comes by hub/internal/release
// and the door. It does not select: rows come from the caller, and so does the
// decision on each of them.
//
// Invariants:
//   - Nothing is written without a decision: every row passes [Options.May], and
//     what may not be displayed is never written, whatever the decision.
//   - What cannot be marked as it has to be is not written.
//   - What is withheld is counted, and the count stands in the output and in the
//     [Report]; so is what a format cannot hold. Only a row whose existence the
//     reader must not learn leaves no trace.
//   - The same rows and options give the same bytes.
//   - Memory does not grow with the rows, but for 16 bytes each where further
//     objects of a bundle have to be checked against them.
package export

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/observable"
)

// Row is one indicator of a selection.
type Row struct {
	Item indicator.Item
	// Object is the newest released object, byte for byte; nil: it was never released.
	Object []byte
	// Handling is what its markings combine to, see Item.Handling. The zero Handling
	// is that of an item whose markings nobody knows: it is withheld.
	Handling marking.Handling
	// Sources are the grades of those who named it. Names are never written.
	Sources []Grade
}

// Grade is what the Admiralty scale says of a source and its information.
type Grade struct {
	Reliability string // A to F, or empty
	Credibility int    // 1 to 6, or 0
}

// Identity is who makes the export: the program.
type Identity struct {
	ID      string // identity--UUID
	Name    string
	Created time.Time
	// Custodian and Guide are for ACS markings, see [marking.Author]; without a
	// custodian their content is written as a statement.
	Custodian, Guide string
}

// Options say what to write.
type Options struct {
	// May decides on each row. Not ok with a reason: the row is withheld and counted
	// under the reason. Not ok without one: the reader must not learn that it exists.
	// Without May nothing is written.
	May func(*Row) (ok bool, why string)
	// Program signs as author. A bundle and an event need it.
	Program Identity
	// At is the moment of the export, part of the bundle's note and of the event.
	At time.Time
	// Title says what was selected; one line.
	Title string
	// Context also writes the context for analysts, in CSV. It is never for outside.
	Context bool
	// Kind limits a plain list to one kind; None: all, one section for each run.
	Kind observable.Kind
	// More are further STIX objects of a bundle, such as malware and relationships, as
	// they are to be written. A relationship that names an indicator which was not
	// written is withheld.
	More iter.Seq2[[]byte, error]
}

// Report says what became of the rows.
type Report struct {
	Written  int64            `json:"written"`
	Withheld map[string]int64 `json:"withheld"` // by reason
	Objects  int64            `json:"objects"`  // further objects written
	// Left is what the format cannot hold of rows that were written, by what it is.
	Left map[string]int64 `json:"left"`
}

// Held counts all that was withheld.
func (r *Report) Held() int64 {
	var n int64
	for _, c := range r.Withheld {
		n += c
	}
	return n
}

// String gives the report in one line, the same for the same counts.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d written, %d withheld", r.Written, r.Held())
	counts(&b, r.Withheld)
	if len(r.Left) > 0 {
		b.WriteString("; not in this format")
		counts(&b, r.Left)
	}
	return b.String()
}

func counts(b *strings.Builder, m map[string]int64) {
	sep := ": "
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(b, "%s%s %d", sep, oneLine(k), m[k])
		sep = ", "
	}
}

// Reasons for which rows are withheld here.
const (
	WhyUndecided = "nobody decided on it"
	WhySealed    = "its value may not be displayed"
	WhyEmpty     = "nothing is left of it"
	WhyPattern   = "its pattern cannot be read"
	WhyNames     = "names an indicator that is not in this export"
)

// ErrOptions says that the options lack something.
var ErrOptions = errors.New("export: options")

// Write writes rows in one format. An error of the rows ends it, and leaves an
// output without its end.
type Write func(w io.Writer, rows iter.Seq2[Row, error], o Options) (Report, error)

// Format is a way to write a selection.
type Format struct {
	Name      string // on the command line and in addresses
	MediaType string
	Ending    string // of a file's name, with its dot
	Write     Write
}

// Formats are all of them.
var Formats = []Format{
	{"stix", "application/stix+json;version=2.1", ".json", STIX},
	{"misp", "application/json", ".json", MISP},
	{"csv", "text/csv; charset=utf-8; header=present", ".csv", CSV},
	{"list", "text/plain; charset=utf-8", ".txt", List},
}

// ByName finds a format.
func ByName(name string) (Format, error) {
	for _, f := range Formats {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, fmt.Errorf("export: no format %q: want stix, misp, csv or list", name)
}

// out is an output on its way.
type out struct {
	w      *bufio.Writer
	sum    hash.Hash // over what was written, nil when nobody asks
	err    error
	report Report
	judged map[int64]bool // handlings, whether they are short
}

func newOut(w io.Writer, summed bool) *out {
	o := &out{w: bufio.NewWriterSize(w, 64<<10), report: Report{Withheld: map[string]int64{}, Left: map[string]int64{}}, judged: map[int64]bool{}}
	if summed {
		o.sum = sha256.New()
	}
	return o
}

// put writes; the first error stays.
func (o *out) put(b []byte) {
	if o.err != nil {
		return
	}
	if o.sum != nil {
		_, _ = o.sum.Write(b)
	}
	_, o.err = o.w.Write(b)
}

func (o *out) puts(s string) { o.put([]byte(s)) }

func (o *out) left(what string) { o.report.Left[what]++ }

// each calls f for every row that may be written, and counts the others.
func (o *out) each(rows iter.Seq2[Row, error], opt *Options, f func(*Row) error) error {
	for row, err := range rows {
		if err != nil {
			return fmt.Errorf("export: rows: %w", err)
		}
		why, hidden := opt.why(&row)
		switch {
		case hidden:
			continue
		case why != "":
			o.report.Withheld[why]++
			continue
		}
		err = f(&row)
		if err != nil {
			return err
		}
		if o.err != nil {
			return fmt.Errorf("export: write: %w", o.err)
		}
	}
	return nil
}

// why says why a row is withheld; hidden: without a trace.
func (opt *Options) why(row *Row) (why string, hidden bool) {
	if opt.May == nil {
		return WhyUndecided, false
	}
	ok, why := opt.May(row)
	switch {
	case !ok:
		return why, why == ""
	case !row.Item.Display:
		return WhySealed, false
	case row.Item.Pattern == "" || row.Item.Value == "":
		return WhyEmpty, false
	case row.Handling.Unknown() && row.Handling.Equal(marking.Handling{}) || row.Handling.TLP() != row.Item.TLP:
		return WhyUnmarked, false
	default:
		return "", false
	}
}

// end flushes.
func (o *out) end() (Report, error) {
	if o.err == nil {
		o.err = o.w.Flush()
	}
	if o.err != nil {
		return o.report, fmt.Errorf("export: write: %w", o.err)
	}
	return o.report, nil
}

// oneLine keeps a text on its line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// check refuses options without an author.
func (opt *Options) check() error {
	if !strings.HasPrefix(opt.Program.ID, "identity--") || len(opt.Program.ID) != len("identity--")+36 {
		return fmt.Errorf("%w: Program.ID is no identity--UUID", ErrOptions)
	}
	if opt.At.IsZero() {
		return fmt.Errorf("%w: At is not set", ErrOptions)
	}
	return nil
}

// indicatorOf gives the object of a row that was never released.
func indicatorOf(it *indicator.Item, program string) ([]byte, error) {
	x := contract.Indicator{
		ID: it.ID, CreatedBy: program, Created: it.Created, Modified: it.Modified, Pattern: it.Pattern,
		ValidFrom: it.ValidFrom, ValidUntil: it.ValidUntil, Confidence: it.Confidence, Marking: it.TLP,
		Revoked: it.State == indicator.Revoked, Category: it.Category, Action: it.Action, Summary: it.Summary,
		Disclosure: it.Disclosure, Enforce: it.Enforce, Display: it.Display, Notify: it.Notify,
	}
	return x.Canonical()
}
