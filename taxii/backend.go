package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Backend is what a [Server] serves. Its methods are called by several
// goroutines at a time.
type Backend interface {
	// Collections lists what the client may know of, sorted by ID.
	Collections(ctx context.Context, client string) ([]Collection, error)
	// Objects gives records of a collection that the client may read, as [Select]
	// does: those of the query, in rising order of Added, at most q.Limit. It may
	// give fewer, if More says so; a page without records is the end.
	//
	// Added is in whole microseconds, differs between any two records of a
	// collection, and rises in the order in which they become visible: when a
	// record can be read, none with an earlier Added may appear later. Without
	// that, clients that page by date lose objects.
	//
	// [ErrNotFound] says that the client may not know of the collection; any other
	// error becomes 503, without its text.
	Objects(ctx context.Context, client, collection string, q Query) (Page, error)
}

// Inbox is what a [Backend] also is when clients may add objects to some of its
// collections, those with CanWrite.
type Inbox interface {
	// Add takes the objects of one POST. When it returns without error they are on
	// stable storage: the client is told that they were accepted and may forget
	// them. An exact duplicate of what is there already is no failure.
	//
	// The status is the client's own: [Inbox.Status] gives it for 24 hours at least.
	// An [*Error] is answered as it is; [ErrNotFound] and others as in [Backend].
	Add(ctx context.Context, client, collection string, p Posted) (Status, error)
	// Status gives what became of an earlier Add of the same client, with
	// [ErrNotFound] when there was none or it is long ago.
	Status(ctx context.Context, client, id string) (Status, error)
}

// Posted is the envelope of one POST.
type Posted struct {
	// Body is the whole envelope as it came, checked to be one JSON object whose
	// "objects" is a list of objects.
	Body []byte
	// Objects are those of the list, in order.
	Objects []PostedObject
}

// PostedObject is one object of a POST.
type PostedObject struct {
	ID      string    // as the object says; "" when it does not
	Version time.Time // modified, or created; zero when it has neither
	Raw     []byte    // its text within Posted.Body
}

// ErrNotFound is for backends, see [Backend].
var ErrNotFound = errors.New("taxii: not found")

// Query says which records are asked for. Fields are joined by AND, the values
// of one field by OR; an empty field asks for everything.
type Query struct {
	After        time.Time // Added is strictly after; zero for the beginning
	Limit        int       // always above zero
	IDs          []string
	Types        []string
	SpecVersions []string // "2.1"; empty asks for the newest of each object
	Version      Versions
	Bodies       bool // whether Record.Body is needed
}

// Versions says which versions of each object are asked for, joined by OR. The
// zero value asks for the last one.
type Versions struct {
	All   bool
	First bool
	Last  bool
	At    []time.Time // exactly these
}

// Record is one version of an object in a collection.
type Record struct {
	ID          string
	Version     time.Time // modified, or created, or what the backend keeps
	SpecVersion string    // "2.1" if empty
	Added       time.Time // date_added, see [Backend]
	Body        json.RawMessage
}

// Page is what a [Backend] found.
type Page struct {
	Records []Record
	More    bool // there are more after the last one
}

// Select answers a query from all records of a collection, which are in rising
// order of Added. Backends on a database have to agree with it.
//
// First and last version are those by Version among all records of the object,
// whatever else the query asks for.
func Select(all []Record, q Query) Page {
	first, last := map[string]time.Time{}, map[string]time.Time{}
	for _, r := range all {
		if v, ok := first[r.ID]; !ok || r.Version.Before(v) {
			first[r.ID] = r.Version
		}
		if v, ok := last[r.ID]; !ok || r.Version.After(v) {
			last[r.ID] = r.Version
		}
	}
	v := q.Version
	if !v.All && !v.First && len(v.At) == 0 {
		v.Last = true
	}
	var out Page
	for _, r := range all {
		spec := r.SpecVersion
		if spec == "" {
			spec = "2.1"
		}
		typ, _, _ := strings.Cut(r.ID, "--")
		wanted := r.Added.After(q.After) &&
			(len(q.IDs) == 0 || slices.Contains(q.IDs, r.ID)) &&
			(len(q.Types) == 0 || slices.Contains(q.Types, typ)) &&
			(len(q.SpecVersions) == 0 || slices.Contains(q.SpecVersions, spec)) &&
			(v.All || v.First && r.Version.Equal(first[r.ID]) || v.Last && r.Version.Equal(last[r.ID]) ||
				slices.ContainsFunc(v.At, r.Version.Equal))
		if !wanted {
			continue
		}
		if len(out.Records) == q.Limit {
			out.More = true
			break
		}
		if !q.Bodies {
			r.Body = nil
		}
		out.Records = append(out.Records, r)
	}
	return out
}
