// Package indicator holds one indicator on its way through the hub: the typed
// row, the state machine of its life, and who found and decided what about it.
//
// It is for every package of the hub that reads an item or moves it on: intake,
// the release desk, the console, reports. It is NOT for judging values (that is
// hub/internal/policy), for receiving them (intake), or for handing them out
// (release).
//
// Invariants:
//   - State changes only through [Move], and back through [TakeBack]. Move checks
//     the table of transitions, the guard of the new state and the version that the
//     caller has read, and writes one audit entry in the same transaction. The one exception is
//     intake, which writes a new row at the state where its automatic checks
//     stopped and audits each committed portion.
//   - Guards are pure functions of the item and the evidence about it.
//   - A living item owns its pattern: no two of them have the same. An ended one
//     gives it up, so that the pattern may come back as a new item. An item that
//     was made of another one (see [Derive]) stands beside it without owning.
package indicator
