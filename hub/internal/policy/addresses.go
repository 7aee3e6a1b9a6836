package policy

import (
	"fmt"
	"net/netip"
	"strconv"

	"ecs/observable"
)

var globalUnicast6 = netip.MustParsePrefix("2000::/3")

var documentationPrefixes = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"),
}

// Shortest prefixes that may be released.
const (
	MinBits4 = 24
	MinBits6 = 48
)

func (c *Checker) address(r *report, a observable.Atom) {
	p, ok := parsePrefix(a.Value)
	if !ok {
		r.stop(CodeSpecialAddr, a.Value+" is no address and no prefix")
		return
	}
	least := MinBits4
	if p.Addr().Is6() {
		least = MinBits6
	}
	if p.Bits() < least {
		r.stop(CodeBroad, fmt.Sprintf("%s is broader than /%d: too many unrelated parties", p, least))
	}
	if !(c.demo && documentationPrefix(p)) {
		what, special := specialPrefix(p)
		if special {
			r.stop(CodeSpecialAddr, a.Value+" is or contains space that is "+what)
		}
	}
	pr, ok := c.protectedPrefix(p)
	if ok {
		r.stop(CodeProtectedIP, a.Value+" would hit the protected "+pr.Name+": "+pr.Reason)
	}
}

func specialAddr(a netip.Addr) (string, bool) { return specialPrefix(netip.PrefixFrom(a, a.BitLen())) }

func specialPrefix(p netip.Prefix) (string, bool) {
	for _, s := range builtins.prefixes {
		if s.prefix.Overlaps(p) {
			return s.what, true
		}
	}
	if p.Addr().Is6() && !(globalUnicast6.Contains(p.Addr()) && p.Bits() >= globalUnicast6.Bits()) {
		return "not global unicast (RFC 4291)", true
	}
	return "", false
}

func documentationAddr(a netip.Addr) bool {
	return documentationPrefix(netip.PrefixFrom(a, a.BitLen()))
}

func documentationPrefix(p netip.Prefix) bool {
	for _, d := range documentationPrefixes {
		if d.Contains(p.Addr()) && p.Bits() >= d.Bits() {
			return true
		}
	}
	return false
}

// parsePrefix reads a prefix, or an address as the prefix that holds it alone.
func parsePrefix(s string) (netip.Prefix, bool) {
	a, ok := parseAddr(s)
	if ok {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func parseAddr(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, false
	}
	return a.Unmap().WithZone(""), true
}

// Ports above the well-known ones that ordinary traffic uses all day.
var commonPorts = map[uint16]string{
	1194: "OpenVPN", 1433: "SQL Server", 1521: "Oracle", 1723: "PPTP", 1812: "RADIUS", 1883: "MQTT", 1900: "SSDP",
	2049: "NFS", 3128: "HTTP proxy", 3306: "MySQL", 3389: "RDP", 3478: "STUN", 4500: "IPsec", 5004: "RTP", 5060: "SIP",
	5061: "SIP", 5222: "XMPP", 5223: "push", 5228: "push", 5353: "mDNS", 5432: "PostgreSQL", 5900: "VNC", 5985: "WinRM",
	8000: "HTTP", 8008: "HTTP", 8080: "HTTP", 8443: "HTTPS", 8883: "MQTT", 8888: "HTTP", 9000: "HTTP", 9418: "git",
	51820: "WireGuard",
}

// firstEphemeral is the lowest port that common systems choose for clients.
const firstEphemeral = 32768

func port(r *report, a observable.Atom) {
	n := strconv.Itoa(int(a.Port))
	use, common := commonPorts[a.Port]
	switch {
	case a.Port == 0:
		r.stop(CodePort, "port 0 names no port")
	case a.Port < 1024:
		r.stop(CodePort, "port "+n+" alone is a well-known port (RFC 6335): give an address with it")
	case common:
		r.stop(CodePort, "port "+n+" alone is too common ("+use+"): give an address with it")
	case a.Port >= firstEphemeral:
		r.stop(CodePort, "port "+n+" alone is one that any client may pick by chance: give an address with it")
	default:
		r.warn(CodePort, "port "+n+" alone: every flow to or from it matches")
	}
}
