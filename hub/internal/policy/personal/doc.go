// Package personal finds personal data in what sources deliver: mail addresses,
// names of persons, telephone numbers, numbers that states and banks give to
// persons, directories of users, what a URL tells about who clicked it, hardware
// addresses and positions. It says where each piece is and why it was taken for
// one, and replaces pieces so that the rest stays useful.
//
// It is a set of rules over the written form, closed and listed in
// docs/formats/checks.md. It is NOT for deciding whether personal data may stay
// (people do), and it is no proof of absence: a name without any of the cues is
// not found. It keeps nothing and knows no item.
//
// Invariants:
//   - Time is linear in the text: each rule looks at a bounded window from where
//     it begins, and none backtracks.
//   - An [Element] names a place and a rule, never the data itself, so that it can
//     be stored and logged.
//   - What [Redact] puts in the place of an element is no element.
package personal
