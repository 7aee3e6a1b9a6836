// Package pattern reads and writes the STIX patterning language (STIX 2.1
// section 9, all of it: conformance level 3). [Parse] gives a typed tree,
// [Pattern.String] its one canonical spelling.
//
// It does not match anything and does not know which object types or properties
// exist: what a service can observe of a pattern is told by package observable.
//
// Patterns come from strangers. [Limits] bounds bytes, nesting and the number of
// comparisons and values; every error is an [*Error] with its position; nothing
// panics. For every accepted text, printing and parsing again gives the same
// print (FuzzParse). The package depends on the standard library alone.
package pattern
