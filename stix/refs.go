package stix

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Ref is a reference that is embedded in an object.
type Ref struct {
	Property string // whose name ends in _ref or _refs
	Path     string // where it stands, as a selector: "object_refs.[3]"; "" if longer than 1 KiB
	ID       string
}

// Refs gives all references in the object, in their order, also those within
// extensions, embedded parts and granular markings: each string of a property
// named *_ref and each item of one named *_refs that is an identifier.
func (o *Object) Refs() []Ref {
	var f refFinder
	f.within(o.Value())
	return f.found
}

// maxPath is how long a path of a [Ref] may be.
const maxPath = 1 << 10

// refFinder walks through an object. Paths are made of steps when they are
// needed, so that long names cost nothing.
type refFinder struct {
	found []Ref
	steps []step
}

// step is a name, or an index if the name is empty.
type step struct {
	name  string
	index int
}

func (f *refFinder) within(v Value) {
	for i, x := range v.Items() {
		f.steps = append(f.steps, step{index: i})
		f.within(x)
		f.steps = f.steps[:len(f.steps)-1]
	}
	for name, x := range v.Members() {
		f.steps = append(f.steps, step{name: name})
		switch {
		case x.Kind() == String && strings.HasSuffix(name, "_ref"):
			f.add(name, x)
		case x.Kind() == Items && strings.HasSuffix(name, "_refs"):
			for i, r := range x.Items() {
				f.steps = append(f.steps, step{index: i})
				f.add(name, r)
				f.within(r)
				f.steps = f.steps[:len(f.steps)-1]
			}
		default:
			f.within(x)
		}
		f.steps = f.steps[:len(f.steps)-1]
	}
}

func (f *refFinder) add(name string, v Value) {
	id := v.Str()
	if CheckID(id) == nil {
		f.found = append(f.found, Ref{Property: name, Path: f.path(), ID: id})
	}
}

func (f *refFinder) path() string {
	var b []byte
	for i, s := range f.steps {
		if i > 0 {
			b = append(b, '.')
		}
		if s.name == "" {
			b = append(strconv.AppendInt(append(b, '['), int64(s.index), 10), ']')
		} else if len(s.name) <= maxPath {
			b = append(b, s.name...)
		} else {
			return ""
		}
		if len(b) > maxPath {
			return ""
		}
	}
	return string(b)
}

// Relationship is what section 5.1 adds to the common properties.
type Relationship struct {
	*Object
	Kind        string // relationship_type, such as "indicates"
	Description string
	Source      string    // source_ref
	Target      string    // target_ref
	Start, Stop time.Time // zero if absent
}

// Relationship reads an object of type relationship.
func (o *Object) Relationship() (*Relationship, error) {
	if o.Type != "relationship" {
		return nil, fmt.Errorf("%s is not a relationship", o.Type)
	}
	r := fields{v: o.Value()}
	x := &Relationship{
		Object: o, Kind: r.str("relationship_type", true), Description: r.str("description", false),
		Source: r.ref("source_ref", true), Target: r.ref("target_ref", true), Start: r.time("start_time"), Stop: r.time("stop_time"),
	}
	if !x.Stop.IsZero() && !x.Stop.After(x.Start) {
		r.wrong("stop_time", BadValue, "stop_time is not after start_time")
	}
	if r.err != nil {
		return nil, r.err
	}
	return x, nil
}

// Sighting is what section 5.2 adds to the common properties.
type Sighting struct {
	*Object
	Description string
	Of          string    // sighting_of_ref
	First, Last time.Time // zero if absent
	Count       int       // 0: looked for and not seen; -1: not said, so at least once
	Observed    []string  // observed_data_refs
	Where       []string  // where_sighted_refs
	Summary     bool      // it sums up other sightings
}

// MaxSightings is the highest count of a [Sighting].
const MaxSightings = 999_999_999

// Sighting reads an object of type sighting.
func (o *Object) Sighting() (*Sighting, error) {
	if o.Type != "sighting" {
		return nil, fmt.Errorf("%s is not a sighting", o.Type)
	}
	r := fields{v: o.Value()}
	x := &Sighting{
		Object: o, Description: r.str("description", false), Of: r.ref("sighting_of_ref", true), First: r.time("first_seen"), Last: r.time("last_seen"),
		Count: -1, Observed: r.list("observed_data_refs"), Where: r.list("where_sighted_refs"), Summary: r.flagOf(o.Get("summary"), "summary"),
	}
	if n := o.Get("count"); n.Ok() {
		x.Count = r.integerOf(n, "count", 0, MaxSightings)
	}
	if !x.Last.IsZero() && x.Last.Before(x.First) {
		r.wrong("last_seen", BadValue, "last_seen is before first_seen")
	}
	if r.err != nil {
		return nil, r.err
	}
	return x, nil
}

func (f *fields) ref(name string, required bool) string {
	id := f.str(name, required)
	if id != "" && CheckID(id) != nil {
		f.wrong(name, BadValue, "property %s: %q is not a STIX identifier", name, clip(id))
	}
	return id
}
