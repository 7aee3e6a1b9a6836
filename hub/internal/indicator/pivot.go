package indicator

import (
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"ecs/observable"
)

// Pivot gives what the neighbors of a canonical value share with it, so that an
// analyst finds them: the registrable domain of a name, of a URL's host and of a
// mail address; the /24 or /48 around an address. It is empty where there is
// nothing to share: of hashes, ports, texts, and of prefixes broader than these.
func Pivot(k observable.Kind, value string) string {
	switch k {
	case observable.Domain:
		return registrable(value)
	case observable.Mail:
		_, host, _ := strings.Cut(value, "@")
		return registrable(host)
	case observable.URL:
		u, err := url.Parse(value)
		if err != nil {
			return ""
		}
		host := u.Hostname()
		a, err := netip.ParseAddr(host)
		if err == nil {
			return around(netip.PrefixFrom(a, a.BitLen()))
		}
		return registrable(host)
	case observable.Addr:
		a, err := netip.ParseAddr(value)
		if err != nil {
			return ""
		}
		return around(netip.PrefixFrom(a, a.BitLen()))
	case observable.Prefix:
		p, err := netip.ParsePrefix(value)
		if err != nil {
			return ""
		}
		return around(p)
	default:
		return ""
	}
}

func registrable(name string) string {
	d, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil { // a public suffix itself
		return name
	}
	return d
}

func around(p netip.Prefix) string {
	bits := 24
	if p.Addr().Is6() {
		bits = 48
	}
	if p.Bits() < bits {
		return ""
	}
	p, err := p.Addr().Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
