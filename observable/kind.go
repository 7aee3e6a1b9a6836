// Package observable knows the values that indicators are made of: which kinds
// there are, what the one canonical spelling of each is, which service can see
// it, and how a STIX pattern breaks down into them. Both houses use it, so that
// a name written at the hub and a name seen in traffic meet in one spelling.
//
// It is pure: no I/O, no state, no clock. It does not judge: whether a value
// may be blocked is a matter for hub/internal/policy.
package observable

import (
	"fmt"

	"ecs/contract"
)

// Kind is a kind of value that a service can match exactly.
type Kind uint8

// The kinds.
const (
	None     Kind = iota
	Domain        // host name in A-labels, lower case, no trailing dot; matches itself and all names below
	Addr          // IPv4 or IPv6 address (RFC 5952)
	Prefix        // IPv4 or IPv6 prefix, low bits zero
	Port          // transport port, with a protocol
	URL           // absolute URL, see [Canonical]
	Mail          // mail address, domain in A-labels, all lower case
	Subject       // subject of a message: NFC, white space folded to one space, case kept
	FileName      // name of an attachment, lower case
	MD5           // hexadecimal, lower case
	SHA1
	SHA256
	SHA512
)

var kindNames = [...]string{
	"none", "domain", "address", "prefix", "port", "url", "mail-address", "subject",
	"file-name", "md5", "sha1", "sha256", "sha512",
}

// String gives the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// ParseKind reads a kind's name.
func ParseKind(s string) (Kind, error) {
	for i, n := range kindNames {
		if n == s && i > 0 {
			return Kind(i), nil
		}
	}
	return None, fmt.Errorf("unknown kind of observable %q", s)
}

// Services says which services can see values of kind k.
func (k Kind) Services() contract.Services {
	switch k {
	case Domain:
		return contract.DNS | contract.SMTP
	case Addr, Prefix, Port:
		return contract.NetFlow
	case URL, Mail, Subject, FileName, MD5, SHA1, SHA256, SHA512:
		return contract.SMTP
	default:
		return 0
	}
}

// Atom is one value to match. A pattern is in force when any of its atoms is
// seen. Port and Proto narrow an Addr or Prefix; for kind Port, Value is empty.
type Atom struct {
	Kind  Kind
	Value string // canonical
	Port  uint16 // 0: any
	Proto uint8  // IANA protocol number, 0: any
}
