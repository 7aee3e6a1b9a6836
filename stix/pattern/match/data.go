package match

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ecs/stix"
)

// MaxData bounds the bytes that [Read] takes, since all of it is held.
const MaxData = 64 << 20

// Data is what a pattern is matched with.
type Data struct {
	Observations []*Observation // by the time of their beginning, then by identifier
}

// Observation is one observed-data object (STIX 2.1 section 4.14).
type Observation struct {
	ID          string
	First, Last time.Time
	Number      int64 // number_observed, at least 1

	objects []*object          // what was observed, in order
	scope   map[string]*object // what its references are resolved in
}

// object is a cyber-observable.
type object struct {
	id, typ string
	members map[string]any
}

// DataError says what is wrong with the data.
type DataError struct {
	ID  string // of the object, "" for the whole
	Msg string // for people
}

// Error implements error.
func (e *DataError) Error() string {
	if e.ID == "" {
		return "STIX data: " + e.Msg
	}
	return fmt.Sprintf("STIX data: %s: %s", e.ID, e.Msg)
}

// domain are types that are no cyber-observables, whatever refers to them.
var domain = strings.Fields(`attack-pattern bundle campaign course-of-action extension-definition grouping identity
	incident indicator infrastructure intrusion-set language-content location malware malware-analysis
	marking-definition note observed-data opinion relationship report sighting threat-actor tool vulnerability`)

// Read takes observed data as a bundle, a TAXII envelope, a list of objects or of
// bundles, or one observed-data object. Both forms are read: object_refs to
// objects that stand beside it (STIX 2.1) and a dictionary inside (STIX 2.0). Of
// several versions of an observed-data object the latest counts, and none if that
// one is revoked; of a cyber-observable that is there twice, the first. Only what
// an observed-data object refers to is observed; its references lead to anything
// in the data. The error is a [*DataError] or that of r.
func Read(r io.Reader) (*Data, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxData+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxData {
		return nil, &DataError{"", fmt.Sprintf("more than %d bytes", MaxData)}
	}
	if !utf8.Valid(text) {
		return nil, &DataError{"", "not valid UTF-8"}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var root any
	err = d.Decode(&root)
	if err != nil {
		return nil, &DataError{"", "not JSON: " + err.Error()}
	}
	_, err = d.Token()
	if !errors.Is(err, io.EOF) {
		return nil, &DataError{"", "something follows the end of the JSON"}
	}
	l := loader{scope: map[string]*object{}, versions: map[string]map[string]any{}}
	err = l.take(root)
	if err != nil {
		return nil, err
	}
	return l.data()
}

type loader struct {
	scope    map[string]*object
	versions map[string]map[string]any // observed-data, the latest version of each
	order    []string
}

func (l *loader) take(v any) error {
	list, ok := v.([]any)
	if !ok {
		m, isObject := v.(map[string]any)
		if !isObject {
			return &DataError{"", "want a bundle, a list or an object"}
		}
		list, ok = m["objects"].([]any)
		typ, _ := m["type"].(string)
		switch {
		case ok:
		case typ == "" || typ == "bundle":
			return nil // an empty bundle or envelope
		default:
			return l.one(m, typ)
		}
	}
	for _, item := range list {
		err := l.take(item)
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) one(m map[string]any, typ string) error {
	id, _ := m["id"].(string)
	if id == "" && typ == "observed-data" {
		id = fmt.Sprintf("observed-data number %d", len(l.order)+1)
	}
	if id == "" {
		return &DataError{"", "an object of type " + typ + " has no id"}
	}
	if typ != "observed-data" {
		if l.scope[id] == nil {
			l.scope[id] = &object{id, typ, m}
		}
		return nil
	}
	old, known := l.versions[id]
	if !known {
		l.order = append(l.order, id)
	}
	if !known || modified(m).After(modified(old)) {
		l.versions[id] = m
	}
	return nil
}

// modified is the zero time for an object that does not say it.
func modified(m map[string]any) time.Time {
	s, _ := m["modified"].(string)
	t, err := stix.ParseTime(s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (l *loader) data() (*Data, error) {
	out := &Data{}
	for _, id := range l.order {
		m := l.versions[id]
		if m["revoked"] == true {
			continue
		}
		o, err := l.observation(id, m)
		if err != nil {
			return nil, err
		}
		out.Observations = append(out.Observations, o)
	}
	slices.SortStableFunc(out.Observations, func(a, b *Observation) int {
		if c := a.First.Compare(b.First); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

func (l *loader) observation(id string, m map[string]any) (*Observation, error) {
	o := &Observation{ID: id, scope: l.scope}
	var err error
	for name, at := range map[string]*time.Time{"first_observed": &o.First, "last_observed": &o.Last} {
		s, _ := m[name].(string)
		*at, err = stix.ParseTime(s)
		if err != nil {
			return nil, &DataError{id, name + " is missing or no timestamp"}
		}
	}
	if o.Last.Before(o.First) {
		return nil, &DataError{id, "last_observed is before first_observed"}
	}
	n, _ := number(m["number_observed"])
	o.Number, _ = n.(int64)
	if o.Number < 1 {
		return nil, &DataError{id, "number_observed is not an integer above zero"}
	}
	inside, _ := m["objects"].(map[string]any)
	if len(inside) > 0 {
		o.embedded(inside)
	}
	refs, _ := m["object_refs"].([]any)
	for _, ref := range refs {
		s, _ := ref.(string)
		target := l.scope[s]
		if target != nil && !slices.Contains(domain, target.typ) {
			o.objects = append(o.objects, target)
		}
	}
	return o, nil
}

// embedded takes the dictionary of STIX 2.0, whose keys are what references name.
func (o *Observation) embedded(inside map[string]any) {
	o.scope = map[string]*object{}
	for key, v := range inside {
		m, _ := v.(map[string]any)
		typ, _ := m["type"].(string)
		if typ == "" {
			continue
		}
		x := &object{key, typ, m}
		o.scope[key] = x
		o.objects = append(o.objects, x)
	}
	slices.SortFunc(o.objects, func(a, b *object) int { return strings.Compare(a.id, b.id) })
}
