// Package access says who may see and bring what at the hub, for everything that
// people reach by a page or by the JSON API. Both ask here, so that there is one
// answer; and both get from here the HTTP status and the words for an error of
// the packages that decide.
//
// It is not where decisions are permitted: who may approve, recall, accredit or
// make a token is checked by hub/internal/release and hub/internal/program in the
// transaction of the act itself, whoever calls them.
//
// Invariant: a source officer learns of an indicator only if the officer's own
// source named it; to such an account all others do not exist.
package access

import (
	"context"
	"errors"
	"fmt"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// What is something that may be seen or brought.
type What string

// The things.
const (
	Indicators What = "see indicators"
	Values     What = "see values whose marking forbids display"
	Deliveries What = "see deliveries and what was refused of them"
	Deliver    What = "deliver indicators"
	Providers  What = "see providers and their ledgers"
	Feedback   What = "see feedback"
	Coverage   What = "see the coverage of sectors"
	Audit      What = "see the audit log"
)

// table lists the roles for each. system_admin runs the machine and holds no data
// role: it sees providers' nodes, which it keeps running, and no indicator.
var table = map[What][]string{
	Indicators: {"pmo_analyst", "release_authority", "privacy_officer", "gfi_officer", "ssa_officer", "auditor"},
	Values:     {"pmo_analyst", "release_authority", "privacy_officer", "gfi_officer", "auditor"},
	Deliveries: {"pmo_analyst", "privacy_officer", "gfi_officer", "auditor"},
	Deliver:    {"pmo_analyst", "gfi_officer"},
	Providers:  {"pmo_analyst", "release_authority", "privacy_officer", "assessor", "accrediting_official", "auditor", "system_admin"},
	Feedback:   {"pmo_analyst", "release_authority", "privacy_officer", "ssa_officer", "accrediting_official", "auditor"},
	Coverage:   {"pmo_analyst", "release_authority", "privacy_officer", "ssa_officer", "assessor", "accrediting_official", "auditor"},
	Audit:      {"auditor", "privacy_officer"},
}

// Roles lists the roles that may see or bring something.
func Roles(w What) []string { return table[w] }

// May reports whether the account may.
func May(a signin.Account, w What) bool { return a.Any(table[w]...) }

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

// narrow reports whether a source officer's scope limits what the account sees:
// it does when no other of its roles would show it.
func narrow(a signin.Account, w What) bool {
	for _, r := range table[w] {
		if r != "gfi_officer" && a.Has(r) {
			return false
		}
	}
	return a.Has("gfi_officer")
}

// Source gives the only source of which the account may see something, and
// whether there is such a limit at all.
func Source(a signin.Account, w What) (string, bool) {
	if !narrow(a, w) {
		return "", false
	}
	if a.Scope == "" {
		return "\x00", true // an officer of no source sees nothing
	}
	return a.Scope, true
}

// Narrow limits a listing of indicators to what the account may see.
func Narrow(a signin.Account, f *indicator.Filter) {
	only, limited := Source(a, Indicators)
	if limited {
		f.Source = only
	}
}

// Item reads an indicator, if the account may know of it. To an account that may
// not, it does not exist.
func Item(ctx context.Context, q sqldb.Querier, a signin.Account, id contract.ID) (indicator.Item, error) {
	err := Need(a, Indicators)
	if err != nil {
		return indicator.Item{}, err
	}
	it, err := indicator.Get(ctx, q, id)
	if err != nil {
		return it, err
	}
	only, limited := Source(a, Indicators)
	if !limited {
		return it, nil
	}
	sources, err := indicator.Sources(ctx, q, id)
	if err != nil {
		return indicator.Item{}, err
	}
	for _, s := range sources {
		if s.Source == only {
			return it, nil
		}
	}
	return indicator.Item{}, fmt.Errorf("%w: %s", indicator.ErrNotFound, id)
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
