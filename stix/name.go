package stix

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is how many bytes a display name has at most.
const maxName = 200

// shown are the properties that may name an object of a type, the best first;
// "name" comes before all of them.
var shown = map[string][]string{
	"indicator":            {"pattern"},
	"note":                 {"abstract", "content"},
	"opinion":              {"explanation", "opinion"},
	"language-content":     {"object_ref"},
	"malware":              {"aliases.[0]", "malware_types.[0]"},
	"grouping":             {"context"},
	"location":             {"street_address", "city", "administrative_area", "country", "region"},
	"malware-analysis":     {"result_name", "product"},
	"relationship":         {"relationship_type"},
	"marking-definition":   {"definition.statement", "definition.tlp"},
	"artifact":             {"url", "hashes", "mime_type"},
	"autonomous-system":    {"number"},
	"directory":            {"path"},
	"domain-name":          {"value"},
	"email-addr":           {"value"},
	"email-message":        {"subject"},
	"file":                 {"hashes"},
	"ipv4-addr":            {"value"},
	"ipv6-addr":            {"value"},
	"mac-addr":             {"value"},
	"network-traffic":      {"protocols.[0]"},
	"process":              {"command_line", "pid"},
	"url":                  {"value"},
	"user-account":         {"account_login", "user_id", "display_name"},
	"windows-registry-key": {"key"},
	"x509-certificate":     {"subject", "serial_number", "hashes"},
}

// Name gives a name to show to people, on one line and of at most 200 bytes: the
// property name if there is one, else what tells objects of the type apart, else
// the identifier. It is the source's text: escape it.
func (o *Object) Name() string {
	for _, path := range append([]string{"name"}, shown[o.Type]...) {
		v := o.Select(path)
		s := v.Str()
		switch v.Kind() {
		case Number:
			s = o.Type + " " + string(v.Raw())
		case Members: // hashes
			for n, x := range v.Members() {
				s = n + " " + x.Str()
				break
			}
		}
		s = oneLine(s)
		if s != "" {
			return s
		}
	}
	if lat, long := o.Get("latitude"), o.Get("longitude"); lat.Kind() == Number && long.Kind() == Number {
		return oneLine(string(lat.Raw()) + ", " + string(long.Raw()))
	}
	if n, ok := o.Get("number_observed").Int(); ok {
		return "observed-data, " + strconv.FormatInt(n, 10) + " times"
	}
	if of := o.Get("sighting_of_ref").Str(); of != "" {
		return oneLine("sighting of " + of)
	}
	return oneLine(o.ID)
}

// oneLine makes of white space and control characters single blanks, and clips.
func oneLine(s string) string {
	if len(s) > 4*maxName {
		s = s[:4*maxName] // a rune that is cut shows as one that is none
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	}), " ")
	if len(s) <= maxName {
		return strings.ToValidUTF8(s, "")
	}
	n := maxName - len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
