// Package wire reads DNS queries and writes the answers that this house gives
// itself (RFC 1035, RFC 2308, RFC 6891, RFC 8914), straight on the bytes of the
// datagram: nothing is allocated, nothing is decoded that the decision does not
// need.
//
// It is not a DNS library: it reads no zone files, does not decode resource
// data, and knows answers from upstream only as far as is needed to see that
// they belong to a question. Names are wire bytes throughout and are never
// turned into text on the way, because two different wire names can look the
// same as text.
//
// Invariants: [Query.Parse] reads at most [MaxRecords] records and never beyond
// the message; it accepts no compression in the question; every offset in a
// Query that parsed points into the message. All functions are safe on hostile
// input.
package wire
