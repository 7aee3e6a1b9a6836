package stix

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// NewRelationship begins a relationship (section 5.1) in its first version;
// an empty id is made up.
func NewRelationship(id string, created time.Time, kind, source, target string) *Draft {
	d := NewDraft("relationship", id, created, time.Time{})
	for _, ref := range []string{source, target} {
		err := CheckID(ref)
		if err != nil {
			d.fail(err)
		}
	}
	return d.Str("relationship_type", kind).Str("source_ref", source).Str("target_ref", target)
}

// NewIdentity begins an identity (section 4.5) in its first version; an empty id
// is made up. The class is a word such as "organization", or empty.
func NewIdentity(id string, created time.Time, name, class string) *Draft {
	d := NewDraft("identity", id, created, time.Time{})
	if name == "" {
		d.fail(errors.New("an identity needs a name"))
	}
	return d.Str("name", name).Str("identity_class", class)
}

// NewGrouping begins a grouping (section 4.4) in its first version; an empty id
// is made up. The context is a word such as "suspicious-activity".
func NewGrouping(id string, created time.Time, context string, refs []string) *Draft {
	d := NewDraft("grouping", id, created, time.Time{})
	if context == "" || len(refs) == 0 {
		d.fail(errors.New("a grouping needs a context and something in it"))
	}
	for _, ref := range refs {
		err := CheckID(ref)
		if err != nil {
			d.fail(err)
		}
	}
	return d.Str("context", context).List("object_refs", refs)
}

// BundleWriter writes a bundle (section 8) object by object. Objects go out byte
// for byte as they are given, after a look that they are strict JSON objects, so
// that none can spoil the bundle. Nothing but the object at hand is in memory;
// buffering is the caller's. It is for one goroutine.
type BundleWriter struct {
	w     io.Writer
	id    string
	count int64
	scan  scanner
	err   error // of the writer, for ever
}

// NewBundleWriter gives a writer of one bundle; an empty id is made up.
func NewBundleWriter(w io.Writer, id string) *BundleWriter {
	if id == "" {
		id = NewID("bundle")
	}
	b := &BundleWriter{w: w, id: id}
	if CheckID(id) != nil || TypeOf(id) != "bundle" {
		b.err = fmt.Errorf("stix: %q is not the identifier of a bundle", clip(id))
	}
	return b
}

// Count tells how many objects were added.
func (b *BundleWriter) Count() int64 { return b.count }

// Add writes an object. One that is refused, with an error that is no
// [*WriteError], leaves the bundle as it was: go on with the next.
func (b *BundleWriter) Add(object []byte) error {
	if b.err != nil {
		return b.err
	}
	err := b.scan.whole(object, maxDepth)
	if err != nil {
		return fmt.Errorf("stix: bundle: object %d: %w", b.count, err)
	}
	t := tape{text: string(object), nodes: b.scan.nodes}
	v := Value{t: &t}
	typ, id := v.Get("type").Str(), v.Get("id").Str()
	if CheckID(id) != nil || TypeOf(id) != typ || typ == "bundle" {
		return fmt.Errorf("stix: bundle: object %d (%q of type %q) is no STIX object", b.count, clip(id), clip(typ))
	}
	before := ",\n"
	if b.count == 0 {
		before = `{"type":"bundle","id":"` + b.id + `","objects":[` + "\n"
	}
	b.write([]byte(before))
	b.write(object)
	b.count++
	return b.err
}

// Close writes the end. A bundle without objects has no list of them. It does
// not close the writer beneath.
func (b *BundleWriter) Close() error {
	end := "\n]}\n"
	if b.count == 0 {
		end = `{"type":"bundle","id":"` + b.id + `"}` + "\n"
	}
	b.write([]byte(end))
	err := b.err
	if err == nil {
		b.err = errors.New("stix: bundle: it is closed")
	}
	return err
}

func (b *BundleWriter) write(p []byte) {
	if b.err != nil {
		return
	}
	_, err := b.w.Write(p)
	if err != nil {
		b.err = &WriteError{Err: err}
	}
}

// WriteError says that the writer beneath failed; the bundle is broken.
type WriteError struct{ Err error }

// Error implements error.
func (e *WriteError) Error() string { return "stix: bundle: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *WriteError) Unwrap() error { return e.Err }
