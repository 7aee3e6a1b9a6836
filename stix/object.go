package stix

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Object is one STIX object: its exact bytes and the properties that all
// objects share (section 3.2).
type Object struct {
	Raw    json.RawMessage // as it came, owned by the caller
	Index  int             // position among the objects of its bundle, from 0
	Offset int64           // of the first byte in the input
	Line   int64           // on which it begins, from 1; 0 from [ParseObject]

	Type        string
	SpecVersion string // "2.1"; "2.0" if a domain or relationship object has none
	ID          string
	CreatedBy   string    // "" if absent
	Created     time.Time // zero if absent, as cyber-observables have none
	Modified    time.Time // zero if absent
	Revoked     bool
	Confidence  int      // 0 to 100, -1 if absent
	Markings    []string // object_marking_refs
	Granular    bool     // whether there are granular markings
	Extensions  []string // names of its extensions, in order

	members map[string]any
}

// ErrNotObject is the cause of an error for JSON that is no object.
var ErrNotObject = errors.New("not a JSON object")

// Fault is what is wrong with a property.
type Fault uint8

// The faults of a property.
const (
	Missing   Fault = iota + 1 // required, and absent or empty
	WrongType                  // of another JSON type
	BadValue                   // of the right type, and impossible
)

// PropertyError says which property of an object is wrong.
type PropertyError struct {
	Name  string
	Fault Fault
	Err   error // in full, with the name
}

// Error implements error.
func (e *PropertyError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *PropertyError) Unwrap() error { return e.Err }

// ParseObject reads one object. It checks the common properties, not those of
// its type.
func ParseObject(raw []byte) (*Object, error) { return parseObject(raw, maxDepth) }

func parseObject(raw []byte, depth int) (*Object, error) {
	v, err := parseJSON(raw, depth)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, ErrNotObject
	}
	o := &Object{Raw: raw, members: m, Confidence: -1}
	r := fields{m: m}
	o.ID = r.str("id", true)
	o.Type = r.str("type", true)
	o.SpecVersion = r.str("spec_version", false)
	o.CreatedBy = r.str("created_by_ref", false)
	o.Created = r.time("created")
	o.Modified = r.time("modified")
	o.Revoked = r.flag("revoked")
	o.Markings = r.list("object_marking_refs")
	if _, ok := m["confidence"]; ok {
		o.Confidence = r.integer("confidence", 0, 100)
	}
	_, o.Granular = m["granular_markings"]
	if ext, ok := m["extensions"].(map[string]any); ok {
		for n := range ext {
			o.Extensions = append(o.Extensions, n)
		}
		slices.Sort(o.Extensions)
	}
	if r.err != nil {
		return o, r.err
	}
	return o, o.check()
}

func (o *Object) check() error {
	err := CheckID(o.ID)
	if err != nil {
		return err
	}
	if TypeOf(o.ID) != o.Type {
		return fmt.Errorf("identifier %q does not begin with the type %q", clip(o.ID), clip(o.Type))
	}
	if o.CreatedBy != "" && (CheckID(o.CreatedBy) != nil || TypeOf(o.CreatedBy) != "identity") {
		return fmt.Errorf("created_by_ref %q does not name an identity", clip(o.CreatedBy))
	}
	for _, ref := range o.Markings {
		if CheckID(ref) != nil || TypeOf(ref) != "marking-definition" {
			return fmt.Errorf("object_marking_refs: %q does not name a marking-definition", clip(ref))
		}
	}
	if o.Modified.Before(o.Created) && !o.Modified.IsZero() {
		return errors.New("modified is before created")
	}
	switch {
	case o.SpecVersion == "" && !IsObservable(o.Type):
		o.SpecVersion = "2.0" // where the property did not exist
	case o.SpecVersion == "":
		o.SpecVersion = "2.1" // optional for cyber-observables
	case o.SpecVersion != "2.0" && o.SpecVersion != "2.1":
		return &PropertyError{Name: "spec_version", Fault: BadValue, Err: fmt.Errorf("spec_version %q is unknown; want 2.1", clip(o.SpecVersion))}
	}
	return nil
}

// Extension gives an extension of the object (section 7.3) in canonical JSON,
// which names nothing twice.
func (o *Object) Extension(name string) (body json.RawMessage, ok bool) {
	all, _ := o.members["extensions"].(map[string]any)
	v, ok := all[name]
	if !ok {
		return nil, false
	}
	return appendJSON(nil, v), true
}

