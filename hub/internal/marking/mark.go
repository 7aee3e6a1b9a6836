package marking

import (
	"strings"
	"unicode"

	"ecs/contract"
)

// Kind is the system that a mark belongs to.
type Kind uint8

// The kinds. The zero Kind is that of the zero Mark.
const (
	KindNone Kind = iota
	KindUnknown
	KindTLP
	KindPAP
	KindACS
	KindCUI
	KindIEP
	KindBanner // a classification banner or portion mark
	KindStatement
	KindHandling // our own text, see [Handling.String]
)

var kindNames = [...]string{"none", "unknown", "TLP", "PAP", "ACS 3.0", "CUI", "IEP 2.0", "classification", "statement", "handling"}

// String gives the name.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Mark is one marking as it was read. The zero Mark denies everything. Marks are
// comparable, but two equal readings need not be the same mark.
type Mark struct {
	kind     Kind
	name     string
	who      bool
	handling *Handling
}

// Kind gives the system that it belongs to.
func (m Mark) Kind() Kind { return m.kind }

// String gives the mark as people know it: "TLP:AMBER", or an identifier.
func (m Mark) String() string {
	if m.kind == KindNone {
		return "no marking"
	}
	return m.name
}

// Handling gives what the mark says alone.
func (m Mark) Handling() Handling {
	if m.handling == nil {
		return Handling{}
	}
	return *m.handling
}

// SaysWho tells whether the mark says who may have the item, as TLP does and PAP
// does not.
func (m Mark) SaysWho() bool { return m.who }

func newMark(k Kind, name string, who bool, h Handling) Mark {
	h.read = true
	h = open.Join(h) // within bounds
	return Mark{kind: k, name: name, who: who, handling: &h}
}

var (
	tlpMarks = func() (out [len(tlpRows)]Mark) {
		for i, r := range tlpRows {
			out[i] = newMark(KindTLP, r.mark, true, Handling{tlp: contract.TLP(i)})
		}
		return out
	}()
	papMarks = func() (out [len(papRows)]Mark) {
		for i, r := range papRows {
			out[i] = newMark(KindPAP, r.mark, false, Handling{pap: PAP(i)})
		}
		return out
	}()
)

// OfTLP gives the mark of a Traffic Light Protocol marking; one outside the closed
// list is unknown.
func OfTLP(t contract.TLP) Mark {
	if int(t) >= len(tlpMarks) {
		return Unknown("TLP")
	}
	return tlpMarks[t]
}

// OfPAP gives the mark of the Permissible Actions Protocol; one outside the closed
// list is unknown.
func OfPAP(p PAP) Mark {
	if int(p) >= len(papMarks) {
		return Unknown("PAP")
	}
	return papMarks[p]
}

// Unknown gives the mark of something that is not known here, by the name or
// identifier that it came under. It denies every use but holding, and keeps the
// item to the organization.
func Unknown(name string) Mark {
	name = clean(name)
	return newMark(KindUnknown, name, false, Handling{tlp: contract.AmberStrict, rules: []rule{{"unknown", name}}})
}

// Statement gives the mark of a free text (STIX 2.1 section 7.2.1.3). It denies
// nothing by itself, but a person has to read it and it goes with the item. A text
// that is one mark of TLP or PAP is that mark; where others name such marks, these
// count, too. A text of [Handling.String] after "Handling: " counts whole.
func Statement(words string) Mark {
	own, ok := strings.CutPrefix(words, statementPrefix)
	if ok {
		h, err := ParseHandling(own)
		if err == nil {
			return newMark(KindHandling, clean(own), true, h)
		}
	}
	m, ok := traffic(strings.TrimSpace(words))
	if ok {
		return m
	}
	h := Handling{read: true, rules: []rule{{"statement", clean(words)}}}
	for _, part := range strings.FieldsFunc(words, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;()[]\"'", r) }) {
		m, ok := traffic(strings.TrimRight(part, ".:"))
		if ok && strings.Contains(part, ":") {
			h = h.Join(m.Handling())
		}
	}
	return newMark(KindStatement, clean(words), false, h)
}

// statementPrefix begins a statement that carries a whole handling.
const statementPrefix = "Handling: "

// Granular gives the mark of one that stands on parts of an item, by their
// selectors (STIX 2.1 section 7.2.3.1): the whole item is handled as its strictest
// part, until that is torn off.
func Granular(m Mark, selectors ...string) Mark {
	where := clean(m.String() + " on " + strings.Join(newSet(selectors...), ", "))
	h := m.Handling().Join(Handling{read: true, rules: []rule{{"part", where}}})
	return Mark{kind: m.kind, name: where, who: m.who, handling: &h}
}

// clean brings a text of a source to one bounded line of printable characters, so
// that it cannot pretend to be something else where reasons are read. It is never
// empty, and what is clean stays as it is.
func clean(s string) string {
	if len(s) > 4*maxText {
		s = s[:4*maxText]
	}
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText-len("…")], "") + "…"
	}
	if s == "" {
		return "(empty)"
	}
	return s
}
