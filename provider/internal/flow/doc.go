// Package flow is room 3 of the provider house: NetFlow analysis. It receives
// flow exports (NetFlow v5, v9, IPFIX over UDP), compares both ends of each flow
// of a customer with the indicators in force, reports what matches, and keeps
// the customers' flows for hunts through the past. It is passive: it sends
// nothing to anybody's network, and a policy of Block means no more here than
// Watch.
//
// Not its business: what follows from a match (sighting, notice, feedback), what
// an indicator is (match), whose address it is (customer), behavior without
// indicators (a later stage, between matching and storing).
//
// Invariants:
//   - Flows of nobody, and of customers whose policy is Off, are neither matched
//     nor kept nor counted per address.
//   - One event per conversation, indicator and minute, never one per record.
//   - Receiving never waits for decoding, decoding never for storing or for the
//     event queue. What does not fit is dropped and counted where it happens.
package flow
