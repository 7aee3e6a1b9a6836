package stix

import (
	"encoding/json"
	"iter"
	"math"
	"slices"
	"strings"
	"time"
)

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds of JSON values.
const (
	Absent Kind = iota // there is no value
	Null
	Bool
	Number
	String
	Items   // an array
	Members // an object
)

// Value is one value of a JSON text, or of a part of an object. Reading it does
// not change it; it may be shared. The zero Value is absent, and so is all that
// is asked of it.
type Value struct {
	t *tape
	i uint32
}

// tape is a scanned text. Strings that were handed out share the text of small
// objects; those of large ones are copies, so that an identifier that somebody
// keeps does not keep a megabyte.
type tape struct {
	text  string
	nodes []node
}

// smallText is the length up to which strings share the text.
const smallText = 4 << 10

// ParseValue reads one strict JSON value, nested no deeper than 64. Errors are
// [ErrUTF8], [ErrTooBig] (2 GiB) and [*SyntaxError].
func ParseValue(text []byte) (Value, error) {
	var s scanner
	err := s.whole(text, maxDepth)
	if err != nil {
		return Value{}, err
	}
	return Value{t: &tape{text: string(text), nodes: s.nodes}}, nil
}

// at gives another value of the same text; no node but the first stands at 0.
func (v Value) at(i uint32) Value {
	if i == 0 {
		return Value{}
	}
	return Value{v.t, i}
}

func (v Value) node() *node { return &v.t.nodes[v.i] }

// Ok tells whether there is a value.
func (v Value) Ok() bool { return v.t != nil }

// Kind gives the kind.
func (v Value) Kind() Kind {
	if v.t == nil {
		return Absent
	}
	return v.node().kind
}

// Str gives the text of a string, "" for all else.
func (v Value) Str() string {
	if v.Kind() != String {
		return ""
	}
	return v.t.str(v.i)
}

func (t *tape) str(i uint32) string {
	n := t.nodes[i]
	switch s := t.text[n.off:n.end]; {
	case n.escaped:
		return unescape(s)
	case len(t.text) > smallText:
		return strings.Clone(s)
	default:
		return s
	}
}

// Flag gives true or false; ok says that the value is one of them.
func (v Value) Flag() (value, ok bool) {
	if v.Kind() != Bool {
		return false, false
	}
	return v.t.text[v.node().off] == 't', true
}

// Float gives a number.
func (v Value) Float() (f float64, ok bool) {
	if v.Kind() != Number {
		return 0, false
	}
	n := v.node()
	f, err := float(v.t.text[n.off:n.end])
	return f, err == nil
}

// Int gives a number that is whole and that a double holds exactly.
func (v Value) Int() (int64, bool) {
	f, ok := v.Float()
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53-1 {
		return 0, false
	}
	return int64(f), true
}

// Time reads a string that is a timestamp, see [ParseTime].
func (v Value) Time() (time.Time, error) { return ParseTime(v.Str()) }

// Raw gives the bytes of the value as they came.
func (v Value) Raw() json.RawMessage {
	if v.t == nil {
		return nil
	}
	return json.RawMessage(v.raw())
}

func (v Value) raw() string {
	n := v.node()
	if n.kind == String {
		return v.t.text[n.off-1 : n.end+1]
	}
	return v.t.text[n.off:n.end]
}

// Get gives a member of an object by its exact name.
func (v Value) Get(name string) Value {
	if v.Kind() != Members {
		return Value{}
	}
	for i, end := v.i+1, v.node().next; i < end; i = v.t.nodes[i].next {
		if n := v.t.nodes[i]; n.escaped || v.t.text[n.off:n.end] == name {
			if v.t.str(i) == name {
				return Value{v.t, i + 1}
			}
		}
	}
	return Value{}
}

// Members gives names and values of an object in their order.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.Kind() != Members {
			return
		}
		for i, end := v.i+1, v.node().next; i < end; i = v.t.nodes[i].next {
			if !yield(v.t.str(i), Value{v.t, i + 1}) {
				return
			}
		}
	}
}

// Items gives positions and values of an array in their order.
func (v Value) Items() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if v.Kind() != Items {
			return
		}
		n := 0
		for i, end := v.i+1, v.node().next; i < end; i = v.t.nodes[i].next {
			if !yield(n, Value{v.t, i}) {
				return
			}
			n++
		}
	}
}

// Index gives an item of an array by its position from 0.
func (v Value) Index(i int) Value {
	for n, x := range v.Items() {
		if n == i {
			return x
		}
	}
	return Value{}
}

// Len tells how many members or items there are.
func (v Value) Len() int {
	n := 0
	switch v.Kind() {
	case Members:
		for range v.Members() {
			n++
		}
	case Items:
		for range v.Items() {
			n++
		}
	}
	return n
}

// Strings gives an array of strings; ok says that it is one, with nothing else
// in it.
func (v Value) Strings() (out []string, ok bool) {
	if v.Kind() != Items {
		return nil, false
	}
	for _, x := range v.Items() {
		if x.Kind() != String {
			return nil, false
		}
		out = append(out, x.Str())
	}
	return out, true
}

// Canonical gives the value in canonical form, see [CanonicalJSON].
func (v Value) Canonical() []byte {
	if v.t == nil {
		return nil
	}
	return v.t.appendCanonical(nil, v.i)
}

// sortedNames gives the names of an object in byte order.
func (v Value) sortedNames() []string {
	var out []string
	for n := range v.Members() {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
