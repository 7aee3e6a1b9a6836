// Package noninterference holds the test that nobody reads up: two hubs that differ
// only in what is above a reader's clearance answer that reader with the same bytes,
// at every address of the console and of the JSON API. It has no other content and
// is not part of the program.
//
// The addresses are taken from the routes themselves: a new one is fetched by itself
// when its parts are of a known kind, and fails the test until somebody says how it
// is to be fetched. What the test cannot see (the time that an answer takes, and what
// the program lets flow by design) is written down in docs/formats/access.md.
package noninterference
