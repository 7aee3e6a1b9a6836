package export

import (
	"bytes"
	"fmt"

	"ecs/contract"
	"ecs/hub/internal/marking"
	"ecs/stix"
)

// Reasons for which a row is withheld because of its markings.
const (
	WhyUnmarked = "how it is marked is not known"
	WhyMarkings = "its markings cannot be said in this format, only in stix"
)

// short reports whether a TLP marking and one of PAP say all that a row's markings
// say, so that nothing is lost where there is room for no more. Each handling is
// judged once.
func (o *out) short(r *Row) bool {
	yes, ok := o.judged[r.Item.Handling]
	if ok && r.Item.Handling != 0 {
		return yes
	}
	h := r.Handling
	yes = marking.OfTLP(h.TLP()).Handling().Join(marking.OfPAP(h.PAP()).Handling()).Dominates(h)
	o.judged[r.Item.Handling] = yes
	return yes
}

// markings are what a bundle has to say of one handling.
type markings struct {
	refs        []byte // members of object_marking_refs, each in quotes; nil for TLP alone
	definitions []stix.Marking
}

// author is who writes the markings.
func (p *Identity) author() marking.Author {
	return marking.Author{Identity: p.ID, Custodian: p.Custodian, Guide: p.Guide, Since: p.Created}
}

// marks gives what the bundle has to say of a row's handling. Handlings are few:
// each is worked out once.
func (b *bundle) marks(r *Row) *markings {
	m := b.known[r.Item.Handling]
	if m != nil && r.Item.Handling != 0 {
		return m
	}
	refs, definitions := r.Handling.Markings(b.opt.Program.author())
	m = &markings{}
	if len(refs) == 1 {
		refs = nil
	}
	for i, ref := range refs {
		if i > 0 {
			m.refs = append(m.refs, ',')
		}
		m.refs = append(append(append(m.refs, '"'), ref...), '"')
	}
	for _, d := range definitions {
		m.definitions = append(m.definitions, *d)
	}
	b.known[r.Item.Handling] = m
	return m
}

// define writes the marking definitions that an object needs, each once.
func (b *bundle) define(tlp contract.TLP, more []stix.Marking) error {
	if !b.defined[tlp.Ref()] {
		raw, ok := stix.TLPDefinition(tlp.Ref())
		if !ok {
			return fmt.Errorf("export: there is no marking-definition of TLP:%s", tlp)
		}
		b.defined[tlp.Ref()] = true
		b.object(raw)
	}
	for i := range more {
		if b.defined[more[i].ID] {
			continue
		}
		raw, err := more[i].Append(nil)
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		b.defined[more[i].ID] = true
		b.object(raw)
	}
	return nil
}

// remark puts all markings of an object where the form of released indicators has
// the one of TLP.
func remark(raw []byte, tlp contract.TLP, m *markings) []byte {
	if m.refs == nil {
		return raw
	}
	one := []byte(`"object_marking_refs":["` + tlp.Ref() + `"]`)
	return bytes.Replace(raw, one, append(append([]byte(`"object_marking_refs":[`), m.refs...), ']'), 1)
}
