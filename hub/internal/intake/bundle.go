package intake

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"ecs/contract"
	"ecs/observable"
)

// maxMarkings is how many marking definitions of one bundle are remembered.
const maxMarkings = 1024

// bundleReader reads entries of a STIX 2.1 bundle (section 8), or of a TAXII 2.1
// envelope (section 3.7), which has the same member "objects".
type bundleReader struct {
	split    *jsonSplitter
	markings map[string]marking
}

// marking is what a marking definition means to us: a TLP level, or a statement
// that does not restrict.
type marking struct {
	tlp       contract.TLP
	statement bool
}

func newBundleReader(r io.Reader, maxItem int) *bundleReader {
	return &bundleReader{split: newJSONSplitter(r, maxItem), markings: map[string]marking{}}
}

func (b *bundleReader) begin() error { return b.split.begin() }

func (b *bundleReader) next() (element, error) {
	el, err := b.split.next()
	if errors.Is(err, io.EOF) {
		switch {
		case !b.split.any:
			return el, &Refused{Code: CodeFormat, Reason: "not a STIX bundle: it has no array objects"}
		case b.split.kind != "" && b.split.kind != `"bundle"`:
			return el, &Refused{Code: CodeFormat, Reason: "not a STIX bundle: its type is " + clip(b.split.kind)}
		}
	}
	return el, err
}

// object is what we read of a STIX object. Properties that are not here are
// kept in the original, but change nothing.
type object struct {
	Type        string                     `json:"type"`
	SpecVersion string                     `json:"spec_version"`
	ID          string                     `json:"id"`
	Name        string                     `json:"name"`
	Description string                     `json:"description"`
	Types       []string                   `json:"indicator_types"`
	Pattern     *string                    `json:"pattern"`
	PatternType string                     `json:"pattern_type"`
	Modified    string                     `json:"modified"`
	ValidFrom   string                     `json:"valid_from"`
	ValidUntil  string                     `json:"valid_until"`
	Confidence  *int                       `json:"confidence"`
	Revoked     bool                       `json:"revoked"`
	Labels      []string                   `json:"labels"`
	Markings    []string                   `json:"object_marking_refs"`
	Phases      []phase                    `json:"kill_chain_phases"`
	Extensions  map[string]json.RawMessage `json:"extensions"`

	DefinitionType string `json:"definition_type"` // of a marking-definition
	Definition     struct {
		TLP string `json:"tlp"`
	} `json:"definition"`
}

type phase struct {
	Name string `json:"phase_name"`
}

// extension is the program's own, see [contract.ExtensionID]. Pointers tell
// what is given.
type extension struct {
	Action     *contract.Action   `json:"action"`
	Category   *contract.Category `json:"category"`
	Disclosure *uint8             `json:"disclosure"`
	Display    *bool              `json:"display"`
	Enforce    *bool              `json:"enforce"`
	Notify     *bool              `json:"notify"`
}

