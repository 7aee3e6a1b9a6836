// Package api is the hub's JSON API under /api/v1/, for the `ecs` command and for
// programs of sources and of the program office. It is documented in
// docs/formats/api.md. The caller is signed in before (HTTP Basic or a session,
// see internal/signin).
//
// It is not for providers' nodes: those speak to hub/internal/door by mutual TLS.
//
// Invariants: who may see what is asked of hub/internal/access, and whether an act
// is permitted is decided by the package that does it; a request with a field
// that we do not know is refused, because it could be a misspelled restriction; an
// error is always problem+json (RFC 9457) and says what to do next.
package api
