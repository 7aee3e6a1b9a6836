// Package signin knows who is at a console: accounts, passwords, sessions and
// HTTP Basic for the JSON API, in the tables "account" and "session" of either
// house.
//
// Passwords are made by the program, never chosen, and printed once. They are
// kept as PBKDF2-HMAC-SHA-256 (an approved function, so it also works with
// GODEBUG=fips140=on). A session is 256 random bits in a cookie; the database
// holds only their SHA-256.
//
// It is not for machines: providers' nodes are known by their certificate (see
// internal/certs). What a role may do is decided where it is done, not here.
//
// Invariants: an unknown login costs as much time as a wrong password; tries
// are counted for each login and each address, and the number of password
// computations at a time is bounded; a changed password, changed roles or a
// disabled account count from the next request on.
package signin
