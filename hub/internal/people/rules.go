package people

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is how a role came to be held.
type Kind string

// The kinds of grant.
const (
	Standing   Kind = "standing"   // until revoked, reviewed every 90 days
	Delegation Kind = "delegation" // of somebody else's role, for some days
	Emergency  Kind = "emergency"  // for some hours, the auditor is told at once
)

// Bounds and clocks; [Config] may change the last two.
const (
	MaxDelegation = 30 * 24 * time.Hour
	MaxEmergency  = 4 * time.Hour
	DefaultReview = 90 * 24 * time.Hour
	DefaultGrace  = 14 * 24 * time.Hour
)

// Roles are the roles of the hub, see docs/program.md.
var Roles = []string{
	"pmo_analyst", "release_authority", "privacy_officer", "gfi_officer", "ssa_officer", "assessor", "accrediting_official", "auditor", "system_admin",
}

// givers may ask for and approve grants.
var givers = []string{"system_admin", "accrediting_official"}

// apart are roles that one person may not hold together, with the reason. The
// auditor and the administrator are apart from all others, see [Together].
var apart = []struct{ a, b, why string }{
	{"assessor", "accrediting_official", "who judges a provider's evidence does not accredit it (SOD-3)"},
	{"gfi_officer", "pmo_analyst", "who submits an indicator does not approve it (SOD-1)"},
	{"gfi_officer", "release_authority", "who submits an indicator does not release it (SOD-1)"},
	{"privacy_officer", "release_authority", "a privacy officer may stop a release, not start one (SOD-6)"},
	{"privacy_officer", "pmo_analyst", "a privacy officer may stop a release, not start one (SOD-6)"},
}

// counterparts are the roles that control each other: a delegation never goes to
// somebody who holds the other one (SOD-7).
var counterparts = [][2]string{
	{"pmo_analyst", "release_authority"},
	{"assessor", "accrediting_official"},
	{"pmo_analyst", "privacy_officer"},
	{"release_authority", "privacy_officer"},
	{"gfi_officer", "pmo_analyst"},
}

// trained are the roles that rest while their holder's training has run out: all
// that see or decide.
func trained(role string) bool { return role != "system_admin" }

// Errors that callers tell apart. Each is wrapped with what to do next.
var (
	ErrRole     = errors.New("people: the account's roles do not permit this")
	ErrPerson   = errors.New("people: another person has to do this")
	ErrTogether = errors.New("people: one person may not hold these roles together")
	ErrInput    = errors.New("people: the input is refused")
	ErrState    = errors.New("people: not possible in this state")
	ErrNotFound = errors.New("people: no such grant or account")
)

// Together says whether one person may hold all of these roles.
func Together(roles []string) error {
	for _, alone := range []string{"system_admin", "auditor"} {
		if slices.Contains(roles, alone) {
			for _, r := range roles {
				if r != alone {
					return fmt.Errorf("%w: %s holds no other role, and not %s", ErrTogether, alone, r)
				}
			}
		}
	}
	for _, x := range apart {
		if slices.Contains(roles, x.a) && slices.Contains(roles, x.b) {
			return fmt.Errorf("%w: %s and %s; %s", ErrTogether, x.a, x.b, x.why)
		}
	}
	return nil
}

// counterpart reports whether one of the roles controls role.
func counterpart(role string, held []string) (string, bool) {
	for _, p := range counterparts {
		for i := range p {
			if p[i] == role && slices.Contains(held, p[1-i]) {
				return p[1-i], true
			}
		}
	}
	return "", false
}

func reasonable(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if len(reason) < 8 || len(reason) > 1000 {
		return "", fmt.Errorf("%w: write a reason of 8 to 1000 bytes", ErrInput)
	}
	return reason, nil
}
