// Package decision answers one question, for everybody: may this provider do this
// with this object, for this service, now, and if not, why not? The release desk,
// the providers' logs and collections, exports, pages and counts all ask [Decide].
//
// It is NOT for what people at the hub may see (hub/internal/access), nor for who
// may approve what (hub/internal/release). It reads its parties from the database
// with the functions of load.go; the decision itself is pure.
//
// Invariants:
//   - What nothing permits is denied: the zero [Object] and the zero [Provider] get
//     nothing.
//   - A denial has at least one reason, and all that hold are given.
//   - A stricter handling, a lower clearance, fewer services, never allow more.
//   - Nothing else in the hub compares a handling or a ceiling with a provider
//     (test/arch).
package decision
