package stix

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxFaults is how many faults of one object are told.
const maxFaults = 100

// Check holds an object against what STIX 2.1 says with a MUST of its type:
// required properties, their kinds, and the rules between them. It is strict
// where [ParseObject] is tolerant; of types that the standard does not define it
// checks the common properties. It gives nothing for an object that is as it
// should be, and at most 100 faults. Patterns, languages and the content of
// extensions are not checked. STIX 2.0 is at fault: see [Upgrade].
func (o *Object) Check() []*PropertyError {
	c := &checker{o: o}
	if o.SpecVersion != "2.1" {
		c.fault("spec_version", BadValue, "spec_version is %q; upgrade it first", clip(o.SpecVersion))
		return c.faults
	}
	props, known := specs[o.Type]
	if !known {
		props = otherSpec
	}
	for _, p := range props {
		c.property(p, o.Get(p.name))
	}
	for name := range o.Value().Members() {
		if !validName(name) {
			c.fault(name, BadValue, "property name %q: want 3 to 250 of a-z, 0-9 and underscore, beginning with a letter", clip(name))
		}
	}
	for name, v := range o.Get("extensions").Members() {
		c.extension(name, v)
	}
	_, err := o.GranularMarkings()
	if err != nil {
		c.fault("granular_markings", BadValue, "%w", err)
	}
	rule, ok := typeRules[o.Type]
	if ok {
		rule(c)
	}
	return c.faults
}

type checker struct {
	o      *Object
	faults []*PropertyError
}

func (c *checker) fault(name string, f Fault, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, wrong(name, f, format, args...))
	}
}

func (c *checker) has(name string) bool { return c.o.Get(name).Ok() }

// validName is STIX 2.1 section 3.1 on names of properties.
func validName(name string) bool {
	if name == "id" {
		return true
	}
	if len(name) < 3 || len(name) > 250 || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// property holds one value against the table.
func (c *checker) property(p property, v Value) {
	if !v.Ok() {
		if p.required {
			c.fault(p.name, Missing, "property %s is missing", p.name)
		}
		return
	}
	switch p.kind {
	case "any":
	case "string":
		c.str(p, v)
	case "word":
		if s := c.str(p, v); strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			c.fault(p.name, BadValue, "property %s: %q has other than a-z, 0-9 and hyphen", p.name, clip(s))
		}
	case "one":
		if s := c.str(p, v); s != "" && !slices.Contains(p.words, s) {
			c.fault(p.name, BadValue, "property %s: %q is not one of %s", p.name, clip(s), strings.Join(p.words, ", "))
		}
	case "hex":
		_, err := hex.DecodeString(c.str(p, v))
		if err != nil {
			c.fault(p.name, BadValue, "property %s is not hexadecimal", p.name)
		}
	case "binary":
		_, err := base64.StdEncoding.DecodeString(c.str(p, v))
		if err != nil {
			c.fault(p.name, BadValue, "property %s is not base64", p.name)
		}
	case "time", "stamp":
		c.time(p, v)
	case "flag":
		if v.Kind() != Bool {
			c.fault(p.name, WrongType, "property %s is neither true nor false", p.name)
		}
	case "int", "number":
		c.number(p, v)
	case "ref":
		c.ref(p, c.str(p, v))
	case "strings", "refs":
		c.list(p, v)
	default:
		c.part(p, v)
	}
}

func (c *checker) str(p property, v Value) string {
	s := v.Str()
	switch {
	case v.Kind() != String:
		c.fault(p.name, WrongType, "property %s is not a string", p.name)
	case s == "" && p.required:
		c.fault(p.name, Missing, "property %s is empty", p.name)
	}
	return s
}

func (c *checker) time(p property, v Value) {
	s := c.str(p, v)
	_, err := ParseTime(s)
	switch {
	case v.Kind() != String:
	case err != nil:
		c.fault(p.name, BadValue, "property %s: %w", p.name, err)
	case p.kind == "stamp" && len(s) < len("2006-01-02T15:04:05.000Z") && c.o.Type != "marking-definition":
		c.fault(p.name, BadValue, "property %s: %q has fewer than three digits after the second", p.name, s)
	}
}

func (c *checker) number(p property, v Value) {
	f, ok := v.Float()
	_, whole := v.Int()
	switch {
	case !ok:
		c.fault(p.name, WrongType, "property %s is not a number", p.name)
	case p.kind == "int" && !whole:
		c.fault(p.name, BadValue, "property %s is not a whole number", p.name)
	case f < p.low || f > p.high:
		c.fault(p.name, BadValue, "property %s is not from %.0f to %.0f", p.name, p.low, p.high)
	}
}

