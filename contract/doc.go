// Package contract is the door between the two houses: it declares the only
// types that pass between the hub, which decides what is bad, and a provider,
// which sees people's traffic.
//
// # The privacy promise
//
// From hub to provider pass released indicators ([Entry]), a signed statement
// of exactly which of them are in force ([Checkpoint]) and the rules that
// feedback has to obey ([Rules]).
//
// From provider to hub pass requests for a certificate ([Enrolment]), receipts
// ([Ack]) and, only for customers who agreed, anonymous counts ([Window]).
//
// No type here can hold a client address, a query name, a mail address, a
// message, a flow, the name of a customer, or any free text from traffic.
// [Feedback] has no exported field, no string, no slice, no map and no address:
// it is an indicator's identifier, a day, and a handful of enumerations and
// bucketed counts. An [Ack] names indicators by identifier and says why one
// was refused by a code, never in words. test/arch holds the package to this by
// reflection, and fails the build when a field is added that could break it.
//
// The package depends on the standard library alone, does no I/O, and is the
// same code in both houses, so that a list means the same thing on both sides.
package contract
