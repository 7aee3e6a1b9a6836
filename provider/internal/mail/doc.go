// Package mail is room 2, the SMTP filter: it judges the messages that a
// provider's mail servers hand it by the milter protocol, and files by [Scan].
//
// A message is walked once while it streams by (mime), every thing in it that
// an indicator can name is looked up (hotpath.go), and what follows is decided
// for each recipient's customer (plan.go): refused, held in quarantine, tagged,
// or passed and only recorded.
//
// Invariants: no message is accepted and then lost (the quarantine is on disk
// before the sender is told); no message is stopped without a sighting on
// record; mail of nobody's recipients is not looked at; texts that leave this
// house never hold an indicator's value; nothing of a message is logged.
//
// It does not check for viruses, spam or forged senders: it adds the program's
// indicators to what the provider already runs.
package mail
