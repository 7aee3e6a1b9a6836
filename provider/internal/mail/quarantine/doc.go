// Package quarantine keeps whole messages, encrypted, until somebody releases
// or deletes them, or their time is over.
//
// It does not judge messages and it does not decide who may open one: callers
// check roles. What it promises to the mail room is one thing: when
// [Store.Hold] returns without error, the message is on disk and its row is in
// the database, both synced, and nothing but [Store.Release], [Store.Delete] or
// the end of its retention takes it away. The sending server may then be told
// that the message was accepted. When Hold fails, nothing was kept.
//
// Order of a hold: file written as ID.part and synced, folder synced, row
// committed, file renamed to ID.ecsq. So after a crash a part without a row is
// of a message nobody was told of, and is removed; a part with a row is a kept
// message, and is renamed; a whole file without a row can only mean that the
// database is older than the folder (restored from a backup), and is adopted
// from the envelope within it: losing mail is worse than keeping it twice.
//
// docs of the file's bytes: see seal.go.
package quarantine
