// Package taxii speaks TAXII 2.1 (OASIS Standard): [Server] answers discovery,
// API root, collections, objects, manifest and versions over a [Backend], and
// takes objects into collections of an [Inbox]; [Client] reads from any server
// and adds to it.
//
// It moves objects and never looks into them beyond what the protocol asks. It
// does not store, does not know accounts (the caller says who asks), and decides
// nothing about release: what a client may see is the Backend's answer, asked
// anew for every request. Nothing can be deleted: DELETE is answered with 403 or
// 404, as the standard has it for collections without both rights.
//
// Invariants: a client that follows next, or pages by X-TAXII-Date-Added-Last,
// misses no object and gets none twice, also while objects are added (given what
// [Backend] promises); the server keeps no state between requests, so that any
// replica with the same key goes on where another stopped; a collection that a
// client may not see is answered exactly like one that does not exist; what is
// answered with 202 is on stable storage (given what [Inbox] promises). A walk of
// the client moves forward with every page, or ends with an error.
package taxii
