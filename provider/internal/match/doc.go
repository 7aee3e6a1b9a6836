// Package match answers, for each thing that a service sees, whether an
// indicator in force names it. A [Set] is immutable: it is built aside and put
// in place with one atomic store ([Holder]); readers never lock and never
// allocate. A change of a few entries is an overlay on the old set, folded in
// when it has grown.
//
// Names and texts are kept as keyed digests only, with a key made at start: who
// reads the process's memory finds no list of names. Addresses, prefixes and
// ports are too few to hide that way and are kept plain.
//
// The package does not know customers or policies: it says "this indicator",
// the rooms say what follows.
package match
