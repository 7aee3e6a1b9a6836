package stix

import (
	"slices"
	"strings"
	"time"
)

// ACSExtension names the ACS 3.0 marking extension.
const ACSExtension = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"

// Privilege actions of ACS 3.0.
const (
	NetDef    = "NETDEF"          // may be used for network defense: detect, block
	Display   = "DSPLY"           // may be shown to people
	Notify    = "TENOT"           // the targeted entity may be notified
	Source    = "IDSRC"           // the source may be named
	TearLine  = "TEARLINE"        // lower-marked parts may be passed on alone
	Intel     = "INTEL"           // may be used for intelligence analysis
	Legal     = "LEGAL"           // may be used in court
	Operate   = "OPACTION"        // may be acted on beyond defense
	Request   = "REQUEST"         // further information may be asked for
	Anonymous = "ANONYMOUSACCESS" // may be had without saying who one is
	CISAUses  = "CISAUSES"        // may be used as the Cybersecurity Information Sharing Act permits
	AllUses   = "ALL"             // any of them
)

// ACS is a marking of the Access Control Specification 3.0, as carried by the
// STIX 2.1 extension [ACSExtension].
type ACS struct {
	Identifier  string    // "isa:guide.19001.ACS3-" and a UUID
	Name        string    // "" if absent
	Created     time.Time // create_date_time
	Custodian   string    // responsible_entity_custodian, such as "USA.DHS.US-CERT"
	Originator  string
	Authorities []string // authority_reference
	Policy      string   // policy_reference, as given
	Control     ControlSet
	Privileges  []Privilege // access_privilege
	Sharing     []Sharing   // further_sharing

	DefaultPermit bool // what the policy says of privileges that are not listed
	ShareDefault  bool // what the policy says of further sharing that is not listed

	Original      *Classifying // original_classification; nil if absent
	Derivative    *Classifying // derivative_classification; nil if absent
	Declassifying *Declassifying
	ReleasedBy    string    // public_release; "" if absent
	ReleasedOn    time.Time // zero if absent

	DisposeAt  time.Time // resource_disposition: zero if absent
	DisposeHow string
}

// ControlSet says who may have the content at all.
type ControlSet struct {
	Classification string   // U, C, S, TS
	SCI            []string // sci_controls
	Authority      []string // logical_authority_category
	Determinations []string // formal_determination, such as NO-PII-PRESENT or FOUO
	Caveats        []string
	Sensitivities  []string // NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA stands for Enhanced Cybersecurity Services
	Scope          Scope
}

// Scope limits a rule to a group. Empty lists limit nothing.
type Scope struct {
	Nationalities []string
	Organizations []string
	Shareability  []string
	Entities      []string
}

// Privilege permits or denies one action within a scope.
type Privilege struct {
	Action string
	Permit bool
	Scope  Scope
}

// Sharing permits or denies passing on to others.
type Sharing struct {
	Scope  []string
	Permit bool
}

// Classifying says who classified, when and on what ground.
type Classifying struct {
	By          string
	On          time.Time // zero if absent
	Reason      string    // of an original classification
	Compilation string    // compilation_reason, of an original classification
	From        string    // derived_from, of a derivative classification
}

// Declassifying says when a classification ends. At least one is given.
type Declassifying struct {
	Exemption string
	Period    int // years; 0 if absent
	Date      time.Time
	Event     string
}

// Permits tells whether an action is allowed for everybody in subject. A deny
// beats a permit; without either, the policy's default counts. A scoped permit
// counts only if its scope covers the subject; a scoped deny counts always,
// since we cannot know who of the subject it means. Rules for ALL count for each
// action. The extension does not say how rules combine; this is our reading, on
// the safe side.
func (a *ACS) Permits(action string, subject Scope) bool {
	permit := a.DefaultPermit
	for _, p := range a.Privileges {
		if !strings.EqualFold(p.Action, action) && p.Action != AllUses {
			continue
		}
		if !p.Permit {
			return false
		}
		if !p.Scope.covers(subject) {
			continue
		}
		permit = true
	}
	return permit
}

// MayShare tells whether what is marked may be passed on to somebody described
// by words of sharing scopes, such as "FOREIGNGOV", "SECTOR" or an organization.
// It combines rules as [ACS.Permits] does: a deny counts whomever it names.
func (a *ACS) MayShare(with []string) bool {
	permit := a.ShareDefault
	for _, s := range a.Sharing {
		if !s.Permit {
			return false
		}
		permit = permit || within(with, s.Scope)
	}
	return permit
}

func (s Scope) covers(subject Scope) bool {
	return within(subject.Nationalities, s.Nationalities) && within(subject.Organizations, s.Organizations) &&
		within(subject.Shareability, s.Shareability) && within(subject.Entities, s.Entities)
}

func within(have, allowed []string) bool {
	if len(allowed) == 0 || slices.Contains(allowed, "ALL") {
		return true
	}
	return slices.ContainsFunc(have, func(h string) bool { return slices.Contains(allowed, h) })
}

// policyPrefix begins each policy of ACS 3.0.
const policyPrefix = "urn:isa:policy:acs:ns:v3.0?"

// defaults reads the policies, of which there may be several with blanks
// between. What not all of them permit is denied, and what is no policy of ACS
// 3.0 permits nothing.
func (a *ACS) defaults() {
	a.DefaultPermit, a.ShareDefault = true, true
	for _, policy := range strings.Fields(a.Policy) {
		query, ok := strings.CutPrefix(strings.ToLower(policy), policyPrefix)
		words := strings.Split(query, "&")
		a.DefaultPermit = a.DefaultPermit && ok && slices.Contains(words, "privdefault=permit") && !slices.Contains(words, "privdefault=deny")
		a.ShareDefault = a.ShareDefault && ok && slices.Contains(words, "sharedefault=permit") && !slices.Contains(words, "sharedefault=deny")
	}
}
