package stix

import (
	"fmt"
	"strings"
)

// tlpRefs are the identifiers of the marking-definitions of the Traffic Light
// Protocol: 2.0 (extension published by OASIS) and 1.0 (STIX 2.1 section 7.2.1.4).
var tlpRefs = map[string]string{
	"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "clear",
	"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "green",
	"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "amber",
	"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "amber+strict",
	"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "red",
	"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "clear", // white
	"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "green",
	"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "amber",
	"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "red",
}

// Extensions that this package reads.
const (
	tlpExtension = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
	// ACSExtension names the ACS 3.0 marking extension.
	ACSExtension = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"
)

// TLP gives the name in TLP 2.0 ("clear", "green", "amber", "amber+strict",
// "red") of a marking by its identifier, for both generations; white is clear.
func TLP(ref string) (name string, ok bool) {
	name, ok = tlpRefs[strings.ToLower(ref)]
	return name, ok
}

// Marking is what a marking-definition says, as far as this package knows. If
// all of TLP, Statement and ACS are empty, the marking is unknown, and an object
// that carries it must not be passed on.
type Marking struct {
	ID        string
	Name      string
	TLP       string // name in TLP 2.0, also of foreign copies under other identifiers
	Statement string
	ACS       *ACS
}

// Marking reads an object of type marking-definition (section 7.2.1).
func (o *Object) Marking() (*Marking, error) {
	if o.Type != "marking-definition" {
		return nil, fmt.Errorf("%s is not a marking-definition", o.Type)
	}
	r := fields{v: o.Value()}
	out := &Marking{ID: o.ID, Name: r.str("name", false)}
	out.TLP, _ = TLP(o.ID)
	kind := r.str("definition_type", false)
	d := fields{v: o.Get("definition")}
	switch kind {
	case "tlp":
		out.TLP = tlpName(d.str("tlp", true))
		if out.TLP == "" {
			d.fail("unknown TLP marking")
		}
	case "statement":
		out.Statement = d.str("statement", true)
	}
	extensions := o.Get("extensions")
	if m := extensions.Get(tlpExtension); m.Kind() == Members {
		x := fields{v: m}
		out.TLP = tlpName(x.str("tlp_2_0", true))
		if out.TLP == "" {
			x.fail("unknown TLP marking")
		}
		d.merge(x)
	}
	if m := extensions.Get(ACSExtension); m.Kind() == Members {
		acs, err := readACS(m)
		if err != nil {
			return nil, fmt.Errorf("ACS marking: %w", err)
		}
		out.ACS = acs
	}
	r.merge(d)
	return out, r.err
}

// tlpName brings the names of both generations to those of 2.0, "" if unknown.
func tlpName(s string) string {
	s = strings.ToLower(strings.TrimPrefix(strings.ToUpper(s), "TLP:"))
	switch s {
	case "white":
		return "clear"
	case "clear", "green", "amber", "amber+strict", "red":
		return s
	}
	return ""
}
