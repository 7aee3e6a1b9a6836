package marking

import (
	"crypto/sha1" //nolint:gosec // see define
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecs/stix"
)

// Author is who writes the markings of release objects: the program. The same
// author writes the same markings for the same handling, under the same
// identifiers.
type Author struct {
	Identity  string    // identifier of the program's identity object
	Custodian string    // of ACS markings, such as "USA.DHS"; empty: none are written
	Guide     string    // of ACS identifiers: "19001", or "999191" for tests
	Since     time.Time // when the program began; what its markings were created
}

// Digest gives the SHA-256 of the text in hexadecimal. A text may be some kilobytes
// long; a database that indexes handlings does better to index this.
func (h Handling) Digest() string {
	sum := sha256.Sum256([]byte(h.String()))
	return hex.EncodeToString(sum[:])
}

// Markings gives what to write into object_marking_refs of a release object, and
// those of the marking-definitions that have to go along. There is one reference for
// TLP 2.0; one for PAP, if it restricts; ACS 3.0 markings if the handling came from
// such and is unclassified; and, for what these cannot say, a statement with the
// whole text. Reading them back by [FromSTIX] and [Combine] gives the same
// handling. The zero Handling has no markings: what was never marked cannot be
// released.
func (h Handling) Markings(by Author) (refs []string, definitions []*stix.Marking) {
	if !h.read {
		return nil, nil
	}
	refs = []string{h.tlp.Ref()}
	said := OfTLP(h.tlp).Handling()
	if h.pap != PAPClear {
		refs = append(refs, papRef(h.pap))
		said = said.Join(OfPAP(h.pap).Handling())
	}
	if by.Custodian != "" && !scope(h.who).empty() && !h.controls.contains(everything) && h.level == Unclassified && slices.ContainsFunc(h.rules, fromACSRule) {
		for _, a := range h.acs() {
			read := fromACS(a)
			if !h.Dominates(read) || said.Dominates(read) {
				continue
			}
			said = said.Join(read)
			m := by.acs(a)
			refs, definitions = append(refs, m.ID), append(definitions, m)
		}
	}
	if !said.Equal(h) {
		m := by.define("statement " + h.String())
		m.Statement = statementPrefix + h.String()
		refs, definitions = append(refs, m.ID), append(definitions, m)
	}
	return refs, definitions
}

func papRef(p PAP) string {
	refs := map[PAP]string{
		PAPClear: "marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92",
		PAPGreen: "marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9",
		PAPAmber: "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab",
		PAPRed:   "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e",
	}
	return refs[p]
}

func fromACSRule(r rule) bool { return len(r.code) > 4 && r.code[:4] == "acs-" }

// acs gives ACS markings that say the ACS part of a handling: one, and more when
// an action is limited by several scopes, which one policy cannot say.
func (h Handling) acs() []*stix.ACS {
	first := blank()
	first.Control.Scope = stixScope(h.who)
	for _, name := range h.controls {
		if category, ok := strings.CutPrefix(name, authority); ok {
			first.Control.Authority = append(first.Control.Authority, category)
		} else {
			first.Control.SCI = append(first.Control.SCI, name)
		}
	}
	first.DisposeAt = h.dispose
	if len(h.how) > 0 {
		first.DisposeHow = h.how[0]
	}
	out := []*stix.ACS{first}
	at := func(i int) *stix.ACS {
		for len(out) <= i {
			out = append(out, blank())
		}
		return out[i]
	}
	ecs := says(h.rules, rule{code: "acs-ecs"})
	limited := slices.ContainsFunc(h.who[:], func(a audience) bool { return a.limited })
	for code, n := "", 0; len(h.rules) > 0; h.rules = h.rules[1:] {
		r := h.rules[0]
		if r.code != code {
			code, n = r.code, 0
		}
		if word := acsWordOf(r.code); word != "" {
			switch r.code {
			case "acs-fouo":
				first.Control.Determinations = append(first.Control.Determinations, word)
			case "acs-fisa", "acs-possiblepii", "acs-cisaproprietary":
				first.Control.Caveats = append(first.Control.Caveats, word)
			default:
				first.Control.Sensitivities = append(first.Control.Sensitivities, word)
			}
			continue
		}
		if n == 0 && (r.code == "acs-sharing" && ecs || r.arg != "" && limited) {
			n++ // in the first, sensitivity and control set would change its meaning
		}
		r.write(at(n))
		n++
	}
	for _, a := range out {
		complete(a)
	}
	return out
}

