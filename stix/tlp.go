package stix

import (
	"slices"
	"strings"
	"time"
)

// tlpRows are the marking-definitions of the Traffic Light Protocol by their
// name in TLP 2.0, from the mildest: of TLP 1.0 (STIX 2.1 section 7.2.1.4) and
// of 2.0 (extension published by OASIS).
var tlpRows = []tlpRow{
	{"clear", "white", "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"},
	{"green", "green", "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"},
	{"amber", "amber", "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"},
	{"amber+strict", "", "", "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"},
	{"red", "red", "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"},
}

type tlpRow struct{ name, old, one, two string }

var tlpRefs = func() map[string]string {
	out := map[string]string{}
	for _, r := range tlpRows {
		out[r.two] = r.name
		if r.one != "" {
			out[r.one] = r.name
		}
	}
	return out
}()

// TLPExtension names the extension that carries TLP 2.0.
const TLPExtension = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"

// When the marking-definitions were published.
var (
	tlpOneCreated = time.Date(2017, 1, 20, 0, 0, 0, 0, time.UTC)
	tlpTwoCreated = time.Date(2022, 10, 1, 0, 0, 0, 0, time.UTC)
)

// TLP gives the name in TLP 2.0 ("clear", "green", "amber", "amber+strict",
// "red") of a marking by its identifier, for both generations; white is clear.
func TLP(ref string) (name string, ok bool) {
	name, ok = tlpRefs[ref]
	if !ok {
		name, ok = tlpRefs[strings.ToLower(ref)]
	}
	return name, ok
}

// TLPRef gives the fixed identifier of a TLP marking by its name in either
// generation ("clear" or "white"), for TLP 1.0 or 2.0. There is none for
// amber+strict in TLP 1.0: mark it amber there and say the rest in a statement.
func TLPRef(name string, two bool) (ref string, ok bool) {
	name = tlpName(name)
	for _, r := range tlpRows {
		if r.name == name {
			ref = r.one
			if two {
				ref = r.two
			}
		}
	}
	return ref, ref != ""
}

// isTLP2 tells whether an identifier is one of those of TLP 2.0.
func isTLP2(ref string) bool {
	return slices.ContainsFunc(tlpRows, func(r tlpRow) bool { return strings.EqualFold(r.two, ref) })
}

// tlpName brings the names of both generations to those of 2.0, "" if unknown.
func tlpName(s string) string {
	s = strings.ToLower(strings.TrimPrefix(strings.ToUpper(s), "TLP:"))
	for _, r := range tlpRows {
		if s == r.name || s == r.old && s != "" {
			return r.name
		}
	}
	return ""
}

// stricterTLP gives the stricter of two names, of which "" is none.
func stricterTLP(a, b string) string {
	rank := func(s string) int {
		for i, r := range tlpRows {
			if r.name == s {
				return i
			}
		}
		return -1
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// TLPDefinition gives the marking-definition of a fixed TLP identifier, as
// published.
func TLPDefinition(ref string) ([]byte, bool) {
	for _, r := range tlpRows {
		m := Marking{ID: ref, TLP: r.name, TLPRef: ref, Created: tlpTwoCreated}
		switch ref {
		case r.two:
			m.Name = "TLP:" + strings.ToUpper(r.name)
		case r.one:
			m.Name, m.Created = "TLP:"+strings.ToUpper(r.old), tlpOneCreated
		default:
			continue
		}
		b, err := m.Append(nil)
		return b, err == nil
	}
	return nil, false
}
