// Package console is the provider's web console: what its operators see of the
// three services, and the few things that they decide (a customer's policy, an
// exception, a mail in quarantine, a verdict, the feedback that may leave).
//
// It shows what it is given and hands decisions on. It holds no state, reads no
// table but the audit log, and knows the rest of the house only by the small
// interfaces of need.go, which the packages of the house satisfy.
//
// Invariants: who may do what stands in one table (permit.go) and is asked
// before anything else happens; consent is set by the customer's own contact and
// by nobody else (program design, SOD-5); a value whose marking forbids display
// never reaches this package, so it cannot be shown by mistake.
package console
