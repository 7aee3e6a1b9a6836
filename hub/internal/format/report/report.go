// Package report finds the indicators in a report that people wrote: plain text,
// Markdown, simple HTML or the text of a mail, pasted as it is. Reports defang what
// is dangerous (hxxp, [.], (at)) and write plainly what is only a link; that, the
// section and the sentence decide what is offered and what is taken.
//
// It is NOT for lists, which are read line by line, and not for PDF or attachments.
// It does not know warning lists: what it doubts, it doubts by the text alone.
//
// Invariants, beside those of package format:
//   - [Extract] is pure, and its time is linear in the text.
//   - Everything that reads as an observable is a [Candidate], taken or not, with the
//     reasons; nothing that was seen is left out silently but by MaxCandidates.
//   - A marking found anywhere in the text is on every record.
//   - A report is held whole, at most MaxText bytes; this is the one reader whose
//     memory grows with its input.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/marking"
	"ecs/observable"
)

// Bounds of one report.
const (
	MaxText       = 4 << 20 // bytes
	MaxCandidates = 50_000
	MaxPlaces     = 50 // kept of one candidate; all are counted
	maxLabels     = 64
	maxSentence   = 400 // bytes
)

// Option is how a report is read. The zero value takes what was defanged, hashes,
// and what stands plainly under a heading of indicators in a report that defangs
// nothing of its sort.
type Option struct {
	// Fanged takes also what is written plainly and not doubted.
	Fanged bool `json:"fanged,omitempty"`
	// FileNames looks for names of files, too.
	FileNames bool `json:"file_names,omitempty"`
	// Publisher are the names of who wrote the report: links to them are not
	// indicators.
	Publisher []string `json:"publisher,omitempty"`
	// Demonstration does not doubt the names of RFC 2606 and the addresses of RFC
	// 5737 and 3849.
	Demonstration bool `json:"demonstration,omitempty"`
	// Take and Leave are the analyst's own decisions, by Candidate.Value; they win over
	// every doubt.
	Take  []string `json:"take,omitempty"`
	Leave []string `json:"leave,omitempty"`
}

// Candidate is one observable of the text, with all places where it stands.
type Candidate struct {
	Value    string            `json:"value"` // canonical
	Kind     observable.Kind   `json:"-"`
	KindName string            `json:"kind"`
	Written  string            `json:"written"` // as it stands in the text, at its best place
	Offset   int               `json:"offset"`  // byte of its best place in the text
	Line     int               `json:"line"`    // of its best place, from 1
	Section  string            `json:"section,omitempty"`
	Sentence string            `json:"sentence"` // around it
	Defanged bool              `json:"defanged"`
	Score    int               `json:"score"` // 0 to 100: how much speaks for an indicator
	Take     bool              `json:"take"`
	Doubts   []Doubt           `json:"doubts,omitempty"`
	Labels   []string          `json:"labels,omitempty"`
	Category contract.Category `json:"category"`
	Places   []Place           `json:"places"`
	Count    int               `json:"count"` // of all places
}

// Place is where a candidate stands.
type Place struct {
	Offset int `json:"offset"`
	Line   int `json:"line"`
}

// Doubt is why a candidate might be no indicator.
type Doubt struct {
	Code string `json:"code"` // see docs/formats/report.md
	Why  string `json:"why"`  // for people
}

// Found is what a report holds.
type Found struct {
	Candidates []Candidate // in the order in which they first stand in the text
	Labels     []string    // CVE, technique and campaign names, of all candidates
	Markings   []string    // words of marking, as found
	Cut        bool        // there were more than MaxCandidates
}

// Extract finds the candidates of a text. It is pure.
func Extract(text string, opt Option) []Candidate { return Find(text, opt).Candidates }

