// Package bundle reads deliveries of STIX objects: a bundle of STIX 2.1 (section
// 8) or 2.0, a TAXII 2.1 envelope (section 3.7), a list of objects, or a lone
// indicator. Objects of type indicator become records; all others are given as
// they are, to be kept whole. See hub/internal/format for the invariants.
package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/marking"
	"ecs/stix"
)

// maxMarkings is how many marking definitions of one bundle are remembered.
const maxMarkings = 1024

// Limits of texts, in bytes.
const (
	maxID      = 64 + 2 + 36
	maxContext = 16 << 10
	maxLabels  = 64
)

// Reader reads one delivery.
type Reader struct {
	in       *watched
	stix     *stix.Reader
	markings map[string]*stix.Marking
	number   int64
	over     bool // the stream broke off: nothing comes any more
	record   format.Record
}

// Open implements [format.Open].
func Open(r io.Reader, limits format.Limits) (format.Reader, error) {
	w := &watched{r: r}
	return &Reader{in: w, stix: stix.NewReader(w, stix.Limits{Object: limits.Record}), markings: map[string]*stix.Marking{}}, nil
}

// watched keeps the error that its reader ended with, to tell it from what is
// wrong with the content.
type watched struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// Next implements [format.Reader].
func (b *Reader) Next() (*format.Record, error) {
	if b.over {
		return nil, io.EOF
	}
	o, err := b.stix.Next()
	var one *stix.ObjectError
	var end *stix.StreamError
	switch {
	case errors.As(err, &end):
		return b.broken(end)
	case errors.Is(err, io.EOF) && !b.stix.Listed() && !b.over:
		return nil, &format.Refused{Code: "FORMAT", Reason: "not a STIX bundle: it has no array objects"}
	case err != nil && !errors.As(err, &one):
		return nil, err
	case !b.stix.Listed() && (one != nil || o.Type != "indicator"):
		return nil, &format.Refused{Code: "FORMAT", Reason: "not a STIX bundle, and not an indicator by itself: it has no array objects"}
	}
	b.over = !b.stix.Listed()
	b.number++
	if one != nil {
		r := b.begin(one.ID, one.Line, one.Raw)
		if foreign(one) {
			r.Skip = true
		} else {
			r.Problem = problemOf(one.Err)
		}
		return r, nil
	}
	return b.object(o), nil
}

// begin empties the record and says where it stands.
func (b *Reader) begin(id string, line int64, raw []byte) *format.Record {
	b.record = format.Record{Place: fmt.Sprintf("object %d, line %d", b.number, line), Line: line, Raw: raw, Confidence: -1}
	if validID(id) {
		b.record.Place = id
	}
	return &b.record
}

// validID reports whether an identifier may stand for the object: type--UUID
// (STIX 2.1 section 2.9) with a short type, so that it cannot be text of any kind.
func validID(id string) bool { return len(id) <= maxID && stix.CheckID(id) == nil }

// foreign reports whether it is well-formed JSON of another type than those whose
// faults concern us.
func foreign(e *stix.ObjectError) bool {
	var syntax *stix.SyntaxError
	if errors.As(e.Err, &syntax) || errors.Is(e.Err, stix.ErrTooBig) || errors.Is(e.Err, stix.ErrUTF8) || !validID(e.ID) {
		return false
	}
	t := stix.TypeOf(e.ID)
	return t != "indicator" && t != "marking-definition"
}

// broken turns the place where a bundle cannot be read on into a refused record;
// errors of the input end the reading.
func (b *Reader) broken(end *stix.StreamError) (*format.Record, error) {
	if b.in.err != nil && errors.Is(end.Err, b.in.err) {
		return nil, b.in.err
	}
	if !end.Listed {
		return nil, &format.Refused{Code: "FORMAT", Reason: "not a STIX bundle: " + end.Err.Error()}
	}
	b.over = true
	b.number++
	r := b.begin("", end.Line, end.Raw)
	switch {
	case !errors.Is(end.Err, io.ErrUnexpectedEOF):
		r.Problem = problem("SYNTAX", "the bundle cannot be read from here on: %s", end.Err)
	case end.Raw != nil:
		r.Problem = problem("TRUNCATED", "the file ends in the middle of this object")
	default:
		r.Problem = problem("TRUNCATED", "the file ends before the bundle is closed")
	}
	return r, nil
}

func problem(code, text string, args ...any) *format.Problem {
	return &format.Problem{Code: code, Reason: fmt.Sprintf(text, args...)}
}

// problemOf names an error of package stix.
func problemOf(err error) *format.Problem {
	var syntax *stix.SyntaxError
	var property *stix.PropertyError
	switch {
	case errors.Is(err, stix.ErrTooBig):
		return problem("ITEM-TOO-LARGE", "the object is larger than one item may be")
	case errors.Is(err, stix.ErrUTF8):
		return problem("BAD-UTF8", "the object is not UTF-8")
	case errors.Is(err, stix.ErrNotObject):
		return problem("WRONG-TYPE", "an object was expected, not another JSON value")
	case errors.As(err, &syntax):
		return problem("SYNTAX", "not JSON as STIX wants it: %s", err)
	case !errors.As(err, &property):
		return problem("BAD-VALUE", "%s", err)
	case property.Name == "spec_version":
		return problem("SPEC-VERSION", "%s", err)
	case property.Fault == stix.Missing:
		return problem("MISSING-FIELD", "%s", err)
	case property.Fault == stix.WrongType:
		return problem("WRONG-TYPE", "%s", err)
	default:
		return problem("BAD-VALUE", "%s", err)
	}
}

