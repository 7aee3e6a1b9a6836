package stix

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// readACS reads the extension. The proposal for STIX 2.0 wrote some things
// otherwise than what was published, and content with it is about: both are
// read, the published form is written.
func (m *Marking) readACS(v Value) (*ACS, error) {
	a, err := m.acs(v)
	if err != nil {
		return nil, fmt.Errorf("ACS marking: %w", err)
	}
	return a, nil
}

func (m *Marking) acs(v Value) (*ACS, error) {
	r := fields{v: v}
	a := &ACS{
		Identifier: r.str("identifier", true), Name: r.str("name", false), Created: r.time("create_date_time"),
		Custodian: r.str("responsible_entity_custodian", true), Originator: r.str("responsible_entity_originator", false),
		Authorities: r.list("authority_reference"), Policy: r.str("policy_reference", true),
	}
	m.others(v, "ACS", "extension_type", "identifier", "name", "create_date_time", "responsible_entity_custodian", "responsible_entity_originator",
		"authority_reference", "policy_reference", "original_classification", "derivative_classification", "declassification", "resource_disposition",
		"public_release", "access_privilege", "access_privileges", "further_sharing", "control_set")
	if r.err != nil {
		return nil, r.err
	}
	a.defaults()
	control := v.Get("control_set")
	if control.Kind() != Members {
		return nil, wrong("control_set", Missing, "property control_set is missing")
	}
	m.readControl(a, &r, control)
	m.readPrivileges(a, &r)
	m.readSharing(a, &r)
	m.readClassifying(a, &r)
	if d := r.part("resource_disposition"); d != nil {
		a.DisposeAt, a.DisposeHow = d.time("disposition_date"), d.str("disposition_process", false)
		m.others(d.v, "ACS.resource_disposition", "disposition_date", "disposition_process")
		r.merge(*d)
	}
	return a, r.err
}

// part gives an object within, nil if absent.
func (f *fields) part(name string) *fields {
	v := f.v.Get(name)
	if !v.Ok() {
		return nil
	}
	if v.Kind() != Members {
		f.wrong(name, WrongType, "property %s is not an object", name)
	}
	return &fields{v: v}
}

func (m *Marking) readControl(a *ACS, r *fields, control Value) {
	c := fields{v: control}
	a.Control = ControlSet{
		Classification: c.str("classification", true), SCI: c.list("sci_controls"), Authority: c.list("logical_authority_category"),
		Determinations: c.list("formal_determination"), Caveats: c.list("caveat"), Sensitivities: c.list("sensitivity"), Scope: readScope(&c),
	}
	for i, d := range a.Control.Determinations {
		if d == "PII-NOT-PRESENT" { // in the proposal
			a.Control.Determinations[i] = "NO-PII-PRESENT"
		}
	}
	if c.err == nil && !slices.Contains([]string{"U", "C", "S", "TS"}, a.Control.Classification) {
		c.wrong("classification", BadValue, "classification %q is unknown", clip(a.Control.Classification))
	}
	m.others(control, "ACS.control_set", append([]string{"classification", "sci_controls", "logical_authority_category", "formal_determination", "caveat", "sensitivity"}, scopeNames...)...)
	r.merge(c)
}

var scopeNames = []string{"permitted_nationalities", "permitted_organizations", "shareability", "shareabiity", "entity"}

// readScope reads a scope. The proposal wrote "shareabiity".
func readScope(r *fields) Scope {
	return Scope{
		Nationalities: r.list("permitted_nationalities"), Organizations: r.list("permitted_organizations"),
		Shareability: append(r.list("shareability"), r.list("shareabiity")...), Entities: r.list("entity"),
	}
}

// rules gives the objects of a list under one of two names: the proposal and
// the published extension differ in number.
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
			r.wrong(names[0], WrongType, "property %s holds something else than objects", names[0])
		}
	}
	return out
}

func (m *Marking) readPrivileges(a *ACS, r *fields) {
	for _, v := range rules(r, "access_privilege", "access_privileges") {
		p := fields{v: v}
		x := Privilege{Action: strings.ToUpper(p.str("privilege_action", true)), Permit: effect(&p)}
		if s := p.part("privilege_scope"); s != nil {
			x.Scope = readScope(s)
			m.others(s.v, "ACS.access_privilege.privilege_scope", scopeNames...)
			p.merge(*s)
		}
		m.others(v, "ACS.access_privilege", "privilege_action", "privilege_scope", "rule_effect")
		a.Privileges = append(a.Privileges, x)
		r.merge(p)
	}
}

func (m *Marking) readSharing(a *ACS, r *fields) {
	for _, v := range rules(r, "further_sharing") {
		p := fields{v: v}
		a.Sharing = append(a.Sharing, Sharing{Scope: p.list("sharing_scope"), Permit: effect(&p)})
		m.others(v, "ACS.further_sharing", "sharing_scope", "rule_effect")
		r.merge(p)
	}
}