func (c *checker) ref(p property, id string) {
	switch {
	case id == "":
	case CheckID(id) != nil:
		c.fault(p.name, BadValue, "property %s: %q is not a STIX identifier", p.name, clip(id))
	case len(p.words) > 0 && !slices.Contains(p.words, TypeOf(id)):
		c.fault(p.name, BadValue, "property %s: %q is not of type %s", p.name, clip(id), strings.Join(p.words, " or "))
	}
}

func (c *checker) list(p property, v Value) {
	if v.Kind() != Items || v.Len() == 0 {
		c.fault(p.name, WrongType, "property %s is not a list with something in it", p.name)
		return
	}
	for _, x := range v.Items() {
		switch {
		case x.Kind() != String:
			c.fault(p.name, WrongType, "property %s holds something else than strings", p.name)
			return
		case p.kind == "refs":
			c.ref(p, x.Str())
		}
	}
}

// part checks embedded objects.
func (c *checker) part(p property, v Value) {
	want := Members
	if p.kind == "phases" || p.kind == "externals" {
		want = Items
	}
	if v.Kind() != want || v.Len() == 0 && p.kind != "dict" {
		c.fault(p.name, WrongType, "property %s is not what it should be, or empty", p.name)
		return
	}
	switch p.kind {
	case "phases":
		_, err := killChain(v)
		if err != nil {
			c.fault(p.name, BadValue, "%w", err)
		}
	case "externals":
		for _, x := range v.Items() {
			c.external(p, x)
		}
	case "hashes":
		for name, x := range v.Members() {
			c.hash(p, name, x)
		}
	}
}

// external is section 2.5: a source, and something to find it by.
func (c *checker) external(p property, v Value) {
	r := fields{v: v}
	r.str("source_name", true)
	if r.str("description", false) == "" && r.str("url", false) == "" && r.str("external_id", false) == "" {
		r.wrong(p.name, Missing, "it has none of description, url and external_id")
	}
	if h := v.Get("hashes"); h.Ok() && h.Kind() != Members {
		r.wrong("hashes", WrongType, "property hashes is not an object")
	}
	if r.err != nil {
		c.fault(p.name, BadValue, "external_references: %w", r.err)
	}
}

// hashDigits are the lengths of hashes in hexadecimal digits (section 10.7).
var hashDigits = map[string]int{"MD5": 32, "SHA-1": 40, "SHA-256": 64, "SHA-512": 128, "SHA3-256": 64, "SHA3-512": 128}

func (c *checker) hash(p property, name string, v Value) {
	n, known := hashDigits[name]
	_, err := hex.DecodeString(v.Str())
	switch {
	case v.Kind() != String || v.Str() == "":
		c.fault(p.name, WrongType, "hash %s is not a string, or empty", clip(name))
	case known && (err != nil || len(v.Str()) != n):
		c.fault(p.name, BadValue, "hash %s is not of %d hexadecimal digits", name, n)
	}
}

// extensionTypes are what an extension can be (section 7.3).
var extensionTypes = []string{"new-sdo", "new-sco", "new-sro", "property-extension", "toplevel-property-extension"}

// extension is section 7.3: extensions that are defined by an object say what
// they are, those that the standard itself defines need not.
func (c *checker) extension(name string, v Value) {
	switch {
	case v.Kind() != Members:
		c.fault("extensions", WrongType, "extension %s is not an object", clip(name))
	case TypeOf(name) != "extension-definition" || !strings.Contains(name, "--"):
	case CheckID(name) != nil:
		c.fault("extensions", BadValue, "extension %q is not an identifier", clip(name))
	case !slices.Contains(extensionTypes, v.Get("extension_type").Str()):
		c.fault("extensions", BadValue, "extension %s: extension_type is not one of %s", clip(name), strings.Join(extensionTypes, ", "))
	}
}

// order wants a time not to be before another, or to be after it.
func (c *checker) order(first, second string, strictly bool) {
	a, errA := c.o.Get(first).Time()
	b, errB := c.o.Get(second).Time()
	if errA != nil || errB != nil {
		return
	}
	if b.Before(a) || strictly && b.Equal(a) {
		c.fault(second, BadValue, "property %s (%s) has to come after %s (%s)", second, b.Format(time.RFC3339), first, a.Format(time.RFC3339))
	}
}

// anyOf wants one of some properties.
func (c *checker) anyOf(names ...string) {
	if !slices.ContainsFunc(names, c.has) {
		c.fault(names[0], Missing, "one of %s is required", strings.Join(names, ", "))
	}
}

// never refuses a property next to another.
func (c *checker) never(name, because string) {
	if c.has(name) {
		c.fault(name, BadValue, "%s", fmt.Sprintf("property %s must be absent: %s", name, because))
	}
}
