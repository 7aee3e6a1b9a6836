package api

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/feedback"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
)

// schema is a JSON schema (draft 2020-12), as OpenAPI 3.1 has it.
type schema map[string]any

// schemas makes JSON schemas of Go types, as encoding/json writes and reads them.
// Structs with a name become components, which others refer to.
type schemas struct {
	components map[string]schema
	names      map[typed]string
	closed     bool // answers too may hold only what is said: for tests
}

// typed is a type on one side: a field that an answer always has may be left out of
// a request.
type typed struct {
	t  reflect.Type
	in bool
}

func newSchemas() *schemas {
	return &schemas{components: map[string]schema{}, names: map[typed]string{}}
}

// known are types whose JSON cannot be found by reflection: they write themselves as
// text, or take values of a closed list only.
var known = map[reflect.Type]schema{
	reflect.TypeFor[time.Time]():          {"type": "string", "format": "date-time"},
	reflect.TypeFor[json.RawMessage]():    {},
	reflect.TypeFor[contract.ID]():        {"type": "string", "pattern": "^indicator--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
	reflect.TypeFor[contract.Services]():  {"type": "string", "pattern": "^(all|none|(dns|smtp|netflow)(,(dns|smtp|netflow))*)$", "description": "Services joined by commas; in requests also all."},
	reflect.TypeFor[contract.Category]():  {"type": "string", "enum": texts(contract.Other, contract.Scanning)},
	reflect.TypeFor[contract.Action]():    {"type": "string", "enum": texts(contract.Alert, contract.Shadow)},
	reflect.TypeFor[contract.TLP]():       {"type": "string", "enum": texts(contract.Clear, contract.Red)},
	reflect.TypeFor[indicator.State]():    {"type": "string", "enum": indicator.States},
	reflect.TypeFor[indicator.Severity](): {"type": "string", "enum": []indicator.Severity{indicator.Stop, indicator.Warn}},
	reflect.TypeFor[program.State]():      {"type": "string", "enum": program.States},
	reflect.TypeFor[release.Status]():     {"type": "string", "enum": statuses},
	reflect.TypeFor[feedback.By]():        {"type": "string", "enum": []feedback.By{feedback.ByIndicator, feedback.ByCategory, feedback.ByService, feedback.BySector}},
}

// texts lists a closed list of numbers by their names.
func texts[T interface {
	~uint8
	String() string
}](first, last T) []string {
	var out []string
	for v := first; v <= last; v++ {
		out = append(out, v.String())
	}
	return out
}

// of gives the schema of a type: in for what is read, otherwise for what is written.
func (s *schemas) of(t reflect.Type, in bool) schema {
	k, ok := known[t]
	if ok {
		return copied(k)
	}
	if t.Kind() != reflect.Pointer && t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return schema{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nullable(s.of(t.Elem(), in))
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return schema{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return schema{"type": "integer"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 && t.Kind() == reflect.Slice {
			return schema{"type": "string", "contentEncoding": "base64"}
		}
		return schema{"type": "array", "items": s.of(t.Elem(), in)}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.of(t.Elem(), in)}
	case reflect.Struct:
		return s.ref(t, in)
	default: // an interface: anything
		return schema{}
	}
}

// ref makes a component of a struct, and refers to it.
func (s *schemas) ref(t reflect.Type, in bool) schema {
	key := typed{t, in}
	name, ok := s.names[key]
	if !ok {
		name = s.free(component(t, in))
		s.names[key] = name
		s.components[name] = schema{} // it may hold itself
		s.components[name] = s.object(t, in)
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

// free gives a name that no other type has.
func (s *schemas) free(name string) string {
	base := name
	for n := '2'; s.components[name] != nil; n++ {
		name = base + string(n)
	}
	return name
}

// component names a type for the document: itemJSON is Item.
func component(t reflect.Type, in bool) string {
	name := strings.TrimSuffix(t.Name(), "JSON")
	if name == "" {
		name = "Unnamed"
	}
	name = strings.ToUpper(name[:1]) + name[1:]
	if in && !strings.HasSuffix(name, "Order") {
		name += "Input"
	}
	return name
}

func (s *schemas) object(t reflect.Type, in bool) schema {
	properties, required := schema{}, []string{}
	s.fields(t, in, properties, &required)
	out := schema{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	if in || s.closed {
		out["additionalProperties"] = false
	}
	return out
}

// fields adds the fields of a struct, those of embedded ones as if they were its own.
func (s *schemas) fields(t reflect.Type, in bool, properties schema, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
			continue
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			s.fields(f.Type, in, properties, required)
			continue
		case !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		x := s.of(f.Type, in)
		loose := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if doc := f.Tag.Get("doc"); doc != "" {
			x["description"] = doc
		}
		if list := f.Tag.Get("enum"); list != "" {
			x["enum"] = strings.Split(list, ",")
		}
		properties[name] = x
		if in && f.Tag.Get("need") == "yes" || !in && !loose {
			*required = append(*required, name)
		}
	}
}

// nullable lets null stand beside what a schema permits.
func nullable(x schema) schema {
	kind, plain := x["type"].(string)
	if plain && x["enum"] == nil {
		x["type"] = []string{kind, "null"}
		return x
	}
	if len(x) == 0 {
		return x
	}
	return schema{"anyOf": []schema{x, {"type": "null"}}}
}

func copied(x schema) schema {
	out := schema{}
	for k, v := range x {
		out[k] = v
	}
	return out
}