// Indicator is what section 4.7 adds to the common properties.
type Indicator struct {
	*Object
	Name           string
	Description    string
	Types          []string // indicator_types
	Pattern        string
	PatternType    string
	PatternVersion string
	ValidFrom      time.Time
	ValidUntil     time.Time // zero if absent
	Labels         []string
	KillChain      []string // chain and phase, as "lockheed-martin-cyber-kill-chain/delivery"
}

// Indicator reads an object of type indicator and checks what the standard
// demands of it. The pattern is not parsed.
func (o *Object) Indicator() (*Indicator, error) {
	if o.Type != "indicator" {
		return nil, fmt.Errorf("%s is not an indicator", o.Type)
	}
	r := fields{m: o.members}
	x := &Indicator{
		Object: o, Name: r.str("name", false), Description: r.str("description", false),
		Types: r.list("indicator_types"), Pattern: r.str("pattern", true),
		PatternType: r.str("pattern_type", o.SpecVersion != "2.0"), PatternVersion: r.str("pattern_version", false),
		ValidFrom: r.time("valid_from"), ValidUntil: r.time("valid_until"), Labels: r.list("labels"),
	}
	if x.PatternType == "" {
		x.PatternType = "stix" // STIX 2.0 knows no other
	}
	phases, _ := o.members["kill_chain_phases"].([]any)
	for _, p := range phases {
		m, _ := p.(map[string]any)
		k := fields{m: m}
		x.KillChain = append(x.KillChain, k.str("kill_chain_name", true)+"/"+k.str("phase_name", true))
		if k.err != nil {
			return nil, fmt.Errorf("kill_chain_phases: %w", k.err)
		}
	}
	switch {
	case r.err != nil:
		return nil, r.err
	case o.Created.IsZero() || o.Modified.IsZero() || x.ValidFrom.IsZero():
		return nil, &PropertyError{Name: "valid_from", Fault: Missing, Err: errors.New("created, modified and valid_from are required")}
	case !x.ValidUntil.IsZero() && !x.ValidUntil.After(x.ValidFrom):
		return nil, errors.New("valid_until is not after valid_from")
	}
	return x, nil
}

// fields reads typed properties and keeps the first error.
type fields struct {
	m   map[string]any
	err error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

func (f *fields) wrong(name string, fault Fault, format string, args ...any) {
	if f.err == nil {
		f.err = &PropertyError{Name: name, Fault: fault, Err: fmt.Errorf(format, args...)}
	}
}

func (f *fields) str(name string, required bool) string {
	v, ok := f.m[name]
	s, isString := v.(string)
	switch {
	case !ok && required:
		f.wrong(name, Missing, "property %s is missing", name)
	case ok && !isString:
		f.wrong(name, WrongType, "property %s is not a string", name)
	case required && s == "":
		f.wrong(name, Missing, "property %s is empty", name)
	}
	return s
}

func (f *fields) time(name string) time.Time {
	if _, ok := f.m[name]; !ok {
		return time.Time{}
	}
	t, err := ParseTime(f.str(name, true))
	if err != nil {
		f.wrong(name, BadValue, "property %s: %w", name, err)
	}
	return t
}

func (f *fields) flag(name string) bool {
	v, ok := f.m[name]
	b, isBool := v.(bool)
	if ok && !isBool {
		f.wrong(name, WrongType, "property %s is neither true nor false", name)
	}
	return b
}

func (f *fields) integer(name string, low, high int64) int {
	n, _ := f.m[name].(number)
	i, ok := n.integer()
	if !ok || i < low || i > high {
		f.wrong(name, BadValue, "property %s is not an integer from %d to %d", name, low, high)
		return 0
	}
	return int(i)
}

func (f *fields) list(name string) []string {
	v, ok := f.m[name]
	if !ok {
		return nil
	}
	items, isList := v.([]any)
	if !isList || len(items) == 0 {
		f.wrong(name, WrongType, "property %s is not a list with something in it", name)
	}
	var out []string
	for _, x := range items {
		s, isString := x.(string)
		if !isString {
			f.wrong(name, WrongType, "property %s holds something else than strings", name)
		}
		out = append(out, s)
	}
	return out
}
