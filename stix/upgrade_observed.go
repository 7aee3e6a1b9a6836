package stix

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// renamed are the properties of observables that have another name in STIX 2.1.
var renamed = map[string]map[string]string{
	"directory":            {"created": "ctime", "modified": "mtime", "accessed": "atime"},
	"file":                 {"created": "ctime", "modified": "mtime", "accessed": "atime"},
	"process":              {"created": "created_time", "binary_ref": "image_ref"},
	"user-account":         {"password_last_changed": "credential_last_changed"},
	"windows-registry-key": {"modified": "modified_time"},
}

// oldHashes are the names of hashes that are spelled otherwise in STIX 2.1.
var oldHashes = map[string]string{"ssdeep": "SSDEEP"}

// observed makes observables of the objects within observed-data.
func (u *upgrader) observed() error {
	objects := u.o.Get("objects")
	if u.o.Type != "observed-data" || objects.Kind() != Members {
		u.keep("objects", Value.Canonical)
		u.keep("object_refs", Value.Canonical)
		return nil
	}
	e := &embedded{u: u, values: map[string]Value{}, ids: map[string]string{}, open: map[string]bool{}}
	for key, v := range objects.Members() {
		e.values[key] = v
	}
	refs, _ := u.o.Get("object_refs").Strings()
	seen := map[string]bool{} // identifiers and whole texts
	for _, r := range refs {
		seen[r] = true
	}
	for key := range objects.Members() {
		o, err := e.object(key)
		if err != nil {
			return err
		}
		text := string(o.Raw)
		switch {
		case seen[text]:
			continue
		case seen[o.ID]:
			u.note("two objects are one by their identifier %s and differ otherwise; both are given", o.ID)
		default:
			refs = append(refs, o.ID)
		}
		seen[o.ID], seen[text] = true, true
		u.out.Observables = append(u.out.Observables, o)
	}
	u.d.List("object_refs", refs)
	return nil
}

// embedded are the objects of one observed-data by their keys.
type embedded struct {
	u      *upgrader
	values map[string]Value
	ids    map[string]string
	open   map[string]bool // being made: what refers to one of them goes round in a circle
}

var errCircle = errors.New("objects refer to each other in a circle by properties that their identifiers are made of")

// object makes one observable.
func (e *embedded) object(key string) (*Object, error) {
	v := e.values[key]
	id, err := e.id(key)
	if err != nil {
		return nil, err
	}
	typ := v.Get("type").Str()
	d := &Draft{}
	d.Str("spec_version", "2.1").Str("id", id).List("object_marking_refs", e.u.wholeMarkings())
	err = e.members(d, v, typ, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	text, err := d.Append(nil)
	if err != nil {
		return nil, err
	}
	o, err := ParseObject(text)
	if err != nil {
		return nil, fmt.Errorf("object %q: %w", clip(key), err)
	}
	return o, nil
}

// id computes the identifier of the object under a key: from its contributing
// properties, or, where there are none, from the observed-data and the key. Such
// an identifier has to be of version 4, which says nothing of its making.
func (e *embedded) id(key string) (string, error) {
	if id, ok := e.ids[key]; ok {
		return id, nil
	}
	v := e.values[key]
	typ := v.Get("type").Str()
	switch {
	case v.Kind() != Members || !validType(typ):
		return "", wrong("objects", BadValue, "object %q has no type", clip(key))
	case e.open[key]:
		return "", errCircle
	}
	e.open[key] = true
	defer delete(e.open, key)
	d := &Draft{}
	err := e.members(d, v, typ, func(name string) bool { return name == "type" || slices.Contains(contributing[typ], name) })
	if err != nil {
		return "", err
	}
	part, err := d.Append(nil)
	if err != nil {
		return "", err
	}
	id, err := ObservableID(part)
	if err != nil && IsObservable(typ) && !errors.Is(err, ErrNoProperties) {
		return "", err
	}
	if err != nil {
		o := e.u.o
		sum := sha256.Sum256([]byte(o.ID + "\x00" + FormatTime(o.Modified) + "\x00" + key))
		id = typ + "--" + uuid([16]byte(sum[:16]), 4)
	}
	e.ids[key] = id
	return id, nil
}

// members writes those properties of an embedded object that are wanted, by
// their names of today.
func (e *embedded) members(d *Draft, v Value, typ string, want func(string) bool) error {
	for name, x := range v.Members() {
		if now, ok := renamed[typ][name]; ok && !v.Get(now).Ok() {
			name = now
		}
		if !want(name) || name == "id" || name == "spec_version" || name == "object_marking_refs" {
			continue
		}
		b, err := e.value(nil, name, x)
		if err != nil {
			return err
		}
		d.set(name, b)
	}
	return nil
}

// value writes a value in canonical form, with identifiers instead of keys, and
// hashes by their names of today.
func (e *embedded) value(b []byte, name string, v Value) ([]byte, error) {
	var err error
	switch {
	case v.Kind() == String && strings.HasSuffix(name, "_ref"), v.Kind() == String && name == "_refs[]":
		return e.ref(b, v)
	case v.Kind() == Items:
		within := ""
		if strings.HasSuffix(name, "_refs") {
			within = "_refs[]"
		}
		b = append(b, '[')
		for i, x := range v.Items() {
			if i > 0 {
				b = append(b, ',')
			}
			b, err = e.value(b, within, x)
			if err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case v.Kind() == Members:
		d := &Draft{}
		for n, x := range v.Members() {
			if now, ok := oldHashes[n]; ok && strings.HasSuffix(name, "hashes") && !v.Get(now).Ok() {
				n = now
			}
			part, err := e.value(nil, n, x)
			if err != nil {
				return nil, err
			}
			d.set(n, part)
		}
		return d.Append(b)
	default:
		return v.t.appendCanonical(b, v.i), nil
	}
}

// ref writes the identifier of what a key names. What is no key stays as it is.
func (e *embedded) ref(b []byte, v Value) ([]byte, error) {
	key := v.Str()
	if _, ok := e.values[key]; !ok {
		if CheckID(key) != nil {
			e.u.note("a reference to %q, which is not there, stays as it is", clip(key))
		}
		return appendString(b, key), nil
	}
	id, err := e.id(key)
	if err != nil {
		return nil, err
	}
	return appendString(b, id), nil
}
