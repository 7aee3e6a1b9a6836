// Package dns is room 1, DNS sinkholing: it takes the queries of the
// provider's customers, answers those for listed names (and for everything
// below them) itself, and passes all others on to the resolvers that the
// provider already has.
//
// It is not a resolver: it keeps no cache, follows no delegation and validates
// no signature. What an upstream answers reaches the client byte for byte; only
// the identifier differs.
//
// Invariants:
//   - A listed name is never answered with anything of the real one, whatever
//     the type of the query and however it arrives.
//   - What does not match leaves nothing behind but aggregate counters.
//   - The decision (hotpath.go) allocates nothing and takes no lock.
//   - Everything that waits is bounded and counted when it does not fit.
package dns