// entry reads one object. All three results are nil for an object of another
// type than indicator; a marking definition is remembered.
func (b *bundleReader) entry(el element, number int64) (e *entry, place string, bad *Refusal) {
	place = objectAt(number, el.line)
	if !utf8.Valid(el.raw) {
		return nil, place, refusal(CodeUTF8, "the object is not UTF-8")
	}
	var o object
	err := json.Unmarshal(el.raw, &o)
	if validID(o.ID) {
		place = o.ID
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		if o.Type != "" && o.Type != "indicator" {
			return nil, place, nil // another type may use the same name otherwise
		}
		return nil, place, refusal(CodeType, "%s is a JSON %s", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return nil, place, refusal(CodeType, "an object was expected, not a JSON %s", wrong.Value)
	case err != nil:
		return nil, place, refusal(CodeSyntax, "not JSON: %s", err)
	}
	switch o.Type {
	case "indicator":
		e, bad = b.indicator(&o)
		if e != nil {
			e.place = place
		}
		return e, place, bad
	case "marking-definition":
		b.remember(&o)
		return nil, place, nil
	case "":
		return nil, place, refusal(CodeMissing, "the object has no type")
	default:
		return nil, place, nil
	}
}

// validID reports whether an identifier may stand for the object: type--UUID
// (STIX 2.1 section 2.9), so that it cannot be text of any kind.
func validID(id string) bool {
	i := strings.Index(id, "--")
	if i < 1 || i > 64 {
		return false
	}
	_, err := contract.ParseID("indicator" + id[i:])
	return err == nil && !strings.ContainsFunc(id[:i], func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' && (r < '0' || r > '9') })
}

func (b *bundleReader) remember(o *object) {
	if len(b.markings) >= maxMarkings || !validID(o.ID) {
		return
	}
	t, err := parseTLP(o.Definition.TLP)
	if o.DefinitionType == "tlp" && err == nil {
		b.markings[o.ID] = marking{tlp: t}
	}
	if o.DefinitionType == "statement" {
		b.markings[o.ID] = marking{statement: true}
	}
}

// tlp1 are the marking definitions of TLP 1.0 that STIX 2.1 section 7.2.1.4
// fixes.
var tlp1 = map[string]contract.TLP{
	"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": contract.Clear,
	"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": contract.Green,
	"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": contract.Amber,
	"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": contract.Red,
}

func (b *bundleReader) indicator(o *object) (*entry, *Refusal) {
	switch {
	case o.SpecVersion != "2.1":
		return nil, refusal(CodeVersion, "spec_version is %q; STIX 2.1 is read", clip(o.SpecVersion))
	case o.Revoked:
		return nil, refusal(CodeRevoked, "the source has revoked it; if it was released, recall it at the release desk")
	case o.PatternType == "":
		return nil, refusal(CodeMissing, "pattern_type is missing")
	case o.PatternType != "stix":
		return nil, refusal(CodeLanguage, "the pattern is of type %q; only stix is read", clip(o.PatternType))
	case o.Pattern == nil || *o.Pattern == "":
		return nil, refusal(CodeMissing, "pattern is missing")
	case o.ValidFrom == "":
		return nil, refusal(CodeMissing, "valid_from is missing (STIX 2.1 section 4.7)")
	case slices.Contains(o.Types, "benign"):
		return nil, refusal(CodeBenign, "its indicator_types say benign")
	}
	e := newEntry()
	var err error
	e.compiled, err = observable.Compile(*o.Pattern)
	if err != nil {
		return nil, refuseCompile(err)
	}
	if o.Confidence != nil {
		if *o.Confidence < 0 || *o.Confidence > 100 {
			return nil, refusal(CodeValue, "confidence %d is outside of 0 to 100", *o.Confidence)
		}
		e.confidence = *o.Confidence
	}
	var bad [6]*Refusal
	e.from, bad[0] = moment("valid_from", o.ValidFrom)
	e.until, bad[1] = moment("valid_until", o.ValidUntil)
	e.observed, bad[2] = moment("modified", o.Modified)
	e.reference, bad[3] = text("id", o.ID, maxReference)
	bad[4] = e.words(o)
	bad[5] = e.handling(o)
	for _, r := range bad {
		if r != nil {
			return nil, r
		}
	}
	b.mark(&e, o.Markings)
	return &e, nil
}

// words sorts the object's texts. A description is releasable only where the
// program's own extension says that the author knew what it is for; all else is
// context for analysts.
func (e *entry) words(o *object) (bad *Refusal) {
	_, own := o.Extensions[contract.ExtensionID]
	if own {
		e.summary, bad = text("description", o.Description, contract.MaxSummary)
		if bad == nil {
			e.context, bad = text("name", o.Name, maxContext)
		}
		return bad
	}
	about := strings.TrimSpace(o.Name + "\n" + o.Description)
	e.context, bad = text("name and description", about, maxContext)
	return bad
}

func (e *entry) handling(o *object) *Refusal {
	e.category = categoryOf(o)
	raw, ok := o.Extensions[contract.ExtensionID]
	if !ok {
		return nil
	}
	var x extension
	err := json.Unmarshal(raw, &x)
	if err != nil {
		return refusal(CodeValue, "the program's extension cannot be read: %s", err)
	}
	set(&e.category, x.Category)
	set(&e.disclosure, x.Disclosure)
	set(&e.display, x.Display)
	set(&e.enforce, x.Enforce)
	set(&e.notify, x.Notify)
	if x.Action != nil {
		e.action, e.actionSet = *x.Action, true
	}
	if e.disclosure > 3 {
		return refusal(CodeValue, "disclosure %d is outside of 0 to 3", e.disclosure)
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
func categoryOf(o *object) contract.Category {
	words := slices.Concat(o.Labels, o.Types)
	for _, p := range o.Phases {
		words = append(words, p.Name)
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
// by STIX nor before in this bundle may mean anything.
func (b *bundleReader) mark(e *entry, refs []string) {
	for _, ref := range refs {
		t, ok := contract.TLPByRef(ref)
		if !ok {
			t, ok = tlp1[ref]
		}
		if !ok {
			m, known := b.markings[ref]
			if known && m.statement {
				continue
			}
			t, ok = m.tlp, known
		}
		if !ok {
			e.unknown = ref
			continue
		}
		e.tlp, e.tlpSet = max(e.tlp, t), true
	}
}
