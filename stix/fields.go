package stix

import (
	"fmt"
	"time"
)

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

func wrong(name string, fault Fault, format string, args ...any) *PropertyError {
	return &PropertyError{Name: name, Fault: fault, Err: fmt.Errorf(format, args...)}
}

// fields reads typed members of a JSON object and keeps the first error.
type fields struct {
	v   Value
	err error
}

func (f *fields) wrong(name string, fault Fault, format string, args ...any) {
	if f.err == nil {
		f.err = wrong(name, fault, format, args...)
	}
}

func (f *fields) merge(other fields) {
	if f.err == nil {
		f.err = other.err
	}
}

func (f *fields) str(name string, required bool) string {
	return f.strOf(f.v.Get(name), name, required)
}

func (f *fields) strOf(v Value, name string, required bool) string {
	s := v.Str()
	switch {
	case !v.Ok() && required:
		f.wrong(name, Missing, "property %s is missing", name)
	case v.Ok() && v.Kind() != String:
		f.wrong(name, WrongType, "property %s is not a string", name)
	case required && s == "":
		f.wrong(name, Missing, "property %s is empty", name)
	}
	return s
}

func (f *fields) time(name string) time.Time { return f.timeOf(f.v.Get(name), name) }

func (f *fields) timeOf(v Value, name string) time.Time {
	if !v.Ok() {
		return time.Time{}
	}
	t, err := ParseTime(f.strOf(v, name, true))
	if err != nil {
		f.wrong(name, BadValue, "property %s: %w", name, err)
	}
	return t
}

func (f *fields) flagOf(v Value, name string) bool {
	b, isBool := v.Flag()
	if v.Ok() && !isBool {
		f.wrong(name, WrongType, "property %s is neither true nor false", name)
	}
	return b
}

func (f *fields) integerOf(v Value, name string, low, high int64) int {
	i, ok := v.Int()
	if !ok || i < low || i > high {
		f.wrong(name, BadValue, "property %s is not an integer from %d to %d", name, low, high)
		return 0
	}
	return int(i)
}

func (f *fields) list(name string) []string { return f.listOf(f.v.Get(name), name) }

func (f *fields) listOf(v Value, name string) []string {
	if !v.Ok() {
		return nil
	}
	n := v.Len()
	if v.Kind() != Items || n == 0 {
		f.wrong(name, WrongType, "property %s is not a list with something in it", name)
		return nil
	}
	out := make([]string, 0, n)
	for _, x := range v.Items() {
		if x.Kind() != String {
			f.wrong(name, WrongType, "property %s holds something else than strings", name)
		}
		out = append(out, x.Str())
	}
	return out
}