func effect(p *fields) bool {
	e := strings.ToLower(p.str("rule_effect", true))
	if e != "permit" && e != "deny" {
		p.wrong("rule_effect", BadValue, "rule_effect %q is neither permit nor deny", clip(e))
	}
	return e == "permit"
}

// readClassifying reads who classified, when it ends, and who released it.
func (m *Marking) readClassifying(a *ACS, r *fields) {
	if p := r.part("original_classification"); p != nil {
		a.Original = &Classifying{By: p.str("classified_by", true), On: p.time("classified_on"), Reason: p.str("classification_reason", false), Compilation: p.str("compilation_reason", false)}
		m.others(p.v, "ACS.original_classification", "classified_by", "classified_on", "classification_reason", "compilation_reason")
		r.merge(*p)
	}
	if p := r.part("derivative_classification"); p != nil {
		a.Derivative = &Classifying{By: p.str("classified_by", true), On: p.time("classified_on"), From: p.str("derived_from", true)}
		m.others(p.v, "ACS.derivative_classification", "classified_by", "classified_on", "derived_from")
		r.merge(*p)
	}
	if p := r.part("declassification"); p != nil {
		d := &Declassifying{Exemption: p.str("declass_exemption", false), Date: p.time("declass_date"), Event: p.str("declass_event", false)}
		if years := p.v.Get("declass_period"); years.Ok() {
			d.Period = p.integerOf(years, "declass_period", 0, 1000)
		}
		if p.err == nil && *d == (Declassifying{}) {
			p.wrong("declassification", Missing, "declassification says nothing")
		}
		a.Declassifying = d
		m.others(p.v, "ACS.declassification", "declass_exemption", "declass_period", "declass_date", "declass_event")
		r.merge(*p)
	}
	if p := r.part("public_release"); p != nil {
		a.ReleasedBy, a.ReleasedOn = p.str("released_by", true), p.time("released_on")
		m.others(p.v, "ACS.public_release", "released_by", "released_on")
		r.merge(*p)
	}
}

// draft writes the published form.
func (a *ACS) draft() *Draft {
	c := a.Control
	control := scopeDraft(c.Scope).Str("classification", c.Classification).List("sci_controls", c.SCI).List("logical_authority_category", c.Authority).
		List("formal_determination", c.Determinations).List("caveat", c.Caveats).List("sensitivity", c.Sensitivities)
	d := propertyExtension().Str("identifier", a.Identifier).Str("name", a.Name).Time("create_date_time", a.Created).
		Str("responsible_entity_custodian", a.Custodian).Str("responsible_entity_originator", a.Originator).
		List("authority_reference", a.Authorities).Str("policy_reference", a.Policy).Object("control_set", control)
	var privileges, sharing []*Draft
	for _, p := range a.Privileges {
		scope := p.Scope
		if len(scope.Nationalities)+len(scope.Organizations)+len(scope.Shareability)+len(scope.Entities) == 0 {
			scope.Entities = []string{"ALL"} // a scope is required, and must not be empty
		}
		privileges = append(privileges, new(Draft).Str("privilege_action", p.Action).Str("rule_effect", effectOf(p.Permit)).Object("privilege_scope", scopeDraft(scope)))
	}
	for _, s := range a.Sharing {
		sharing = append(sharing, new(Draft).List("sharing_scope", s.Scope).Str("rule_effect", effectOf(s.Permit)))
	}
	d.Objects("access_privilege", privileges).Objects("further_sharing", sharing)
	if o := a.Original; o != nil {
		d.Object("original_classification", new(Draft).Str("classified_by", o.By).Time("classified_on", o.On).Str("classification_reason", o.Reason).Str("compilation_reason", o.Compilation))
	}
	if o := a.Derivative; o != nil {
		d.Object("derivative_classification", new(Draft).Str("classified_by", o.By).Time("classified_on", o.On).Str("derived_from", o.From))
	}
	if x := a.Declassifying; x != nil {
		part := new(Draft).Str("declass_exemption", x.Exemption).Time("declass_date", x.Date).Str("declass_event", x.Event)
		if x.Period > 0 {
			part.Int("declass_period", int64(x.Period))
		}
		d.Object("declassification", part)
	}
	d.Object("public_release", new(Draft).Str("released_by", a.ReleasedBy).Time("released_on", a.ReleasedOn))
	d.Object("resource_disposition", new(Draft).Time("disposition_date", a.DisposeAt).Str("disposition_process", a.DisposeHow))
	if c.Classification != "U" && a.Original == nil && a.Derivative == nil {
		d.fail(errors.New("classified content needs an original or a derivative classification"))
	}
	return d
}

func scopeDraft(s Scope) *Draft {
	return new(Draft).List("permitted_nationalities", s.Nationalities).List("permitted_organizations", s.Organizations).
		List("shareability", s.Shareability).List("entity", s.Entities)
}

func effectOf(permit bool) string {
	if permit {
		return "permit"
	}
	return "deny"
}
