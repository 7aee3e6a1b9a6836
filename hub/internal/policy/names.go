package policy

import (
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"ecs/observable"
)

// specialNames are the special-use domain names of the IANA registry (RFC 6761)
// and names reserved by ICANN; each stands for itself and everything below.
var specialNames = map[string]string{
	"localhost": "RFC 6761", "local": "RFC 6762", "invalid": "RFC 6761", "test": "RFC 6761",
	"example": "RFC 6761", "example.com": "RFC 6761", "example.net": "RFC 6761", "example.org": "RFC 6761",
	"onion": "RFC 7686", "alt": "RFC 9476", "home.arpa": "RFC 8375", "arpa": "RFC 3172",
	"internal": "reserved by ICANN for private use",
}

// documentationNames are those that a demonstration may use (RFC 2606).
var documentationNames = []string{"example", "test", "example.com", "example.net", "example.org"}

// name judges a name that would be blocked with everything below it.
func (c *Checker) name(r *report, n string) {
	demo := c.demo && documentationName(n)
	zone, rfc, special := specialName(n)
	switch {
	case special && !demo:
		r.stop(CodeSpecialName, n+" is "+zone+" or below it, which is reserved ("+rfc+")")
		return
	case !strings.Contains(n, "."):
		r.stop(CodeSuffix, n+" is a top-level domain or a single label")
		return
	case special:
		return
	}
	suffix, icann := publicsuffix.PublicSuffix(n)
	switch {
	case suffix == n && icann:
		r.stop(CodeSuffix, n+" is a public suffix: everything registered below it would be blocked")
	case suffix == n:
		r.stop(CodeSuffix, n+" is a public suffix by its owner's word (private section of the Public Suffix List): unrelated parties have names below it")
	case !icann && !strings.Contains(suffix, "."):
		r.warn(CodeUnknownTLD, n+" ends in "+suffix+", which is no top-level domain known here")
	}
	p, ok := c.protected.name(n)
	if ok {
		r.stop(CodeProtected, n+" would hit the protected name "+p.Name+": "+p.Reason)
	}
}

// hostOfURL judges the host of a URL. The URL alone is matched, not the host:
// only what can never be meant stops.
func (c *Checker) hostOfURL(r *report, u string) {
	parsed, err := url.Parse(u)
	if err != nil {
		return
	}
	h := strings.TrimSuffix(strings.ToLower(parsed.Hostname()), ".")
	addr, ok := parseAddr(h)
	if ok {
		if !(c.demo && documentationAddr(addr)) {
			s, special := specialAddr(addr)
			if special {
				r.stop(CodeSpecialAddr, "the URL's host "+h+" is "+s)
			}
		}
		return
	}
	zone, rfc, special := specialName(h)
	if special && !(c.demo && documentationName(h)) {
		r.stop(CodeSpecialName, "the URL's host "+h+" is "+zone+" or below it, which is reserved ("+rfc+")")
		return
	}
	p, ok := c.protected.name(h)
	if ok {
		sev := r.warn
		if parsed.Path == "" || parsed.Path == "/" && parsed.RawQuery == "" {
			sev = r.stop // the front page of somebody who is protected
		}
		sev(CodeProtected, "the URL's host "+h+" belongs to the protected name "+p.Name+": "+p.Reason)
	}
}

func (c *Checker) domainOfMail(r *report, m string) {
	_, d, ok := strings.Cut(m, "@")
	if !ok {
		return
	}
	zone, rfc, special := specialName(d)
	if special && !(c.demo && documentationName(d)) {
		r.stop(CodeSpecialName, "the mail domain "+d+" is "+zone+" or below it, which is reserved ("+rfc+")")
		return
	}
	p, ok := c.protected.name(d)
	if ok {
		r.warn(CodeProtected, "the mail domain "+d+" belongs to the protected name "+p.Name+": "+p.Reason)
	}
}

// specialName finds the special-use name that n is, or is below.
func specialName(n string) (zone, rfc string, ok bool) {
	for z := n; z != ""; z = parent(z) {
		rfc, ok = specialNames[z]
		if ok {
			return z, rfc, true
		}
	}
	return "", "", false
}

func documentationName(n string) bool {
	for _, z := range documentationNames {
		if n == z && strings.Contains(z, ".") || strings.HasSuffix(n, "."+z) {
			return true
		}
	}
	return false
}

// documentation reports whether an atom is one that only a demonstration uses.
func documentation(a observable.Atom) bool {
	switch a.Kind {
	case observable.Domain:
		return documentationName(a.Value)
	case observable.Addr, observable.Prefix:
		p, ok := parsePrefix(a.Value)
		return ok && documentationPrefix(p)
	case observable.Mail:
		_, d, _ := strings.Cut(a.Value, "@")
		return documentationName(d)
	case observable.URL:
		u, err := url.Parse(a.Value)
		if err != nil {
			return false
		}
		addr, ok := parseAddr(u.Hostname())
		return ok && documentationAddr(addr) || documentationName(u.Hostname())
	default:
		return false
	}
}

// parent cuts the first label off; empty at the end.
func parent(n string) string {
	_, rest, _ := strings.Cut(n, ".")
	return rest
}
