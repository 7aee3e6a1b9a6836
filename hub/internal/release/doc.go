// Package release is the desk at which people decide what leaves the hub, and
// the book of where it went. It holds the two approvals (and override, return,
// reject, recall), the log of each provider with its signed checkpoint, the
// delivery ledger, and the receipts that providers give.
//
// It is not the life cycle of an item (hub/internal/indicator), not the
// detection of what is wrong with one (hub/internal/policy), and speaks no
// HTTP (hub/internal/door).
//
// Invariants:
//
//   - No person acts twice on one item; people are counted, not accounts (SOD-1,
//     SOD-2). Nobody approves an override they asked for (SOD-4). Whoever is a
//     privacy officer can stop a release but never start one (SOD-6).
//   - Object, log entries, ledger rows, the item's state and the audit entry of
//     a release or recall are one transaction.
//   - A provider's log has no gap, its rows never change, and its order is the
//     order of commit. Everything in memory is only a fold of that log: it can
//     be lost at any moment, and several hubs may run on one PostgreSQL.
//   - A checkpoint states exactly the list that its page completes, judged at
//     its own Issued on both sides of the door.
//   - For every (item, provider, service) the ledger keeps the moment of each
//     step, so that [Desk.Reconcile] and [Desk.InForce] answer for any past date.
package release
