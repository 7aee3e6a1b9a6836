// Package milter is the server side of the mail filter protocol that Sendmail
// defined and Postfix speaks, versions 2 to 6. It reads what a mail server
// tells about each session and message, hands it to a [Handler] as one [Event]
// after the other, and writes the handler's answers.
//
// It is not for judging: it knows packets, stages, options and deadlines, and
// nothing of indicators. It is not a client.
//
// Invariants: a session's state (connect, HELO, macros of each stage) lives as
// long as the connection, over any number of messages; every packet is bounded
// before memory is taken for it; no read or write waits without a deadline;
// malformed input ends the session with a typed error ([*ProtocolError]) and
// never with a panic; slices in an event are valid until the handler returns.
//
// The protocol is Sendmail's libmilter (mfdef.h of version 8.17, SMFI_PROT_VERSION 6).
package milter
