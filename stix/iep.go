package stix

import (
	"slices"
	"strings"
	"time"
)

// IEPExtension names the extension for the Information Exchange Policy 2.0 of
// FIRST.
const IEPExtension = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a"

// The permitted actions of IEP 2.0, from the least.
const (
	IEPNone             = "none"
	IEPContact          = "contact-for-instruction"
	IEPInternal         = "internally-visible-actions"
	IEPExternalIndirect = "externally-visible-indirect-actions"
	IEPExternalDirect   = "externally-visible-direct-actions"
)

// IEP is a marking of the Information Exchange Policy 2.0 of FIRST, as carried
// by [IEPExtension]. A statement that is absent is "": the policy does not say.
type IEP struct {
	ID          string    // iep_id, a UUID
	Name        string    // policy_name
	Description string    // what the policy is for
	Start, End  time.Time // when it is in force; zero if absent

	Encrypt     string // encrypt_in_transit: "must" or "may"
	Actions     string // permitted_actions: one of the constants from [IEPNone]
	Notify      string // affected_party_notifications: "may" or "must-not"
	TLP         string // name in TLP 2.0
	Attribution string // provider_attribution: "may", "must" or "must-not"
	Resale      string // unmodified_resale: "may" or "must-not"
}

func (m *Marking) readIEP(v Value) (*IEP, error) {
	r := fields{v: v}
	p := &IEP{
		ID: r.str("iep_id", true), Name: r.str("policy_name", false), Description: r.str("description", false),
		Start: r.time("start_date"), End: r.time("end_date"),
		Encrypt:     r.choice("encrypt_in_transit", "must", "may"),
		Actions:     r.choice("permitted_actions", IEPNone, IEPContact, IEPInternal, IEPExternalIndirect, IEPExternalDirect),
		Notify:      r.choice("affected_party_notifications", "may", "must-not"),
		Attribution: r.choice("provider_attribution", "may", "must", "must-not"),
		Resale:      r.choice("unmodified_resale", "may", "must-not"),
	}
	if p.Name == "" {
		p.Name = m.Name
	}
	if r.err == nil && !validUUID(p.ID) {
		r.wrong("iep_id", BadValue, "iep_id %q is not a UUID", clip(p.ID))
	}
	p.readTLP(&r)
	version, _ := v.Get("iep_version").Float()
	if v.Get("iep_version").Ok() && version != 2 {
		r.wrong("iep_version", BadValue, "iep_version is not 2.0")
	}
	if !p.End.IsZero() && !p.End.After(p.Start) {
		r.wrong("end_date", BadValue, "end_date is not after start_date")
	}
	m.others(v, "IEP", "extension_type", "iep_id", "policy_name", "name", "description", "start_date", "end_date", "encrypt_in_transit", "permitted_actions",
		"affected_party_notifications", "provider_attribution", "unmodified_resale", "tlp", "tlp_ref", "iep_version", "external_references")
	return p, r.err
}

// readTLP reads tlp, and tlp_ref, which the published schema requires and never
// defines.
func (p *IEP) readTLP(r *fields) {
	if word := r.str("tlp", false); word != "" {
		p.TLP = tlpName(word)
		if p.TLP == "" {
			r.wrong("tlp", BadValue, "tlp %q is unknown", clip(word))
		}
	}
	if ref := r.str("tlp_ref", false); ref != "" {
		name, ok := TLP(ref)
		if !ok {
			r.wrong("tlp_ref", BadValue, "tlp_ref %q is not a marking of TLP", clip(ref))
		}
		p.TLP = stricterTLP(p.TLP, name)
	}
}

// choice reads one of some words, in any case and with blanks for hyphens, as
// the policy itself spells them ("MUST NOT").
func (f *fields) choice(name string, words ...string) string {
	s := f.str(name, false)
	word := strings.NewReplacer(" ", "-", "_", "-").Replace(strings.ToLower(s))
	if word != "" && !slices.Contains(words, word) {
		f.wrong(name, BadValue, "property %s: %q is not one of %s", name, clip(s), strings.Join(words, ", "))
	}
	return word
}

func (p *IEP) draft() *Draft {
	tlp := p.TLP
	if tlp == "clear" {
		tlp = "white" // the extension is older than TLP 2.0
	}
	return propertyExtension().Str("iep_id", p.ID).Str("policy_name", p.Name).Str("description", p.Description).
		Time("start_date", p.Start).Time("end_date", p.End).Str("encrypt_in_transit", p.Encrypt).Str("permitted_actions", p.Actions).
		Str("affected_party_notifications", p.Notify).Str("provider_attribution", p.Attribution).
		Str("unmodified_resale", p.Resale).Str("tlp", tlp).Int("iep_version", 2)
}
