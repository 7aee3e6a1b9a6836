// Package console is the hub's web console: what waits for whom, one indicator's
// whole story, the approvals, deliveries and what was refused of them, providers
// with their ledgers, feedback and the audit log.
//
// It shows and hands on. Who may see what is asked of hub/internal/access; whether
// an act is permitted is decided by hub/internal/release and hub/internal/program
// when it is done. A button that is not shown is a courtesy, never a check.
//
// Invariants: every page works without script; a page never holds the value of an
// indicator that its reader may not see, also not in a form; reading a value whose
// marking forbids display is written to the audit log.
package console
