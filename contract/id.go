package contract

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
)

// ID names one indicator: the UUID of its STIX identifier (STIX 2.1 section 2.9).
// It is an array and not a string so that nothing else can travel in its place.
type ID [16]byte

const idPrefix = "indicator--"

// NewID makes a random (version 4) identifier.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails: crypto/rand aborts the process instead
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// String gives the STIX form, "indicator--" and the UUID in lower case.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return idPrefix + string(b[:])
}

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

var errID = errors.New("not an indicator identifier: want indicator-- and a UUID")

// ParseID reads the STIX form. Upper case is accepted and folded.
func ParseID(s string) (ID, error) {
	var id ID
	u, ok := strings.CutPrefix(s, idPrefix)
	if !ok || len(u) != 36 || u[8] != '-' || u[13] != '-' || u[18] != '-' || u[23] != '-' {
		return id, errID
	}
	b, err := hex.DecodeString(strings.ReplaceAll(u, "-", ""))
	if err != nil || len(b) != len(id) {
		return id, errID
	}
	copy(id[:], b)
	return id, nil
}

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *ID) UnmarshalText(b []byte) error {
	v, err := ParseID(string(b))
	*id = v
	return err
}
