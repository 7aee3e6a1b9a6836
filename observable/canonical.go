package observable

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of one canonical value in bytes.
const (
	maxHost     = 253  // RFC 1035 section 2.3.4, without the trailing dot
	maxLocal    = 64   // RFC 5321 section 4.5.3.1.1
	maxMail     = 254  // RFC 5321 section 4.5.3.1.3 less the angle brackets
	maxURL      = 4096 // longer ones are not indicators but payloads
	maxSubject  = 998  // RFC 5322 section 2.1.1
	maxFileName = 255  // what common file systems hold
	maxInput    = 16 << 10
)

// Canonical gives the one spelling of a value of kind k. It is idempotent:
// Canonical(k, Canonical(k, v)) is Canonical(k, v). What it does to each kind,
// with vectors for other implementations in test/vectors/observable.json:
//
//   - Domain: IDNA by UTS #46, non-transitional, to A-labels; lower case; one
//     trailing dot dropped. A name in plain ASCII is only folded, so that every
//     name seen on the wire has a spelling. Underscores and hyphens are allowed
//     anywhere; other characters, empty labels and a last label that is a number
//     (an address written as a name) are not.
//   - Addr: RFC 5952; IPv4-mapped IPv6 becomes IPv4; zones and leading zeros are
//     refused.
//   - Prefix: address as above, low bits zeroed. One that covers a single address
//     is written as that address, without a length; [Make] then gives kind Addr.
//   - Port: the empty string; number and protocol stand in the [Atom].
//   - URL: absolute, with a host; RFC 3986 section 6.2.2 and what the URL Standard
//     makes browsers do. Scheme and host in lower case, host in A-labels or as an
//     address (also from 0x7f.1 or 3221225985, IPv4-mapped as IPv4). The default
//     port, leading zeros of a port, user and password, the fragment and an empty
//     query are dropped: none of them decides what is fetched, and attackers vary
//     them. Percent-encoding: unreserved characters are decoded, what must be
//     encoded is, digits are upper case, a percent sign that encodes nothing
//     becomes %25. Dot segments are removed, an empty path becomes "/". In special
//     schemes (http, https, ftp, ws, wss) a backslash is a slash, and any number of
//     them may stand before the host. Path and query keep case and order.
//   - Mail: NFC, lower case, domain as above; needless quotes are dropped.
//   - Subject: NFC, runs of white space and control characters folded to one
//     space, none at the ends, case kept.
//   - FileName: the last component of a path; NFC, white space as above, lower case.
//   - MD5, SHA1, SHA256, SHA512: hexadecimal, lower case, of the right length.
//
// White space around the value is dropped. The error says what is wrong and
// holds the value only if it is a single word of it.
func Canonical(k Kind, v string) (string, error) {
	if len(v) > maxInput {
		return "", fmt.Errorf("%s of %d bytes, limit %d", k, len(v), maxInput)
	}
	if !utf8.ValidString(v) {
		return "", fmt.Errorf("%s is not valid UTF-8", k)
	}
	v = strings.TrimSpace(v)
	if v == "" && k != Port {
		return "", fmt.Errorf("%s is empty", k)
	}
	switch k {
	case Domain:
		return canonicalHost(v)
	case Addr:
		a, err := parseAddr(v)
		if err != nil {
			return "", err
		}
		var buf [64]byte
		return same(v, a.AppendTo(buf[:0])), nil
	case Prefix:
		p, err := parsePrefix(v)
		if err != nil {
			return "", err
		}
		var buf [64]byte
		if p.IsSingleIP() {
			return same(v, p.Addr().AppendTo(buf[:0])), nil
		}
		return same(v, p.AppendTo(buf[:0])), nil
	case Port:
		if v != "" {
			return "", errors.New("a port has no value besides its number and protocol")
		}
		return "", nil
	case URL:
		return canonicalURL(v)
	case Mail:
		return canonicalMail(v)
	case Subject:
		return bounded(foldSpace(norm.NFC.String(v)), k, maxSubject)
	case FileName:
		return canonicalFileName(v)
	case MD5:
		return canonicalHash(v, k, 32)
	case SHA1:
		return canonicalHash(v, k, 40)
	case SHA256:
		return canonicalHash(v, k, 64)
	case SHA512:
		return canonicalHash(v, k, 128)
	default:
		return "", fmt.Errorf("values of kind %s have no canonical form", k)
	}
}

// same gives v if it is spelled so already, which costs no memory.
func same(v string, spelled []byte) string {
	if v == string(spelled) {
		return v
	}
	return string(spelled)
}

// Make gives the atom of a value: its canonical spelling, with kind Addr for a
// prefix that covers a single address.
func Make(k Kind, v string) (Atom, error) {
	c, err := Canonical(k, v)
	if err != nil {
		return Atom{}, err
	}
	if k == Prefix && !strings.Contains(c, "/") {
		k = Addr
	}
	return Atom{Kind: k, Value: c}, nil
}

func bounded(v string, k Kind, limit int) (string, error) {
	if v == "" {
		return "", fmt.Errorf("%s is empty", k)
	}
	if len(v) > limit {
		return "", fmt.Errorf("%s of %d bytes, limit %d", k, len(v), limit)
	}
	return v, nil
}

func parseAddr(v string) (netip.Addr, error) {
	a, err := netip.ParseAddr(v)
	if err != nil {
		return a, fmt.Errorf("%q is not an IPv4 or IPv6 address (no leading zeros, no port)", clip(v))
	}
	if a.Zone() != "" {
		return a, fmt.Errorf("address %q names an interface; drop the part after the percent sign", clip(v))
	}
	return a.Unmap(), nil
}

func parsePrefix(v string) (netip.Prefix, error) {
	if !strings.Contains(v, "/") {
		a, err := parseAddr(v)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return p, fmt.Errorf("%q is not a prefix: want an address, a slash and a length", clip(v))
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return p, fmt.Errorf("prefix %q cuts through the IPv4-mapped range; write it in IPv4", clip(v))
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// foldSpace turns runs of white space and control characters into one space.
func foldSpace(v string) string {
	return strings.Join(strings.FieldsFunc(v, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}

// foldCase is lower case in NFC. The two can undo each other for a handful of
// characters, so it goes on until nothing changes.
func foldCase(v string) string {
	for range 4 {
		next := norm.NFC.String(strings.ToLower(v))
		if next == v {
			break
		}
		v = next
	}
	return v
}

func canonicalFileName(v string) (string, error) {
	if i := strings.LastIndexAny(v, `/\`); i >= 0 {
		v = v[i+1:]
	}
	return bounded(foldSpace(foldCase(v)), FileName, maxFileName)
}

func canonicalHash(v string, k Kind, digits int) (string, error) {
	if len(v) != digits || !isHex(v) {
		return "", fmt.Errorf("%s must be %d hexadecimal digits, not %d characters", k, digits, len(v))
	}
	return strings.ToLower(v), nil
}

func isHex(v string) bool {
	for i := range len(v) {
		if !hexDigits[v[i]] {
			return false
		}
	}
	return true
}

func hexDigit(c byte) bool { return hexDigits[c] }

var hexDigits = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	}
	return t
}()

// clip keeps messages short whatever was put in.
func clip(v string) string {
	const most = 64
	if len(v) <= most {
		return v
	}
	n := most
	for n > 0 && !utf8.RuneStart(v[n]) {
		n--
	}
	return v[:n] + "…"
}
