package marking

import (
	"strings"

	"ecs/contract"
	"ecs/stix"
)

// Parse reads a marking as people write it in columns and tags: "TLP:AMBER+STRICT",
// "tlp:white", "amber", "PAP:GREEN", "U//FOUO", "S//SI//REL TO USA, GBR",
// "CUI//SP-CTI". What it does not know becomes an unknown mark, never an error.
func Parse(words string) Mark {
	s := strings.Join(strings.Fields(words), " ")
	for _, read := range []func(string) (Mark, bool){traffic, banner, tag} {
		m, ok := read(s)
		if ok {
			return m
		}
	}
	return Unknown(words)
}

// traffics are the spellings of TLP and PAP, in lower case, and their identifiers.
var traffics = func() map[string]Mark {
	out := map[string]Mark{"pap:white": papMarks[PAPClear]}
	spellings := map[string]contract.TLP{
		"white": contract.Clear, "amber-strict": contract.AmberStrict, "amber strict": contract.AmberStrict, "amber_strict": contract.AmberStrict,
	}
	for i := range tlpMarks {
		spellings[contract.TLP(i).String()] = contract.TLP(i)
		out[contract.TLP(i).Ref()] = tlpMarks[i]
	}
	for word, t := range spellings {
		out[word], out["tlp:"+word] = tlpMarks[t], tlpMarks[t]
	}
	for i, m := range papMarks {
		out["pap:"+strings.ToLower(papNames[i])] = m
	}
	for ref, p := range papRefs {
		out[ref] = papMarks[p]
	}
	return out
}()

// traffic reads marks of TLP and PAP, and their identifiers of both generations.
func traffic(s string) (Mark, bool) {
	s = strings.ToLower(s)
	s = strings.Replace(s, ": ", ":", 1)
	m, ok := traffics[s]
	if ok {
		return m, true
	}
	name, ok := stix.TLP(s)
	if !ok {
		return Mark{}, false
	}
	m, ok = traffics[name]
	return m, ok
}

// FromSTIX reads a marking by its identifier and, where the delivery had it, its
// marking-definition; m is nil when it had not. The fixed identifiers of TLP and PAP
// count whatever a definition of theirs says, as the standards want.
func FromSTIX(id string, m *stix.Marking) Mark {
	mark, ok := traffic(id)
	if ok {
		return mark
	}
	if m == nil || !m.Known() && len(m.Unknown) == 0 {
		return Unknown(id)
	}
	h := Handling{read: true}
	kind, name, who := KindUnknown, clean(id), false
	if m.TLP != "" {
		t := Parse("tlp:" + m.TLP)
		h, kind, name, who = h.Join(t.Handling()), KindTLP, t.name, true
	}
	if m.Statement != "" {
		s := Statement(m.Statement)
		h, kind, name, who = h.Join(s.Handling()), s.kind, s.name, who || s.who
	}
	if m.IEP != nil {
		h, kind, name, who = h.Join(fromIEP(m.IEP)), KindIEP, "IEP "+clean(m.IEP.ID), who || m.IEP.TLP != ""
	}
	if m.CUI != nil {
		h, kind, name, who = h.Join(fromCUI(m.CUI)), KindCUI, m.CUI.Control, true
	}
	if m.ACS != nil {
		h, kind, name, who = h.Join(fromACS(m.ACS)), KindACS, "ACS "+clean(m.ACS.Identifier), true
	}
	for _, what := range m.Unknown {
		h, kind, name = h.Join(Unknown(id+" "+what).Handling()), KindUnknown, clean(id)
	}
	return newMark(kind, name, who, h)
}
