package observable

import (
	"slices"
	"strconv"
	"strings"

	"ecs/stix/pattern"
)

// Pattern gives the canonical STIX pattern of one atom.
func Pattern(a Atom) string {
	path, op, value := spelling(a)
	if path == "" {
		return "[" + value + "]"
	}
	return "[" + path + " " + op + " " + value + "]"
}

// PatternOf gives the canonical STIX pattern that is in force when any of the
// atoms, which are in the order of [Compare], is seen. It is one observation
// (conformance level 1), with IN for several values of one path; narrowed atoms
// come last. There must be at least one atom.
func PatternOf(atoms []Atom) string {
	if len(atoms) == 1 {
		return Pattern(atoms[0])
	}
	type group struct {
		path, op string
		values   []string
	}
	var groups []group
	var last []string
	for _, a := range atoms {
		path, op, value := spelling(a)
		if path == "" {
			last = append(last, value)
			continue
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.path == path && g.op == op && op == "=" })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{path: path, op: op})
		}
		groups[i].values = append(groups[i].values, value)
	}
	parts := make([]string, 0, len(groups)+len(last))
	for _, g := range groups {
		if len(g.values) > 1 {
			parts = append(parts, g.path+" IN ("+strings.Join(g.values, ", ")+")")
		} else {
			parts = append(parts, g.path+" "+g.op+" "+g.values[0])
		}
	}
	// AND binds tighter than OR, so no part needs parentheses.
	return "[" + strings.Join(append(parts, last...), " OR ") + "]"
}

// spelling gives path, operator and constant; for a narrowed atom the whole
// expression as the constant.
func spelling(a Atom) (path, op, value string) {
	value, op = pattern.Quote(a.Value), "="
	if a.Kind == Prefix {
		op = "ISSUBSET"
	}
	if a.Kind == Port && a.Proto == 0 {
		return "network-traffic:dst_port", "=", strconv.Itoa(int(a.Port))
	}
	if a.Port != 0 || a.Proto != 0 {
		var all []string
		if a.Kind != Port {
			all = append(all, "network-traffic:dst_ref.value "+op+" "+value)
		}
		if a.Port != 0 {
			all = append(all, "network-traffic:dst_port = "+strconv.Itoa(int(a.Port)))
		}
		if a.Proto != 0 {
			all = append(all, "network-traffic:protocols[*] = "+pattern.Quote(protocolName(a.Proto)))
		}
		return "", "", strings.Join(all, " AND ")
	}
	switch a.Kind {
	case Domain:
		path = "domain-name:value"
	case Addr, Prefix:
		path = "ipv4-addr:value"
		if familyOf(a.Value) == "ipv6" {
			path = "ipv6-addr:value"
		}
	case URL:
		path = "url:value"
	case Mail:
		path = "email-addr:value"
	case Subject:
		path = "email-message:subject"
	case FileName:
		path = "file:name"
	case MD5:
		path = "file:hashes.MD5"
	case SHA1:
		path = "file:hashes.'SHA-1'"
	case SHA256:
		path = "file:hashes.'SHA-256'"
	default:
		path = "file:hashes.'SHA-512'"
	}
	return path, op, value
}
