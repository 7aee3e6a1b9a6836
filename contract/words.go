package contract

import (
	"fmt"
	"strings"
)

// Services is a set of the three countermeasures of the program, one bit each.
type Services uint8

// The three services.
const (
	DNS     Services = 1 << iota // DNS sinkholing
	SMTP                         // SMTP filtering
	NetFlow                      // NetFlow analysis

	AllServices = DNS | SMTP | NetFlow
)

var serviceNames = [...]string{"dns", "smtp", "netflow"}

// Has reports whether s holds every service of t.
func (s Services) Has(t Services) bool { return t != 0 && s&t == t }

// Each lists the services of s one by one, in a fixed order.
func (s Services) Each() []Services {
	var out []Services
	for i := range serviceNames {
		if s&(1<<i) != 0 {
			out = append(out, 1<<i)
		}
	}
	return out
}

// String gives the names joined by commas, "none" for the empty set.
func (s Services) String() string {
	var out []string
	for i, n := range serviceNames {
		if s&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ",")
}

// ParseServices reads names joined by commas, or "all".
func ParseServices(text string) (Services, error) {
	if text == "all" {
		return AllServices, nil
	}
	var s Services
	for _, n := range strings.Split(text, ",") {
		v, err := parseEnum("service", serviceNames[:], strings.TrimSpace(n))
		if err != nil {
			return 0, err
		}
		s |= 1 << v
	}
	return s, nil
}

// MarshalText implements [encoding.TextMarshaler].
func (s Services) MarshalText() ([]byte, error) {
	if s&^AllServices != 0 {
		return nil, fmt.Errorf("contract: unknown service bits %#x", uint8(s))
	}
	return []byte(s.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Services) UnmarshalText(b []byte) error {
	if string(b) == "none" {
		*s = 0
		return nil
	}
	v, err := ParseServices(string(b))
	*s = v
	return err
}

// Category says what kind of malicious activity an indicator identifies. The
// list is closed on purpose: the program blocks what is malicious, not what is
// unwanted.
type Category uint8

// The categories.
const (
	Other Category = iota
	CommandAndControl
	Phishing
	Delivery
	Exfiltration
	Scanning
)

var categoryNames = [...]string{"other", "c2", "phishing", "delivery", "exfiltration", "scanning"}

// String gives the category's name.
func (c Category) String() string { return enumName(categoryNames[:], int(c)) }

// MarshalText implements [encoding.TextMarshaler].
func (c Category) MarshalText() ([]byte, error) { return enumText(categoryNames[:], int(c)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *Category) UnmarshalText(b []byte) error {
	v, err := parseEnum("category", categoryNames[:], string(b))
	*c = Category(v)
	return err
}

// Action is what a provider is asked to do with a match, and what it did.
type Action uint8

// The actions. Shadow counts a match and changes nothing.
const (
	Alert Action = iota
	Sinkhole
	Quarantine
	Shadow
)

var actionNames = [...]string{"alert", "sinkhole", "quarantine", "shadow"}

// String gives the action's name.
func (a Action) String() string { return enumName(actionNames[:], int(a)) }

// MarshalText implements [encoding.TextMarshaler].
func (a Action) MarshalText() ([]byte, error) { return enumText(actionNames[:], int(a)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Action) UnmarshalText(b []byte) error {
	v, err := parseEnum("action", actionNames[:], string(b))
	*a = Action(v)
	return err
}

// TLP is a Traffic Light Protocol 2.0 marking, ordered from the most open to
// the most restrictive, so that the strictest of several is their maximum.
type TLP uint8

// The markings of FIRST TLP 2.0.
const (
	Clear TLP = iota
	Green
	Amber
	AmberStrict
	Red
)

var tlpNames = [...]string{"clear", "green", "amber", "amber+strict", "red"}

// The marking-definition identifiers published with the STIX TLP 2.0 extension.
var tlpRefs = [...]string{
	"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
	"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
	"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
	"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
	"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}

// String gives the marking's name in lower case.
func (t TLP) String() string { return enumName(tlpNames[:], int(t)) }

// Ref gives the identifier of the marking-definition object.
func (t TLP) Ref() string { return enumName(tlpRefs[:], int(t)) }

// MarshalText implements [encoding.TextMarshaler].
func (t TLP) MarshalText() ([]byte, error) { return enumText(tlpNames[:], int(t)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *TLP) UnmarshalText(b []byte) error {
	v, err := parseEnum("TLP marking", tlpNames[:], string(b))
	*t = TLP(v)
	return err
}

// TLPByRef finds a TLP 2.0 marking by the identifier of its marking-definition.
func TLPByRef(ref string) (TLP, bool) {
	for i, r := range tlpRefs {
		if r == ref {
			return TLP(i), true
		}
	}
	return 0, false
}

func enumName(names []string, v int) string {
	if v < 0 || v >= len(names) {
		return "unknown"
	}
	return names[v]
}

func enumText(names []string, v int) ([]byte, error) {
	if v < 0 || v >= len(names) {
		return nil, fmt.Errorf("contract: value %d is outside the closed list %v", v, names)
	}
	return []byte(names[v]), nil
}

func parseEnum(what string, names []string, s string) (int, error) {
	for i, n := range names {
		if n == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q: want one of %s", what, s, strings.Join(names, ", "))
}
