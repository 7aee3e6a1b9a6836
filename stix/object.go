package stix

import (
	"encoding/json"
	"errors"
	"fmt"
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

	tape tape
}

// ErrNotObject is the cause of an error for JSON that is no object.
var ErrNotObject = errors.New("not a JSON object")

// ParseObject reads one object. It checks the common properties, not those of
// its type, for which see [Object.Check].
func ParseObject(raw []byte) (*Object, error) {
	var s scanner
	return s.parse(raw, maxDepth)
}

func (s *scanner) parse(raw []byte, depth int) (*Object, error) {
	err := s.whole(raw, depth)
	if err != nil {
		return nil, err
	}
	if s.nodes[0].kind != Members {
		return nil, ErrNotObject
	}
	return s.take(raw)
}

// take makes an object of what was scanned.
func (s *scanner) take(raw []byte) (*Object, error) {
	o := &Object{Raw: raw, Confidence: -1}
	o.tape.text = string(raw)
	if len(s.nodes) > manyNodes {
		o.tape.nodes, s.nodes = s.nodes, nil
	} else {
		o.tape.nodes = append(make([]node, 0, len(s.nodes)), s.nodes...)
	}
	return o, o.common()
}

// Value gives the whole object as a JSON value.
func (o *Object) Value() Value {
	if o.tape.nodes == nil {
		return Value{}
	}
	return Value{t: &o.tape}
}

// Get gives a property by its name, absent if it has none such.
func (o *Object) Get(name string) Value { return o.Value().Get(name) }

// Canonical gives the object in canonical form, see [CanonicalJSON].
func (o *Object) Canonical() []byte { return o.AppendCanonical(nil) }

// AppendCanonical appends the object in canonical form, see [CanonicalJSON].
func (o *Object) AppendCanonical(dst []byte) []byte { return o.tape.appendCanonical(dst, 0) }

// common reads the properties that all objects share: it looks at each name
// once.
func (o *Object) common() error {
	var id, typ, spec, by, created, modified, revoked, marks, confidence, ext uint32
	nodes := o.tape.nodes
	for i := uint32(1); i < uint32(len(nodes)); i = nodes[i].next { //nolint:gosec // at most maxText
		switch o.tape.name(i) {
		case "id":
			id = i + 1
		case "type":
			typ = i + 1
		case "spec_version":
			spec = i + 1
		case "created_by_ref":
			by = i + 1
		case "created":
			created = i + 1
		case "modified":
			modified = i + 1
		case "revoked":
			revoked = i + 1
		case "object_marking_refs":
			marks = i + 1
		case "confidence":
			confidence = i + 1
		case "granular_markings":
			o.Granular = true
		case "extensions":
			ext = i + 1
		}
	}
	v := o.Value()
	r := fields{v: v}
	o.ID = r.strOf(v.at(id), "id", true)
	o.Type = r.strOf(v.at(typ), "type", true)
	o.SpecVersion = r.strOf(v.at(spec), "spec_version", false)
	o.CreatedBy = r.strOf(v.at(by), "created_by_ref", false)
	o.Created = r.timeOf(v.at(created), "created")
	o.Modified = r.timeOf(v.at(modified), "modified")
	o.Revoked = r.flagOf(v.at(revoked), "revoked")
	o.Markings = r.listOf(v.at(marks), "object_marking_refs")
	if confidence != 0 {
		o.Confidence = r.integerOf(v.at(confidence), "confidence", 0, 100)
	}
	o.Extensions = v.at(ext).sortedNames()
	if r.err != nil {
		return r.err
	}
	return o.check()
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
		return wrong("spec_version", BadValue, "spec_version %q is unknown; want 2.1", clip(o.SpecVersion))
	}
	return nil
}

// Extension gives an extension of the object (section 7.3) in canonical JSON,
// which names nothing twice.
func (o *Object) Extension(name string) (body json.RawMessage, ok bool) {
	v := o.Get("extensions").Get(name)
	if !v.Ok() {
		return nil, false
	}
	return v.Canonical(), true
}
