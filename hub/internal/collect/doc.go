// Package collect fetches what sources offer: TAXII 2.1 collections, MISP feeds
// (manifest.json and one file for each event) and plain files by URL. Whatever it
// gets becomes deliveries of hub/internal/intake; docs/formats/collect.md says what
// is asked of a source's server, and what of it is tolerated.
//
// It is NOT for reading formats and not for judging: it moves bytes. Nor is it for
// what sources push: that is hub/internal/inbox.
//
// Invariants:
//   - Nothing is lost. How far a feed has been read is stored only after everything
//     before it was committed by intake; a hub killed at any point asks for the last
//     page, event or file again, which changes nothing the second time.
//   - Hostile, slow and broken servers cost bounded time, bytes and requests, and
//     end in an error that people see, never in silence and never in a loop.
//   - Passwords, tokens and keys are read from files or the environment at each
//     poll, go to the configured host alone, by TLS (or to this machine), and are
//     neither stored nor logged.
package collect
