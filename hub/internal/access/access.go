// Package access says who may see and bring what at the hub, for everything that
// people reach by a page or by the JSON API. Both ask here, so that there is one
// answer; and both get from here the HTTP status and the words for an error of
// the packages that decide.
//
// The rules are text that an auditor can read, [Policies]. What they ask of the
// reader is found here: the roles, the clearance (table clearance), and whether it
// holds the marking of what is asked for (hub/internal/marking).
//
// It is not where decisions are permitted: who may approve, recall, accredit or
// make a token is checked by hub/internal/release and hub/internal/program in the
// transaction of the act itself, whoever calls them.
//
// Invariants: a source officer learns of an indicator only if the officer's own
// source named it, and nobody learns of one whose marking the own clearance does not
// hold: to such an account it does not exist, neither by itself nor in a number, nor
// by the way in which it is not found. Every query for a page or an answer of the
// API takes [Handlings], or one of the functions here that use it.
package access

import (
	"errors"

	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
)

// Roles lists the roles that may see or bring something, each by itself.
func Roles(w What) []string {
	var out []string
	for i, name := range KnownRoles {
		if present().permits(1<<i, allFacts, w) {
			out = append(out, name)
		}
	}
	return out
}

// May reports whether the account's roles permit to see or bring something at all:
// of what, is the matter of [Item], [Narrow] and the others.
func May(a signin.Account, w What) bool { return permits(a, allFacts, w) }

func permits(a signin.Account, f facts, w What) bool {
	return present().permits(rolesOf(a.Roles), f, w)
}

// RoleError says that an account may not, and who may.
type RoleError struct{ What What }

// Error implements error.
func (e *RoleError) Error() string { return "the account's roles do not permit to " + string(e.What) }

// Need is May as an error.
func Need(a signin.Account, w What) error {
	if May(a, w) {
		return nil
	}
	return &RoleError{What: w}
}

// nowhere is the short name of no source.
const nowhere = " "

// Source gives the only source of which the account may see something, and
// whether there is such a limit at all.
func Source(a signin.Account, w What) (string, bool) {
	if permits(a, allFacts&^own, w) || !May(a, w) {
		return "", false
	}
	if a.Scope == "" {
		return nowhere, true // an officer of no source sees nothing
	}
	return a.Scope, true
}

// Hidden reports whether the account may not see the item's value and pattern.
func Hidden(a signin.Account, it *indicator.Item) bool { return !it.Display && !May(a, Values) }

// ErrScope says that an officer would deliver for another source.
var ErrScope = errors.New("a source officer delivers for the officer's own source only")

// MayDeliver says whether the account may deliver for a source.
func MayDeliver(a signin.Account, source string) error {
	err := Need(a, Deliver)
	if err != nil {
		return err
	}
	only, limited := Source(a, Deliver)
	if limited && source != only {
		return ErrScope
	}
	return nil
}
