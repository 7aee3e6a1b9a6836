package observable

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// protocols that a pattern or a list may name, as STIX spells them
// (network-traffic, property protocols), with their IANA numbers.
var protocols = map[string]uint8{
	"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58, "icmp6": 58, "sctp": 132,
}

var protocolNames = map[uint8]string{
	1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp", 132: "sctp",
}

// String gives the atom for people: its value, and for a narrowed one or a
// port the port and protocol, such as "192.0.2.1 443/tcp". [FromValue] reads it
// again for every kind but Subject and FileName.
func (a Atom) String() string {
	if a.Port == 0 && a.Proto == 0 {
		return a.Value
	}
	s := "any"
	if a.Port != 0 {
		s = strconv.Itoa(int(a.Port))
	}
	s += "/" + protocolName(a.Proto)
	if a.Value == "" {
		return s
	}
	return a.Value + " " + s
}

func protocolName(p uint8) string {
	if p == 0 {
		return "any"
	}
	if n, ok := protocolNames[p]; ok {
		return n
	}
	return strconv.Itoa(int(p))
}

// FromValue guesses the kind of a bare value, as lists and CSV files hold them:
// a hash (by its length), an address, a prefix, address:port, port/protocol, a
// URL, a mail address or a domain. It undoes the usual defanging (hxxp, [.],
// [@], [:]). A host with a path and no scheme is taken as http. A leading dot
// before a name is dropped, since a name covers all names below it anyway. It
// never guesses a subject or a file name: these look like anything.
func FromValue(v string) (Atom, error) {
	if len(v) > maxInput {
		return Atom{}, fmt.Errorf("value of %d bytes, limit %d", len(v), maxInput)
	}
	if !utf8.ValidString(v) {
		return Atom{}, errors.New("value is not valid UTF-8")
	}
	v = refang(strings.TrimSpace(v))
	if v == "" {
		return Atom{}, errors.New("value is empty")
	}
	if k := hashKind(len(v)); k != None && isHex(v) {
		return Make(k, v)
	}
	if strings.Contains(v, "://") {
		return Make(URL, v)
	}
	if strings.Contains(v, "/") || maybeAddress(v) {
		a, ok, err := fromAddress(v)
		if ok {
			return a, err
		}
	}
	if m, ok := strings.CutPrefix(v, "mailto:"); ok {
		return Make(Mail, m)
	}
	host, _, hasPath := strings.Cut(v, "/")
	switch {
	case hasPath && strings.Contains(strings.Trim(host, "."), "."):
		return Make(URL, "http://"+v)
	case hasPath:
		return Atom{}, fmt.Errorf("%q is neither URL nor prefix; a URL needs its scheme", clip(v))
	case strings.Contains(v, "@"):
		return Make(Mail, v)
	}
	name := strings.TrimPrefix(v, ".")
	if !strings.ContainsAny(strings.TrimRight(name, "."), ".。．｡") {
		return Atom{}, fmt.Errorf("cannot tell what kind of value %q is", clip(v))
	}
	return Make(Domain, name)
}

// hashKind gives the kind of hash that has so many hexadecimal digits.
func hashKind(digits int) Kind {
	switch digits {
	case 32:
		return MD5
	case 40:
		return SHA1
	case 64:
		return SHA256
	case 128:
		return SHA512
	default:
		return None
	}
}

// maybeAddress tells whether fromAddress could take v, which names, the bulk of
// all lists, are passed by without trying.
func maybeAddress(v string) bool {
	for i := range len(v) {
		switch c := v[i]; {
		case c == '/' || c == ' ' || c == '%': // a length, a port, an interface
			return true
		case !hexDigit(c) && c != '.' && c != ':' && c != '[' && c != ']':
			return false
		}
	}
	return true
}

// fromAddress reads whatever begins with an address, and port/protocol. ok says
// that v is of this sort, whether right or wrong.
func fromAddress(v string) (a Atom, ok bool, err error) {
	head, tail, two := strings.Cut(v, " ")
	if two {
		a, err = Make(Prefix, head)
		if err != nil {
			return Atom{}, false, nil
		}
		a.Port, a.Proto, ok = portProtocol(strings.TrimSpace(tail))
		if !ok {
			return Atom{}, true, fmt.Errorf("%q after the address is not port/protocol", clip(tail))
		}
		return a, true, nil
	}
	if port, proto, ok := portProtocol(v); ok {
		if port == 0 {
			return Atom{}, true, fmt.Errorf("%q names no port", clip(v))
		}
		return Atom{Kind: Port, Port: port, Proto: proto}, true, nil
	}
	if strings.Contains(v, ":") { // not for IPv4, where asking costs an error
		ap, err := netip.ParseAddrPort(v)
		if err == nil {
			a, err = Make(Addr, ap.Addr().String())
			a.Port = ap.Port()
			if err == nil && a.Port == 0 {
				err = fmt.Errorf("%q names port 0", clip(v))
			}
			return a, true, err
		}
	}
	a, err = Make(Prefix, v)
	if err == nil {
		return a, true, nil
	}
	head, _, _ = strings.Cut(v, "/")
	_, bad := netip.ParseAddr(head)
	if bad == nil && strings.Count(v, "/") == 1 && tailIsLength(v) {
		return Atom{}, true, err // an address with a wrong length is no URL
	}
	return Atom{}, false, nil
}

func tailIsLength(v string) bool {
	_, err := strconv.Atoi(v[strings.IndexByte(v, '/')+1:])
	return err == nil
}

// portProtocol reads "443/tcp", "tcp/443", "443/any" and "any/tcp".
func portProtocol(v string) (port uint16, proto uint8, ok bool) {
	p, name, found := strings.Cut(strings.ToLower(v), "/")
	if !found {
		return 0, 0, false
	}
	proto, ok = protocolNumber(name)
	if !ok {
		p, name = name, p
		proto, ok = protocolNumber(name)
	}
	if !ok || p == "any" {
		return 0, proto, ok && proto != 0
	}
	n, err := strconv.ParseUint(p, 10, 16)
	return uint16(n), proto, err == nil && n != 0
}

func protocolNumber(name string) (uint8, bool) {
	n, ok := protocols[name]
	return n, ok || name == "any"
}

var fangs = strings.NewReplacer("[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "[:]", ":", "[://]", "://", "[@]", "@", "[at]", "@")

func refang(v string) string {
	if strings.ContainsAny(v, "[({") {
		v = fangs.Replace(v)
	}
	if len(v) > 4 && strings.EqualFold(v[:4], "hxxp") {
		v = "http" + v[4:]
	}
	return v
}
