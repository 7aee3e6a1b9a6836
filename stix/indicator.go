package stix

import (
	"errors"
	"fmt"
	"time"
)

// Indicator is what section 4.7 adds to the common properties.
type Indicator struct {
	*Object
	Name           string
	Description    string
	Types          []string // indicator_types
	Pattern        string
	PatternType    string
	PatternVersion string
	ValidFrom      time.Time
	ValidUntil     time.Time // zero if absent
	Labels         []string
	KillChain      []string // chain and phase, as "lockheed-martin-cyber-kill-chain/delivery"
}

// Indicator reads an object of type indicator and checks what the standard
// demands of it. The pattern is not parsed.
func (o *Object) Indicator() (*Indicator, error) {
	if o.Type != "indicator" {
		return nil, fmt.Errorf("%s is not an indicator", o.Type)
	}
	var name, description, types, pattern, language, version, from, until, labels, chain uint32
	nodes := o.tape.nodes
	for i := uint32(1); i < uint32(len(nodes)); i = nodes[i].next { //nolint:gosec // at most maxText
		switch o.tape.name(i) {
		case "name":
			name = i + 1
		case "description":
			description = i + 1
		case "indicator_types":
			types = i + 1
		case "pattern":
			pattern = i + 1
		case "pattern_type":
			language = i + 1
		case "pattern_version":
			version = i + 1
		case "valid_from":
			from = i + 1
		case "valid_until":
			until = i + 1
		case "labels":
			labels = i + 1
		case "kill_chain_phases":
			chain = i + 1
		}
	}
	v := o.Value()
	r := fields{v: v}
	x := &Indicator{
		Object: o, Name: r.strOf(v.at(name), "name", false), Description: r.strOf(v.at(description), "description", false),
		Types: r.listOf(v.at(types), "indicator_types"), Pattern: r.strOf(v.at(pattern), "pattern", true),
		PatternType:    r.strOf(v.at(language), "pattern_type", o.SpecVersion != "2.0"),
		PatternVersion: r.strOf(v.at(version), "pattern_version", false),
		ValidFrom:      r.timeOf(v.at(from), "valid_from"), ValidUntil: r.timeOf(v.at(until), "valid_until"),
		Labels: r.listOf(v.at(labels), "labels"),
	}
	if x.PatternType == "" {
		x.PatternType = "stix" // STIX 2.0 knows no other
	}
	var err error
	x.KillChain, err = killChain(v.at(chain))
	switch {
	case err != nil:
		return nil, err
	case r.err != nil:
		return nil, r.err
	case o.Created.IsZero() || o.Modified.IsZero() || x.ValidFrom.IsZero():
		return nil, &PropertyError{Name: "valid_from", Fault: Missing, Err: errors.New("created, modified and valid_from are required")}
	case !x.ValidUntil.IsZero() && !x.ValidUntil.After(x.ValidFrom):
		return nil, errors.New("valid_until is not after valid_from")
	}
	return x, nil
}

// killChain reads kill_chain_phases (section 2.11).
func killChain(v Value) ([]string, error) {
	var out []string
	for _, p := range v.Items() {
		k := fields{v: p}
		out = append(out, k.str("kill_chain_name", true)+"/"+k.str("phase_name", true))
		if k.err != nil {
			return nil, fmt.Errorf("kill_chain_phases: %w", k.err)
		}
	}
	return out, nil
}
