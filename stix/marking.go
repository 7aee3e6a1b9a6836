package stix

import (
	"fmt"
	"slices"
	"time"
)

// Marking is what a marking-definition says. One that says something that this
// package does not know has Unknown, and one that says nothing is unknown, too
// ([Marking.Known]): an object that carries it must not be passed on.
type Marking struct {
	ID        string
	Name      string
	Created   time.Time // zero if absent
	CreatedBy string    // "" if absent
	Markings  []string  // of the marking-definition itself

	// TLP is the name in TLP 2.0, also of foreign copies under other identifiers;
	// TLPRef the fixed identifier that stands for it, of the generation that it
	// came in.
	TLP       string
	TLPRef    string
	Statement string
	ACS       *ACS
	CUI       *CUI
	IEP       *IEP

	// Unknown names what was not understood: definition types, extensions, and
	// properties within known extensions.
	Unknown []string // at most 16
}

// Known tells whether the marking says something, and all of it was understood.
func (m *Marking) Known() bool {
	return len(m.Unknown) == 0 && (m.TLP != "" || m.Statement != "" || m.ACS != nil || m.CUI != nil || m.IEP != nil)
}

// Marking reads an object of type marking-definition (section 7.2.1). Where
// several say different things of TLP, the strictest counts.
func (o *Object) Marking() (*Marking, error) {
	if o.Type != "marking-definition" {
		return nil, fmt.Errorf("%s is not a marking-definition", o.Type)
	}
	r := fields{v: o.Value()}
	m := &Marking{ID: o.ID, Name: r.str("name", false), Created: o.Created, CreatedBy: o.CreatedBy, Markings: o.Markings}
	m.TLP, _ = TLP(o.ID)
	m.TLPRef, _ = TLPRef(m.TLP, isTLP2(o.ID))
	m.definition(&r)
	for name, v := range o.Get("extensions").Members() {
		err := m.extension(name, v)
		if err != nil {
			return nil, err
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	m.TLPRef, _ = TLPRef(m.TLP, isTLP2(m.TLPRef) || m.TLP == "amber+strict")
	return m, nil
}

// definition reads what STIX 2.1 itself has: TLP 1.0 and statements.
func (m *Marking) definition(r *fields) {
	kind := r.str("definition_type", false)
	d := fields{v: r.v.Get("definition")}
	switch kind {
	case "":
	case "tlp":
		name := tlpName(d.str("tlp", true))
		if name == "" {
			d.wrong("tlp", BadValue, "unknown TLP marking")
		}
		m.TLP = stricterTLP(m.TLP, name)
	case "statement":
		m.Statement = d.str("statement", true)
	default:
		m.Unknown = append(m.Unknown, "definition_type "+clip(kind))
	}
	r.merge(d)
}

func (m *Marking) extension(name string, v Value) (err error) {
	if v.Kind() != Members {
		return wrong("extensions", WrongType, "extension %s is not an object", clip(name))
	}
	r := fields{v: v}
	switch name {
	case TLPExtension:
		tlp := tlpName(r.str("tlp_2_0", true))
		if tlp == "" {
			r.wrong("tlp_2_0", BadValue, "unknown TLP marking")
		}
		m.TLPRef, _ = TLPRef(tlp, true) // which says the generation, for now
		m.TLP = stricterTLP(m.TLP, tlp)
		m.others(v, name, "extension_type", "tlp_2_0")
	case ACSExtension:
		m.ACS, err = m.readACS(v)
	case CUIExtension:
		m.CUI, err = m.readCUI(v)
	case IEPExtension:
		m.IEP, err = m.readIEP(v)
	default:
		if len(m.Unknown) < 16 {
			m.Unknown = append(m.Unknown, clip(name))
		}
	}
	if err == nil {
		err = r.err
	}
	return err
}

// others remembers the properties of an object that are not among those known.
func (m *Marking) others(v Value, where string, known ...string) {
	for name := range v.Members() {
		if !slices.Contains(known, name) && len(m.Unknown) < 16 {
			m.Unknown = append(m.Unknown, where+"."+clip(name))
		}
	}
}

// Append appends the marking-definition in the form of the standard and in
// canonical JSON. TLP is written as the generation that it was read in, as 2.0
// otherwise. What was unknown is not written: for that the bytes that came are
// kept by whoever has them.
func (m *Marking) Append(dst []byte) ([]byte, error) {
	if len(m.Unknown) > 0 {
		return dst, fmt.Errorf("stix: marking %s has parts that are not known (%s); pass on the bytes that came", m.ID, m.Unknown[0])
	}
	if !m.Known() {
		return dst, fmt.Errorf("stix: marking %s says nothing; give it a TLP name, a statement, ACS, CUI or IEP", m.ID)
	}
	d := NewDraft("marking-definition", m.ID, m.Created, m.Created)
	d.members = slices.DeleteFunc(d.members, func(x member) bool { return x.name == "modified" }) // they have no versions
	d.Str("name", m.Name).Str("created_by_ref", m.CreatedBy).List("object_marking_refs", m.Markings)
	ext := &Draft{}
	if m.TLP != "" {
		m.appendTLP(d, ext)
	}
	if m.Statement != "" {
		d.Str("definition_type", "statement").Object("definition", new(Draft).Str("statement", m.Statement))
	}
	if m.ACS != nil {
		ext.Object(ACSExtension, m.ACS.draft())
	}
	if m.CUI != nil {
		ext.Object(CUIExtension, m.CUI.draft())
	}
	if m.IEP != nil {
		ext.Object(IEPExtension, m.IEP.draft())
	}
	return d.Object("extensions", ext).Append(dst)
}

func (m *Marking) appendTLP(d, ext *Draft) {
	fixed, isFixed := TLP(m.ID)
	two := isTLP2(m.TLPRef)
	switch {
	case isFixed && fixed != m.TLP:
		d.fail(fmt.Errorf("the identifier stands for TLP %s, not for %s", fixed, m.TLP))
	case isFixed && !two:
		i := slices.IndexFunc(tlpRows, func(r tlpRow) bool { return r.name == m.TLP })
		d.Str("definition_type", "tlp").Object("definition", new(Draft).Str("tlp", tlpRows[i].old))
	case !two:
		d.fail(fmt.Errorf("TLP has fixed identifiers, of which %s is none: refer to that of TLPRef instead", m.ID))
	default:
		ext.Object(TLPExtension, propertyExtension().Str("tlp_2_0", m.TLP))
	}
}

func propertyExtension() *Draft { return new(Draft).Str("extension_type", "property-extension") }
