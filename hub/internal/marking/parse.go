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
	m, ok := traffic(s)
	if ok {
		return m
	}
	return Unknown(words)
}

var traffics = map[string]Mark{}

func init() {
	for i, m := range tlpMarks {
		name := contract.TLP(i).String()
		traffics[name], traffics["tlp:"+name] = m, m
		traffics[contract.TLP(i).Ref()] = m
	}
	for name, t := range map[string]contract.TLP{"white": contract.Clear, "amber-strict": contract.AmberStrict, "amber strict": contract.AmberStrict, "amber_strict": contract.AmberStrict} {
		traffics[name], traffics["tlp:"+name] = tlpMarks[t], tlpMarks[t]
	}
	for i, m := range papMarks {
		traffics["pap:"+strings.ToLower(papNames[i])] = m
	}
	traffics["pap:white"] = papMarks[PAPClear]
	for ref, p := range papRefs {
		traffics[ref] = papMarks[p]
	}
}

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
// marking-definition; m is nil when it had not.
func FromSTIX(id string, m *stix.Marking) Mark {
	mark, ok := traffic(id)
	if ok {
		return mark
	}
	if m != nil && m.TLP != "" {
		return Parse("tlp:" + m.TLP)
	}
	return Unknown(id)
}
