// Package e2e tests the whole program as its users run it: the built binary as
// processes of their own, the command line, the hub's API, both consoles in a
// browser, and real peers around them: dig, unbound, Postfix, swaks and
// softflowd. It uses nothing of the houses but what they offer over the network
// and on disk.
//
// Everything happens on loopback, with reserved names and addresses (RFC 2606,
// RFC 5737, RFC 3849). A peer that is not installed skips its test, and fails it
// when CI=true.
package e2e
