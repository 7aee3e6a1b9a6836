package intake

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/observable"
	"ecs/stix"
)

// maxMarkings is how many marking definitions of one bundle are remembered.
const maxMarkings = 1024

// bundleReader reads entries of what package stix reads: a STIX 2.1 bundle
// (section 8), a TAXII 2.1 envelope (section 3.7), a list of objects, or a lone
// indicator.
type bundleReader struct {
	in       *watched
	stix     *stix.Reader
	markings map[string]*stix.Marking
	over     bool // the stream broke off: nothing comes any more
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

func newBundleReader(r io.Reader, maxItem int) *bundleReader {
	w := &watched{r: r}
	return &bundleReader{in: w, stix: stix.NewReader(w, stix.Limits{Object: maxItem}), markings: map[string]*stix.Marking{}}
}

// next gives the next element, and the object when it could be read. An object
// of a type that nobody asked for may be as bad as it likes: then both the object
// and the refusal are nil. At the end the error is io.EOF; a *[Refused] when
// there was nothing of ours; an error of the reader comes as it is.
func (b *bundleReader) next() (element, *stix.Object, error) {
	if b.over {
		return element{}, nil, io.EOF
	}
	o, err := b.stix.Next()
	var one *stix.ObjectError
	var end *stix.StreamError
	switch {
	case errors.As(err, &end):
		return b.broken(end)
	case errors.Is(err, io.EOF) && !b.stix.Listed() && !b.over:
		return element{}, nil, &Refused{Code: CodeFormat, Reason: "not a STIX bundle: it has no array objects"}
	case err != nil && !errors.As(err, &one):
		return element{}, nil, err
	case !b.stix.Listed() && (one != nil || o.Type != "indicator"):
		return element{}, nil, &Refused{Code: CodeFormat, Reason: "not a STIX bundle, and not an indicator by itself: it has no array objects"}
	}
	b.over = !b.stix.Listed()
	if one == nil {
		return element{id: o.ID, raw: o.Raw, line: o.Line}, o, nil
	}
	el := element{id: one.ID, raw: one.Raw, line: one.Line}
	if !foreign(one) {
		el.refuse = refuseObject(one.Err)
	}
	return el, nil, nil
}

// foreign reports whether it is JSON of another type than those we read.
func foreign(e *stix.ObjectError) bool {
	var syntax *stix.SyntaxError
	if errors.As(e.Err, &syntax) || errors.Is(e.Err, stix.ErrTooBig) || errors.Is(e.Err, stix.ErrUTF8) || !validID(e.ID) {
		return false
	}
	t := stix.TypeOf(e.ID)
	return t != "indicator" && t != "marking-definition"
}

// broken turns the place where a bundle cannot be read on into a refused
// element; errors of the reader end the reading.
func (b *bundleReader) broken(end *stix.StreamError) (element, *stix.Object, error) {
	if b.in.err != nil && errors.Is(end.Err, b.in.err) {
		return element{}, nil, b.in.err
	}
	if !end.Listed {
		return element{}, nil, &Refused{Code: CodeFormat, Reason: "not a STIX bundle: " + clip(end.Err.Error())}
	}
	b.over = true
	el := element{line: end.Line, raw: end.Raw}
	switch {
	case !errors.Is(end.Err, io.ErrUnexpectedEOF):
		el.refuse = refusal(CodeSyntax, "the bundle cannot be read from here on: %s", end.Err)
	case end.Raw != nil:
		el.refuse = refusal(CodeTruncated, "the file ends in the middle of this object")
	default:
		el.refuse = refusal(CodeTruncated, "the file ends before the bundle is closed")
	}
	return el, nil, nil
}

// refuseObject gives the refusal for an error of package stix.
func refuseObject(err error) *Refusal {
	var syntax *stix.SyntaxError
	var property *stix.PropertyError
	switch {
	case errors.Is(err, stix.ErrTooBig):
		return refusal(CodeTooLarge, "the object is larger than one item may be")
	case errors.Is(err, stix.ErrUTF8):
		return refusal(CodeUTF8, "the object is not UTF-8")
	case errors.Is(err, stix.ErrNotObject):
		return refusal(CodeType, "an object was expected, not another JSON value")
	case errors.As(err, &syntax):
		return refusal(CodeSyntax, "not JSON as STIX wants it: %s", err)
	case !errors.As(err, &property):
		return refusal(CodeValue, "%s", err)
	case property.Name == "spec_version":
		return refusal(CodeVersion, "%s", err)
	case property.Fault == stix.Missing:
		return refusal(CodeMissing, "%s", err)
	case property.Fault == stix.WrongType:
		return refusal(CodeType, "%s", err)
	default:
		return refusal(CodeValue, "%s", err)
	}
}

// validID reports whether an identifier may stand for the object: type--UUID
// (STIX 2.1 section 2.9) with a short type, so that it cannot be text of any kind.
func validID(id string) bool { return len(id) <= 64+2+36 && stix.CheckID(id) == nil }

// extension is the program's own, see [contract.ExtensionID]. Pointers tell
// what is given.
type extension struct {
	action     *contract.Action
	category   *contract.Category
	disclosure *uint8
	display    *bool
	enforce    *bool
	notify     *bool
}

// entry reads one object. Both results are nil for an object of another type
// than indicator; a marking definition is remembered.
func (b *bundleReader) entry(o *stix.Object) (*entry, *Refusal) {
	switch o.Type {
	case "indicator":
		return b.indicator(o)
	case "marking-definition":
		return nil, b.remember(o)
	default:
		return nil, nil
	}
}

// remember keeps a marking definition. One that cannot be read is refused, and
// what carries it is treated as marked by something unknown.
func (b *bundleReader) remember(o *stix.Object) *Refusal {
	m, err := o.Marking()
	if err != nil {
		return refuseObject(err)
	}
	if len(b.markings) < maxMarkings && (m.TLP != "" || m.Statement != "" || m.ACS != nil) {
		b.markings[o.ID] = m
	}
	return nil
}

func (b *bundleReader) indicator(o *stix.Object) (*entry, *Refusal) {
	switch {
	case o.SpecVersion != "2.1":
		return nil, refusal(CodeVersion, "spec_version is %q; STIX 2.1 is read", clip(o.SpecVersion))
	case o.Revoked:
		return nil, refusal(CodeRevoked, "the source has revoked it; if it was released, recall it at the release desk")
	}
	x, err := o.Indicator()
	switch {
	case err != nil:
		return nil, refuseObject(err)
	case x.PatternType != "stix":
		return nil, refusal(CodeLanguage, "the pattern is of type %q; only stix is read", clip(x.PatternType))
	case slices.Contains(x.Types, "benign"):
		return nil, refusal(CodeBenign, "its indicator_types say benign")
	}
	e := newEntry()
	e.compiled, err = observable.Compile(x.Pattern)
	if err != nil {
		return nil, refuseCompile(err)
	}
	if o.Confidence >= 0 {
		e.confidence = o.Confidence
	}
	e.from, e.until, e.observed = x.ValidFrom, x.ValidUntil, o.Modified
	e.category, e.reference = categoryOf(x), o.ID
	bad := e.sane()
	if bad == nil {
		bad = e.words(x)
	}
	if bad == nil {
		bad = e.handling(o)
	}
	if bad == nil {
		bad = b.mark(&e, o)
	}
	if bad != nil {
		return nil, bad
	}
	return &e, nil
}

// sane refuses what cannot be meant.
func (e *entry) sane() *Refusal {
	for i, t := range []time.Time{e.from, e.until, e.observed} {
		bad := plausible([]string{"valid_from", "valid_until", "modified"}[i], t)
		if bad != nil {
			return bad
		}
	}
	if len(e.reference) > maxReference {
		return refusal(CodeValue, "id has %d bytes, limit %d", len(e.reference), maxReference)
	}
	return nil
}

// words sorts the object's texts. A description is releasable only where the
// program's own extension says that the author knew what it is for; all else is
// context for analysts.
func (e *entry) words(x *stix.Indicator) (bad *Refusal) {
	if slices.Contains(x.Extensions, contract.ExtensionID) {
		e.summary, bad = text("description", x.Description, contract.MaxSummary)
		if bad == nil {
			e.context, bad = text("name", x.Name, maxContext)
		}
		return bad
	}
	e.context, bad = text("name and description", strings.TrimSpace(x.Name+"\n"+x.Description), maxContext)
	return bad
}

func (e *entry) handling(o *stix.Object) *Refusal {
	raw, ok := o.Extension(contract.ExtensionID)
	if !ok {
		return nil
	}
	var x extension
	err := x.read(raw)
	if err != nil {
		return refusal(CodeValue, "the program's extension cannot be read: %s", err)
	}
	set(&e.category, x.category)
	set(&e.disclosure, x.disclosure)
	set(&e.display, x.display)
	set(&e.enforce, x.enforce)
	set(&e.notify, x.notify)
	if x.action != nil {
		e.action, e.actionSet = *x.action, true
	}
	if e.disclosure > 3 {
		return refusal(CodeValue, "disclosure %d is outside of 0 to 3", e.disclosure)
	}
	return nil
}

// read takes the members by their exact names: struct tags of encoding/json
// would take them in any case.
func (x *extension) read(raw []byte) error {
	var all map[string]json.RawMessage
	err := json.Unmarshal(raw, &all)
	if err != nil {
		return err
	}
	for name, to := range map[string]any{
		"action": &x.action, "category": &x.category, "disclosure": &x.disclosure,
		"display": &x.display, "enforce": &x.enforce, "notify": &x.notify,
	} {
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

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// categoryOf finds the category in what the object says in the words of the
// Lockheed Martin kill chain, of ATT&CK and of labels.
func categoryOf(x *stix.Indicator) contract.Category {
	words := slices.Concat(x.Labels, x.Types)
	for _, p := range x.KillChain {
		_, phase, _ := strings.Cut(p, "/")
		words = append(words, phase)
	}
	for _, w := range words {
		switch strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(w, " ", "-"), "_", "-")) {
		case "c2", "command-and-control", "c&c", "cnc":
			return contract.CommandAndControl
		case "phishing", "spearphishing", "spear-phishing":
			return contract.Phishing
		case "delivery", "initial-access", "malware-delivery":
			return contract.Delivery
		case "exfiltration":
			return contract.Exfiltration
		case "scanning", "scanner", "reconnaissance":
			return contract.Scanning
		}
	}
	return contract.Other
}

// mark takes the strictest of the object's markings. One that is defined neither
// by STIX nor before in this bundle may mean anything, and so may markings of
// single properties.
func (b *bundleReader) mark(e *entry, o *stix.Object) *Refusal {
	if o.Granular {
		e.unknown = "granular_markings"
	}
	for _, ref := range o.Markings {
		name, ok := stix.TLP(ref)
		m := b.markings[ref]
		switch {
		case ok:
		case m == nil:
			e.unknown = ref
			continue
		default:
			name = m.TLP
		}
		if name != "" {
			t, err := parseTLP(name)
			if err != nil {
				return refusal(CodeValue, "marking %s: %s", ref, err)
			}
			e.tlp, e.tlpSet = max(e.tlp, t), true
		}
		if m != nil && m.ACS != nil {
			bad := e.control(m.ACS)
			if bad != nil {
				return bad
			}
		}
	}
	return nil
}

// control applies an ACS 3.0 marking: nothing classified may come, and each use
// has to be permitted to whoever may have the indicator at all.
func (e *entry) control(a *stix.ACS) *Refusal {
	if a.Control.Classification != "U" {
		return refusal(CodeCeiling, "its ACS marking classifies it %s; this instance holds only unclassified indicators", a.Control.Classification)
	}
	everybody := stix.Scope{}
	e.enforce = e.enforce && a.Permits(stix.NetDef, everybody)
	e.display = e.display && a.Permits(stix.Display, everybody)
	e.notify = e.notify && a.Permits(stix.Notify, everybody)
	return nil
}
