package stix

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // UUID version 5 is defined on SHA-1 (RFC 9562 section 5.5); nothing rests on its strength
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	_, err := hex.DecodeString(u[:8] + u[9:13] + u[14:18] + u[19:23] + u[24:])
	return err == nil
}

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
// (section 6). A process has none.
var contributing = map[string][]string{
	"artifact":             {"hashes", "payload_bin"},
	"autonomous-system":    {"number"},
	"directory":            {"path"},
	"domain-name":          {"value"},
	"email-addr":           {"value"},
	"email-message":        {"from_ref", "subject", "body"},
	"file":                 {"hashes", "name", "extensions", "parent_directory_ref"},
	"ipv4-addr":            {"value"},
	"ipv6-addr":            {"value"},
	"mac-addr":             {"value"},
	"mutex":                {"name"},
	"network-traffic":      {"start", "end", "src_ref", "dst_ref", "src_port", "dst_port", "protocols", "extensions"},
	"process":              {},
	"software":             {"name", "cpe", "swid", "vendor", "version"},
	"url":                  {"value"},
	"user-account":         {"account_type", "user_id", "account_login"},
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
	v, err := parseJSON(object, maxDepth)
	if err != nil {
		return "", fmt.Errorf("stix: object: %w", err)
	}
	m, _ := v.(map[string]any)
	typ, _ := m["type"].(string)
	names, ok := contributing[typ]
	if !ok {
		return "", fmt.Errorf("stix: %q is not a type of cyber-observable object", clip(typ))
	}
	part := make(map[string]any)
	for _, n := range names {
		x, ok := m[n]
		if !ok {
			continue
		}
		if h, isMap := x.(map[string]any); n == "hashes" && isMap {
			x = oneHash(h)
		}
		part[n] = x
	}
	if len(part) == 0 {
		return "", ErrNoProperties
	}
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write(appendJSON(nil, part))
	return typ + "--" + uuid([16]byte(h.Sum(nil)), 5), nil
}

func oneHash(h map[string]any) map[string]any {
	names := slices.Sorted(maps.Keys(h))
	for _, n := range append([]string{"MD5", "SHA-1", "SHA-256", "SHA-512"}, names...) {
		if v, ok := h[n]; ok {
			return map[string]any{n: v}
		}
	}
	return h
}

// ParseTime reads a timestamp (section 3.11): RFC 3339 in UTC with "T" and "Z"
// in upper case and any number of digits in the fraction, of which those finer
// than nanoseconds are cut off.
func ParseTime(s string) (time.Time, error) {
	const form = "2006-01-02T15:04:05"
	bad := fmt.Errorf("%q is not a STIX timestamp: want 2006-01-02T15:04:05.000Z", clip(s))
	rest, ok := strings.CutSuffix(s, "Z")
	if !ok || len(rest) < len(form) {
		return time.Time{}, bad
	}
	t, err := time.Parse(form, rest[:len(form)])
	if err != nil {
		return time.Time{}, bad
	}
	fraction := rest[len(form):]
	if fraction == "" {
		return t, nil
	}
	if fraction[0] != '.' || len(fraction) == 1 {
		return time.Time{}, bad
	}
	unit := time.Second
	for _, c := range []byte(fraction[1:]) {
		if c < '0' || c > '9' {
			return time.Time{}, bad
		}
		unit /= 10
		t = t.Add(time.Duration(c-'0') * unit)
	}
	return t, nil
}

// FormatTime writes a timestamp with the three digits that best practice asks
// for. What is finer is cut off.
func FormatTime(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