// Find finds the candidates of a text, and what is said of all of them.
func Find(text string, opt Option) Found {
	if len(text) > MaxText {
		text = strings.ToValidUTF8(text[:MaxText], "")
	}
	doc := outlined(text)
	out := Found{Labels: mentions(doc), Markings: banners(doc.text)}
	hits, cut := scan(doc, opt)
	j := newJudge(doc, opt)
	out.Candidates = j.merge(hits)
	out.Cut = cut
	for i := range out.Candidates {
		c := &out.Candidates[i]
		for _, l := range out.Labels {
			if len(c.Labels) < maxLabels && !slices.Contains(c.Labels, l) {
				c.Labels = append(c.Labels, l)
			}
		}
	}
	return out
}

// reader gives the candidates as records.
type reader struct {
	found Found
	text  string
	marks []marking.Mark
	at    int
	rec   format.Record
}

// Open is a [format.Open] for a report read with the zero Option.
func Open(r io.Reader, limits format.Limits) (format.Reader, error) {
	return Option{}.Open(r, limits)
}

// Open is a [format.Open] for a report. A candidate that is not taken is a record
// to skip.
func (o Option) Open(r io.Reader, limits format.Limits) (format.Reader, error) {
	most := int64(MaxText)
	if limits.Total > 0 {
		most = min(most, limits.Total)
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	switch {
	case int64(len(b)) > most:
		return nil, &format.Refused{Code: "FORMAT", Reason: fmt.Sprintf("a report of more than %d bytes: deliver what it lists as a list or CSV", most)}
	case strings.HasPrefix(string(b[:min(len(b), 5)]), "%PDF-"):
		return nil, &format.Refused{Code: "FORMAT", Reason: "this is a PDF: open it, and paste its text"}
	case !utf8.Valid(b):
		return nil, &format.Refused{Code: "BAD-UTF8", Reason: "the report is not UTF-8: save it as UTF-8, or paste its text"}
	}
	out := &reader{text: string(b), found: Find(string(b), o)}
	for _, m := range out.found.Markings {
		out.marks = append(out.marks, marking.Parse(m))
	}
	if len(out.found.Candidates) == 0 {
		return nil, &format.Refused{Code: "FORMAT", Reason: "the report holds nothing that reads as a name, address, URL, mail address or hash"}
	}
	return out, nil
}

// Next implements [format.Reader].
func (r *reader) Next() (*format.Record, error) {
	if r.at == len(r.found.Candidates) {
		return nil, io.EOF
	}
	c := &r.found.Candidates[r.at]
	r.at++
	r.rec = format.Record{Place: fmt.Sprintf("line %d", c.Line), Line: int64(c.Line), Raw: r.line(c.Offset), Skip: !c.Take}
	if !c.Take {
		return &r.rec, nil
	}
	r.rec.Value, r.rec.Kind = c.Value, c.Kind
	r.rec.Context = c.Context()
	r.rec.Labels, r.rec.Category, r.rec.Marks = c.Labels, c.Category, slices.Clip(r.marks)
	r.rec.Confidence = -1
	if !c.Defanged && c.Kind < observable.MD5 {
		r.rec.Confidence = min(c.Score, 30) // nobody said that it is dangerous
		r.rec.Labels = append(slices.Clip(c.Labels), "fanged")
	}
	return &r.rec, nil
}

// Context is what an analyst is told of a candidate: section, sentence, places.
func (c *Candidate) Context() string {
	s := "Report, line " + fmt.Sprint(c.Line)
	if c.Section != "" {
		s += ", under “" + c.Section + "”"
	}
	if c.Count > 1 {
		s += fmt.Sprintf(", %d times", c.Count)
	}
	return s + ": " + c.Sentence
}

// line gives the line of an offset, at most a sentence of it.
func (r *reader) line(at int) []byte {
	from := strings.LastIndexByte(r.text[:at], '\n') + 1
	from = max(from, at-maxSentence)
	to := len(r.text)
	n := strings.IndexByte(r.text[at:min(len(r.text), at+maxSentence)], '\n')
	if n >= 0 {
		to = at + n
	} else {
		to = min(to, at+maxSentence)
	}
	return []byte(strings.ToValidUTF8(r.text[from:to], ""))
}
