package stix

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // UUID version 5 is defined on SHA-1 (RFC 9562 section 5.5); nothing rests on its strength
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// CheckID reports what is wrong with an identifier (STIX 2.1 section 2.9): a
// type, "--" and a UUID of RFC 9562 in lower or upper case.
func CheckID(id string) error {
	typ, u, ok := strings.Cut(id, "--")
	if !ok || !validType(typ) || !validUUID(u) {
		return fmt.Errorf("%q is not a STIX identifier: want type--UUID", clip(id))
	}
	return nil
}

// TypeOf gives the type in an identifier, "" if there is none.
func TypeOf(id string) string {
	typ, _, _ := strings.Cut(id, "--")
	return typ
}

// validType is STIX 2.1 section 3.2 and 11.2: 3 to 250 of a-z, 0-9 and hyphen,
// none at the ends, no two hyphens in a row.
func validType(t string) bool {
	if len(t) < 3 || len(t) > 250 || t[0] == '-' || t[len(t)-1] == '-' || strings.Contains(t, "--") {
		return false
	}
	for i := range len(t) {
		if c := t[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

func validUUID(u string) bool {
	if len(u) != 36 || u[8] != '-' || u[13] != '-' || u[18] != '-' || u[23] != '-' {
		return false
	}
	sum := 0
	for i := range 36 {
		sum += int(uuidBytes[u[i]])
	}
	return sum == 4
}

// uuidBytes is 0 for hexadecimal digits, 1 for the hyphen, of which there are
// four, and too much for all else.
var uuidBytes = func() (t [256]byte) {
	for i := range t {
		if hexDigit(byte(i)) > 15 { //nolint:gosec // below 256
			t[i] = 100
		}
	}
	t['-'] = 1
	return t
}()

// NewID makes a random (version 4) identifier of a type.
func NewID(typ string) string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails: crypto/rand aborts the process instead
	return typ + "--" + uuid(u, 4)
}

func uuid(u [16]byte, version byte) string {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// namespace of the identifiers of cyber-observable objects (section 2.9).
var namespace = [16]byte{0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7}

// contributing are the ID contributing properties of each cyber-observable type
// (section 6), in the order of canonical JSON. A process has none.
var contributing = map[string][]string{
	"artifact":             {"hashes", "payload_bin"},
	"autonomous-system":    {"number"},
	"directory":            {"path"},
	"domain-name":          {"value"},
	"email-addr":           {"value"},
	"email-message":        {"body", "from_ref", "subject"},
	"file":                 {"extensions", "hashes", "name", "parent_directory_ref"},
	"ipv4-addr":            {"value"},
	"ipv6-addr":            {"value"},
	"mac-addr":             {"value"},
	"mutex":                {"name"},
	"network-traffic":      {"dst_port", "dst_ref", "end", "extensions", "protocols", "src_port", "src_ref", "start"},
	"process":              {},
	"software":             {"cpe", "name", "swid", "vendor", "version"},
	"url":                  {"value"},
	"user-account":         {"account_login", "account_type", "user_id"},
	"windows-registry-key": {"key", "values"},
	"x509-certificate":     {"hashes", "serial_number"},
}

// IsObservable reports whether a type is a cyber-observable of STIX 2.1.
func IsObservable(typ string) bool {
	_, ok := contributing[typ]
	return ok
}

// ErrNoProperties is returned by [ObservableID] when the object has no ID
// contributing property: it then has a random identifier.
var ErrNoProperties = errors.New("stix: the object has no ID contributing property; give it a random identifier")

// ObservableID computes the deterministic identifier of a cyber-observable
// object, given as JSON with its type: UUIDv5 over the canonical JSON of its ID
// contributing properties. Values are taken as they are: normalize them first,
// since two spellings give two identifiers. Of several hashes one contributes,
// MD5, SHA-1, SHA-256 or SHA-512, in this order, else the first by name.
func ObservableID(object []byte) (string, error) {
	v, err := ParseValue(object)
	if err != nil {
		return "", fmt.Errorf("stix: object: %w", err)
	}
	return v.observableID()
}

func (v Value) observableID() (string, error) {
	typ := v.Get("type").Str()
	names, ok := contributing[typ]
	if !ok {
		return "", fmt.Errorf("stix: %q is not a type of cyber-observable object", clip(typ))
	}
	part := []byte{'{'}
	for _, n := range names {
		x := v.Get(n)
		if !x.Ok() {
			continue
		}
		if len(part) > 1 {
			part = append(part, ',')
		}
		part = append(appendString(part, n), ':')
		if n == "hashes" && x.Kind() == Members {
			part = oneHash(part, x)
		} else {
			part = x.t.appendCanonical(part, x.i)
		}
	}
	if len(part) == 1 {
		return "", ErrNoProperties
	}
	return observableID(typ, append(part, '}')), nil
}

func observableID(typ string, canonical []byte) string {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write(canonical)
	return typ + "--" + uuid([16]byte(h.Sum(nil)), 5)
}

// oneHash writes the one hash that contributes.
func oneHash(b []byte, hashes Value) []byte {
	for _, n := range append([]string{"MD5", "SHA-1", "SHA-256", "SHA-512"}, hashes.sortedNames()...) {
		x := hashes.Get(n)
		if x.Ok() {
			b = append(appendString(append(b, '{'), n), ':')
			return append(x.t.appendCanonical(b, x.i), '}')
		}
	}
	return append(b, "{}"...)
}

// ParseTime reads a timestamp (section 3.11): RFC 3339 in UTC with "T" and "Z"
// in upper case and any number of digits in the fraction, of which those finer
// than nanoseconds are cut off.
func ParseTime(s string) (time.Time, error) {
	t, ok := parseTime(s)
	if !ok {
		return time.Time{}, fmt.Errorf("%q is not a STIX timestamp: want 2006-01-02T15:04:05.000Z", clip(s))
	}
	return t, nil
}

func parseTime(s string) (time.Time, bool) {
	const form = "2006-01-02T15:04:05"
	if len(s) <= len(form) || s[len(s)-1] != 'Z' || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	var n digits
	year, month, day := n.two(s, 0)*100+n.two(s, 2), n.two(s, 5), n.two(s, 8)
	hour, minute, second := n.two(s, 11), n.two(s, 14), n.two(s, 17)
	if n.bad || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	if day > 28 && day > time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day() {
		return time.Time{}, false
	}
	nanos, ok := fraction(s[len(form) : len(s)-1])
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC), ok
}

// digits reads numbers of two digits and remembers whether one was none.
type digits struct{ bad bool }

func (d *digits) two(s string, at int) int {
	a, b := s[at]-'0', s[at+1]-'0'
	d.bad = d.bad || a > 9 || b > 9
	return int(a)*10 + int(b)
}

// fraction reads nothing, or a point and digits, as nanoseconds.
func fraction(s string) (nanos int, ok bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != '.' || len(s) == 1 {
		return 0, false
	}
	unit := int(time.Second)
	for i := 1; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		unit /= 10
		nanos += int(c) * unit
	}
	return nanos, true
}

// FormatTime writes a timestamp with the three digits that best practice asks
// for. What is finer is cut off.
func FormatTime(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
