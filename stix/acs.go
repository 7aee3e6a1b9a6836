package stix

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Privilege actions of ACS 3.0 that matter to the program.
const (
	NetDef   = "NETDEF"   // may be used for network defense: detect, block
	Display  = "DSPLY"    // may be shown to people
	Notify   = "TENOT"    // the targeted entity may be notified
	Source   = "IDSRC"    // the source may be named
	TearLine = "TEARLINE" // lower-marked parts may be passed on alone
)

// ACS is a marking of the Access Control Specification 3.0, as carried by the
// STIX 2.1 extension [ACSExtension].
type ACS struct {
	Identifier string    // "isa:guide.19001.ACS3-" and a UUID
	Created    time.Time // create_date_time
	Custodian  string    // responsible_entity_custodian, such as "USA.DHS.US-CERT"
	Originator string
	Policy     string // policy_reference, as given
	Control    ControlSet
	Privileges []Privilege // access_privilege
	Sharing    []Sharing   // further_sharing

	DefaultPermit bool // what the policy says of privileges that are not listed
	ShareDefault  bool // what the policy says of further sharing that is not listed

	DisposeAt  time.Time // resource_disposition: zero if absent
	DisposeHow string
}

// ControlSet says who may have the content at all.
type ControlSet struct {
	Classification string // U, C, S, TS
	Determinations []string
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

// Permits tells whether an action is allowed for everybody in subject. A deny
// beats a permit; without either, the policy's default counts. A scoped permit
// counts only if its scope covers the subject; a scoped deny counts always,
// since we cannot know who of the subject it means. The extension does not say
// how rules combine; this is our reading, on the safe side.
func (a *ACS) Permits(action string, subject Scope) bool {
	permit := a.DefaultPermit
	for _, p := range a.Privileges {
		if !strings.EqualFold(p.Action, action) {
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

func readACS(m Value) (*ACS, error) {
	r := fields{v: m}
	a := &ACS{
		Identifier: r.str("identifier", true), Created: r.time("create_date_time"),
		Custodian: r.str("responsible_entity_custodian", true), Originator: r.str("responsible_entity_originator", false),
		Policy: r.str("policy_reference", true),
	}
	if r.err != nil {
		return nil, r.err
	}
	err := a.defaults()
	if err != nil {
		return nil, err
	}
	control := m.Get("control_set")
	if control.Kind() != Members {
		return nil, errors.New("property control_set is missing")
	}
	c := fields{v: control}
	a.Control = ControlSet{
		Classification: c.str("classification", true), Determinations: c.list("formal_determination"),
		Caveats: c.list("caveat"), Sensitivities: c.list("sensitivity"), Scope: readScope(&c),
	}
	if !slices.Contains([]string{"U", "C", "S", "TS"}, a.Control.Classification) {
		c.fail("classification %q is unknown", clip(a.Control.Classification))
	}
	r.merge(c)
	a.readPrivileges(&r)
	a.readSharing(&r)
	if d := m.Get("resource_disposition"); d.Kind() == Members {
		x := fields{v: d}
		a.DisposeAt, a.DisposeHow = x.time("disposition_date"), x.str("disposition_process", false)
		r.merge(x)
	}
	return a, r.err
}

// defaults reads the policy reference. What it does not say is denied.
func (a *ACS) defaults() error {
	_, query, _ := strings.Cut(a.Policy, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("policy_reference %q cannot be read", clip(a.Policy))
	}
	a.DefaultPermit = strings.EqualFold(q.Get("privdefault"), "permit")
	a.ShareDefault = strings.EqualFold(q.Get("sharedefault"), "permit")
	return nil
}

// readScope reads a scope. The proposal for STIX 2.0 wrote "shareabiity", and
// content with it is about.
func readScope(r *fields) Scope {
	return Scope{
		Nationalities: r.list("permitted_nationalities"), Organizations: r.list("permitted_organizations"),
		Shareability: append(r.list("shareability"), r.list("shareabiity")...), Entities: r.list("entity"),
	}
}

// rules gives the objects of a list under either of two names: the proposal for
// STIX 2.0 and the published extension differ in number.
func rules(r *fields, names ...string) []Value {
	var out []Value
	for _, name := range names {
		v := r.v.Get(name)
		if v.Ok() && v.Kind() != Items {
			out = append(out, v)
		}
		for _, x := range v.Items() {
			out = append(out, x)
		}
	}
	for _, x := range out {
		if x.Kind() != Members {
			r.fail("property %s holds something else than objects", names[0])
		}
	}
	return out
}

func (a *ACS) readPrivileges(r *fields) {
	for _, m := range rules(r, "access_privilege", "access_privileges") {
		p := fields{v: m}
		action := p.str("privilege_action", true)
		permit := effect(&p)
		var scope Scope
		s := m.Get("privilege_scope")
		if s.Ok() && s.Kind() != Members {
			p.fail("property privilege_scope is not an object")
		}
		f := fields{v: s}
		scope = readScope(&f)
		p.merge(f)
		a.Privileges = append(a.Privileges, Privilege{Action: strings.ToUpper(action), Permit: permit, Scope: scope})
		r.merge(p)
	}
}

func (a *ACS) readSharing(r *fields) {
	for _, m := range rules(r, "further_sharing") {
		p := fields{v: m}
		a.Sharing = append(a.Sharing, Sharing{Scope: p.list("sharing_scope"), Permit: effect(&p)})
		r.merge(p)
	}
}

func effect(p *fields) bool {
	e := strings.ToLower(p.str("rule_effect", true))
	if e != "permit" && e != "deny" {
		p.fail("rule_effect %q is neither permit nor deny", clip(e))
	}
	return e == "permit"
}
