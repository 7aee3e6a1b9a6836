// Package stix reads STIX 2.1 and 2.0 content from strangers, and writes what is
// released: bundles as a stream ([Reader], [BundleWriter]), the properties that
// all objects share ([Object]), indicators, relationships and sightings, the
// references within an object ([Object.Refs]), markings of whole objects and of
// parts ([Marking], [Granular]: TLP 1.0 and 2.0, statements, ACS 3.0, CUI, IEP
// 2.0), identifiers, timestamps, and the canonical JSON (RFC 8785) behind the
// deterministic identifiers of cyber-observable objects ([ObservableID]).
// [Upgrade] makes STIX 2.1 of 2.0.
//
// Reading is tolerant: an object that names itself rightly is taken, and
// [Object.Check] tells what else the standard demands of its type. Objects are
// kept whole, byte for byte, so that properties unknown to us survive; any part
// can be asked for ([Value]). The package does not judge content, does not look
// up what a reference names, and does not decide what a marking permits; patterns
// are read by stix/pattern.
//
// Invariants: memory depends on [Limits] and not on the length of the input; one
// bad object costs that object alone as long as its end can be found; every error
// names a place; nothing panics (FuzzReader, FuzzParseObject, FuzzUpgrade,
// FuzzMarking). JSON is read strictly, as STIX 2.1 section 2 asks by way of
// I-JSON: UTF-8 only, no name twice in one object, no lone surrogates, names
// compared with their case. What is written is in canonical form. The package
// depends on the standard library alone.
//
// An object is scanned once, into a row of positions; strings, numbers and times
// are decoded when asked for. The tests hold a slow reader next to it, which has
// to agree in values and errors.
package stix
