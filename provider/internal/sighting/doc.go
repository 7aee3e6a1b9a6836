// Package sighting records matches of indicators in customers' traffic. A
// sighting never leaves the provider house: the hub learns of it only through
// anonymise, and only as a count.
//
// Rooms hand an [Event] to a bounded [Queue] from their hot path; the [Recorder]
// merges and stores them, and feeds notices and anonymous counts. Mail does not
// use the queue's dropping side: a verdict on a message is recorded before the
// message is answered for.
package sighting
