// Package intake takes in what sources deliver: records of any hub/internal/format,
// from the command line, by HTTP or from a watched folder. It reads item by
// item, brings each to its canonical form, merges duplicates, runs the privacy
// gate and the technical checks of hub/internal/policy, and leaves each item
// where people have to act: PRIVACY_GATE, TECH_VALIDATION or PENDING_FIRST. The
// formats are documented in docs/formats/intake.md.
//
// It is NOT for deciding about items, and not for judging who may deliver for
// which source: the caller has signed the submitter in.
//
// Invariants:
//   - Memory does not grow with the delivery: one item and a few portions of
//     items are held, each bounded.
//   - A bad item is refused with place, code and reason, and the others go on. A
//     delivery is refused as a whole only when nothing in it can be placed:
//     unknown source, lapsed authority, no readable header.
//   - Items are committed in portions together with the position reached, so
//     that a hub killed at any point goes on from there and nothing is lost or
//     doubled. The same bytes from the same source change nothing the second
//     time.
package intake
