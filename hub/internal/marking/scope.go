package marking

import (
	"fmt"
	"slices"
	"strings"
)

// scope is a group of people, by the four properties of ACS 3.0.
type scope [properties]audience

// The words of the properties in texts.
var propertyWords = [properties]string{"REL", "ORG", "SHARE", "ENTITY"}

func (a audience) phrase(property int) string {
	if len(a.names) == 0 {
		return propertyWords[property] + " -"
	}
	return propertyWords[property] + " " + strings.Join(a.names, ",")
}

func (s scope) String() string {
	var parts []string
	for i, a := range s {
		if a.limited {
			parts = append(parts, a.phrase(i))
		}
	}
	return strings.Join(parts, " ")
}

// empty tells whether nobody can be in s.
func (s scope) empty() bool {
	return slices.ContainsFunc(s[:], func(a audience) bool { return a.limited && len(a.names) == 0 })
}

// within tells whether everybody in s is in o.
func (s scope) within(o scope) bool {
	for i := range s {
		if !s[i].within(o[i]) {
			return false
		}
	}
	return true
}

// readAudience reads "-" or names with commas, canonical.
func readAudience(words string) (audience, error) {
	if words == "-" {
		return only(), nil
	}
	names, err := readNames(words)
	return only(names...), err
}

func readNames(words string) ([]string, error) {
	names := strings.Split(words, ",")
	for _, name := range names {
		if !validName(name) {
			return nil, fmt.Errorf("%q is not a name: want A to Z, digits, dots, hyphens and underscores", name)
		}
	}
	return names, nil
}

// validName says what nationalities, organizations, controls and the like are
// spelt with. Other spellings are not taken: what cannot be written canonically
// could not be compared.
func validName(s string) bool {
	if s == "" || len(s) > 64 || s == "-" {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_')
	})
}

// readScope reads what String gives.
func readScope(words string) (s scope, err error) {
	fields := strings.Fields(words)
	for len(fields) >= 2 {
		i := slices.Index(propertyWords[:], fields[0])
		if i < 0 || s[i].limited {
			return s, fmt.Errorf("%q does not begin one more property of a scope", fields[0])
		}
		s[i], err = readAudience(fields[1])
		if err != nil {
			return s, err
		}
		fields = fields[2:]
	}
	if len(fields) > 0 {
		return s, fmt.Errorf("%q is left over in a scope", fields[0])
	}
	return s, nil
}

// A scoped argument is "only " and scopes with " or " between, or "not " and one
// scope: the rule does not deny to those, or denies only to those.

func exceptFor(scopes []scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = s.String()
	}
	return "only " + strings.Join(newSet(words...), " or ")
}

func against(s scope) string { return "not " + s.String() }

// readScoped reads such an argument.
func readScoped(arg string) (permit bool, scopes []scope, err error) {
	kind, rest, _ := strings.Cut(arg, " ")
	if kind != "only" && kind != "not" {
		return false, nil, fmt.Errorf("%q does not begin with only or not", arg)
	}
	for _, words := range strings.Split(rest, " or ") {
		s, err := readScope(words)
		if err != nil {
			return false, nil, err
		}
		scopes = append(scopes, s)
	}
	if kind == "only" && exceptFor(scopes) == arg || kind == "not" && len(scopes) == 1 && against(scopes[0]) == arg {
		return kind == "only", scopes, nil
	}
	return false, nil, fmt.Errorf("%q is not spelt as we spell a scope", arg)
}

// meets tells whether a rule strikes somebody. Whom a permit does not surely
// cover, or a denial does not surely leave out, it strikes.
func (r rule) meets(c Clearance) bool {
	if r.arg == "" || ruleRows[r.code].arg != scoped {
		return true
	}
	permit, scopes, err := readScoped(r.arg)
	if err != nil {
		return true
	}
	if permit {
		return !slices.ContainsFunc(scopes, c.in)
	}
	return !c.outside(scopes[0])
}
