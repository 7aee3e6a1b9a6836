// Package casework is what colleagues say to each other about an indicator, an
// object, a delivery or a source, and who shall do what about it until when: comments
// and tasks.
//
// It is NOT part of any decision: no comment approves, and no task moves an item.
//
// Invariants:
//   - Whoever may not know of the subject learns of no comment and no task on it, not
//     even when the task is theirs.
//   - Every text passes the privacy screen; one with personal data is refused with
//     what was found. Nothing is ever changed or removed but by the purge of its subject.
//   - Each act is in the audit log, without its text.
package casework