// complete permits what a policy that permits some actions by name leaves out.
func complete(a *stix.ACS) {
	if a.DefaultPermit {
		return
	}
	for _, x := range acsActions {
		if !slices.ContainsFunc(a.Privileges, func(p stix.Privilege) bool { return p.Action == x.action }) {
			a.Privileges = append(a.Privileges, stix.Privilege{Action: x.action, Permit: true, Scope: all()})
		}
	}
}

func acsWordOf(code string) string {
	for word, c := range acsWords {
		if c == code && c != "" {
			return word
		}
	}
	return ""
}

// blank gives an ACS marking that restricts nothing.
func blank() *stix.ACS {
	a := &stix.ACS{DefaultPermit: true, ShareDefault: true}
	a.Control.Classification = Unclassified.String()
	return a
}

// write says one rule of an action or of sharing in an ACS marking. Privileges are
// permitted by default there, so that a permit to some is a deny to all others.
func (r rule) write(a *stix.ACS) {
	if r.code == "acs-sharing" || r.code == "acs-further" {
		r.writeSharing(a)
		return
	}
	for _, x := range acsActions {
		if x.code != r.code {
			continue
		}
		permit, scopes, err := readScoped(r.arg)
		switch {
		case err != nil || slices.ContainsFunc(scopes, scope.empty): // everybody
			a.Privileges = append(a.Privileges, stix.Privilege{Action: x.action, Scope: all()})
		case !permit:
			a.Privileges = append(a.Privileges, stix.Privilege{Action: x.action, Scope: stixScope(scopes[0])})
		default:
			a.DefaultPermit = false
			for _, s := range scopes {
				a.Privileges = append(a.Privileges, stix.Privilege{Action: x.action, Permit: true, Scope: stixScope(s)})
			}
		}
	}
}

func (r rule) writeSharing(a *stix.ACS) {
	permit, scopes, err := readScoped(r.arg)
	a.ShareDefault = err == nil && !permit
	for _, s := range scopes {
		names := []string{"ALL"}
		if s[organizations].limited {
			names = s[organizations].names
		}
		a.Sharing = append(a.Sharing, stix.Sharing{Scope: names, Permit: permit})
	}
}

func all() stix.Scope {
	return stix.Scope{Nationalities: []string{"ALL"}, Organizations: []string{"ALL"}, Shareability: []string{"ALL"}, Entities: []string{"ALL"}}
}

func stixScope(s scope) stix.Scope {
	return stix.Scope{Nationalities: s[0].names, Organizations: s[1].names, Shareability: s[2].names, Entities: s[3].names}
}

// acs completes a marking with what says whose it is.
func (by Author) acs(a *stix.ACS) *stix.Marking {
	a.Policy = "urn:isa:policy:acs:ns:v3.0?privdefault=" + effectWord(a.DefaultPermit) + "&sharedefault=" + effectWord(a.ShareDefault)
	a.Custodian, a.Created = by.Custodian, by.Since
	m := by.define("ACS " + fromACS(a).String() + strconv.FormatBool(a.DefaultPermit))
	a.Identifier = "isa:guide." + by.Guide + ".ACS3-" + strings.TrimPrefix(m.ID, "marking-definition--")
	m.ACS = a
	return m
}

func effectWord(permit bool) string {
	if permit {
		return "permit"
	}
	return "deny"
}

// namespace is that of the identifiers of markings that follow from what they say.
var namespace = [16]byte{0x4f, 0x1d, 0x7a, 0x52, 0x96, 0x0b, 0x4c, 0x8e, 0xa3, 0x35, 0x2b, 0xe0, 0x71, 0xc9, 0x58, 0xd4}

// define begins a marking-definition whose identifier follows from what it says:
// they have no versions (STIX 2.1 section 7.2.1), so that the same identifier has to
// say the same for ever.
func (by Author) define(what string) *stix.Marking {
	sum := sha1.New() //nolint:gosec // UUID version 5 is defined on SHA-1 (RFC 9562 section 5.5); nothing rests on its strength
	for _, part := range []string{string(namespace[:]), by.Identity, by.Custodian, by.Guide, by.Since.UTC().Format(time.RFC3339Nano), what} {
		_, _ = sum.Write([]byte(part + "\n"))
	}
	u := sum.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0f|0x50, u[8]&0x3f|0x80
	s := hex.EncodeToString(u)
	return &stix.Marking{
		ID:      "marking-definition--" + s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:],
		Created: by.Since, CreatedBy: by.Identity,
	}
}
