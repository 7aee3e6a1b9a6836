// Package wire decodes flow export datagrams: NetFlow version 5, NetFlow version
// 9 (RFC 3954) and IPFIX (RFC 7011, with the biflows of RFC 5103). It is for
// bytes that anybody may have sent, and for nothing else: it opens no socket,
// knows no customer, writes no file and reads no clock.
//
// Invariants:
//   - Decoding never panics and, once an exporter's templates are known, never
//     allocates. Work is linear in the length of the datagram.
//   - What an exporter can make us remember is bounded by [Limits]. What is over
//     the bound is refused with a typed error and counted.
//   - A template that would let a record have no length, or a field none, is
//     refused: there is no datagram that yields records for ever.
//   - An [Exporter] belongs to one goroutine at a time.
package wire
