// Package mime walks one message as it streams by and hands over everything in
// it that an indicator can name: addresses, subject, URLs, host names, file
// names and digests of attachments, in nested messages and zip archives too.
//
// It does not judge and keeps nothing of the message: a [Walker] holds the
// header block at hand, one window of text, and what of an archive has come so
// far, all bounded by a [Budget]. What is over budget is said ([Result.Over]),
// never passed over in silence.
//
// It is written for hostile bytes. Nothing that a message can contain makes it
// fail or panic: where two mail readers would understand a message differently
// (a header twice, a boundary missing, an encoding written in an odd way) it
// follows both readings and names the sign ([Result.Signs]).
//
// Formats: RFC 5322, 2045 to 2049, 2047, 2183, 2231, 6532, HTML as of the
// WHATWG, zip (APPNOTE 6.3).
package mime