func (b *Reader) object(o *stix.Object) *format.Record {
	r := b.begin(o.ID, o.Line, o.Raw)
	switch o.Type {
	case "indicator":
		up, err := stix.Upgrade(o)
		if err != nil {
			r.Problem = problemOf(err)
			break
		}
		r.Problem = b.indicator(r, up.Object)
	case "marking-definition":
		r.Problem = b.remember(o)
		r.Object = r.Problem == nil
	default:
		r.Object, r.Reference, r.Revoked = true, o.ID, o.Revoked
		b.mark(r, o)
	}
	if r.Problem != nil { // nothing else may be taken from it
		*r = format.Record{Place: r.Place, Line: r.Line, Raw: r.Raw, Problem: r.Problem, Confidence: -1}
	}
	return r
}

// remember keeps a marking definition. One that cannot be read is refused, and
// what carries it is treated as marked by something unknown.
func (b *Reader) remember(o *stix.Object) *format.Problem {
	m, err := o.Marking()
	if err != nil {
		return problemOf(err)
	}
	if len(b.markings) < maxMarkings {
		b.markings[o.ID] = m
	}
	return nil
}

// mark takes the object's markings. One that is defined neither by STIX nor before
// in this bundle may mean anything, and so may markings of single properties.
func (b *Reader) mark(r *format.Record, o *stix.Object) {
	for _, ref := range o.Markings {
		r.Marks = append(r.Marks, marking.FromSTIX(ref, b.markings[ref]))
	}
	if o.Granular {
		r.Marks = append(r.Marks, marking.FromSTIX("granular_markings", nil))
	}
}

func (b *Reader) indicator(r *format.Record, o *stix.Object) *format.Problem {
	x, err := o.Indicator()
	if err != nil {
		return problemOf(err)
	}
	r.Reference, r.Revoked, r.Benign = o.ID, o.Revoked, slices.Contains(x.Types, "benign")
	r.From, r.Until, r.Observed, r.Version = x.ValidFrom, x.ValidUntil, o.Modified, o.Modified
	if x.PatternType != "stix" {
		return problem("PATTERN-TYPE", "the pattern is of type %q; only stix is read", x.PatternType)
	}
	r.Pattern = x.Pattern
	r.Confidence = o.Confidence
	r.Category = categoryOf(x)
	r.Labels = labelsOf(x)
	bad := words(r, x)
	if bad == nil {
		bad = handling(r, o)
	}
	b.mark(r, o)
	return bad
}

// labelsOf gives what the source calls it: its labels and the phases of the kill
// chain.
func labelsOf(x *stix.Indicator) []string {
	out := slices.Concat(x.Labels, x.KillChain)
	return out[:min(len(out), maxLabels)]
}

// words sorts the object's texts. A description is releasable only where the
// program's own extension says that the author knew what it is for; all else is
// context for analysts.
func words(r *format.Record, x *stix.Indicator) *format.Problem {
	if slices.Contains(x.Extensions, contract.ExtensionID) {
		r.Summary, r.Context = x.Description, x.Name
		return nil
	}
	r.Context = strings.TrimSpace(x.Name + "\n" + x.Description)
	if len(r.Context) > maxContext {
		return problem("BAD-VALUE", "name and description have %d bytes, limit %d", len(r.Context), maxContext)
	}
	return nil
}

// handling reads the program's own extension, see [contract.ExtensionID].
func handling(r *format.Record, o *stix.Object) *format.Problem {
	raw, ok := o.Extension(contract.ExtensionID)
	if !ok {
		return nil
	}
	var action *contract.Action
	var category *contract.Category
	err := readExtension(raw, map[string]any{
		"action": &action, "category": &category, "disclosure": &r.Disclosure,
		"display": &r.Display, "enforce": &r.Enforce, "notify": &r.Notify,
	})
	if err != nil {
		return problem("BAD-VALUE", "the program's extension cannot be read: %s", err)
	}
	if action != nil {
		r.Action, r.ActionSet = *action, true
	}
	if category != nil {
		r.Category = *category
	}
	return nil
}

// readExtension takes the members by their exact names: struct tags of
// encoding/json would take them in any case.
func readExtension(raw []byte, into map[string]any) error {
	var all map[string]json.RawMessage
	err := json.Unmarshal(raw, &all)
	if err != nil {
		return err
	}
	for name, to := range into {
		body, ok := all[name]
		if !ok {
			continue
		}
		err = json.Unmarshal(body, to)
		if err != nil {
			return err
		}
	}
	return nil
}

// categoryOf finds the category in what the object says in the words of the
// Lockheed Martin kill chain, of ATT&CK and of labels.
func categoryOf(x *stix.Indicator) contract.Category {
	for _, words := range [][]string{x.Labels, x.Types, x.KillChain} {
		for _, w := range words {
			_, phase, ok := strings.Cut(w, "/")
			if !ok {
				phase = w
			}
			c := format.CategoryOf(phase)
			if c != contract.Other {
				return c
			}
		}
	}
	return contract.Other
}
