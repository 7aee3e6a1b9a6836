// Package stix reads STIX 2.1 content from strangers: bundles as a stream
// ([Reader]), the properties that all objects share ([Object]), indicators,
// markings (TLP 1.0 and 2.0, ACS 3.0), identifiers, timestamps, and the
// canonical JSON (RFC 8785) behind the deterministic identifiers of
// cyber-observable objects ([ObservableID]).
//
// Objects are kept whole, byte for byte, so that properties unknown to us
// survive. The package does not judge content, does not resolve references and
// does not write objects; released indicators are written by package contract,
// patterns are read by stix/pattern.
//
// Invariants: memory depends on [Limits] and not on the length of the input; one
// bad object costs that object alone as long as its end can be found; every error
// names a place; nothing panics (FuzzReader). JSON is read strictly, as STIX 2.1
// section 2 asks by way of I-JSON: UTF-8 only, no name twice in one object, no
// lone surrogates, names compared with their case. The package depends on the
// standard library alone.
package stix
