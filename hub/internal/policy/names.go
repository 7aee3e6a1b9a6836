package policy

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"ecs/observable"
)

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
		return
	case suffix == n:
		r.stop(CodeSuffix, n+" is a public suffix by its owner's word (private section of the Public Suffix List): unrelated parties have names below it")
		return
	case !icann && !strings.Contains(suffix, "."):
		r.warn(CodeUnknownTLD, n+" ends in "+suffix+", which is no top-level domain known here")
	}
	p, ok := c.protectedName(n)
	if ok {
		r.stop(CodeProtected, n+" would hit the protected name "+p.Name+": "+p.Reason)
	}
	shared(r, n)
}

// shared judges names of services under which anybody gets a name.
func shared(r *report, n string) {
	what, ok := builtins.shared[n]
	if ok {
		r.stop(CodeShared, n+" is shared by strangers: "+what+"; block the names below it that are meant")
		return
	}
	below, ok := builtins.above[n]
	if ok {
		r.stop(CodeShared, n+" would block "+below+", which is shared by strangers: "+builtins.shared[below])
		return
	}
	for z := parent(n); z != ""; z = parent(z) {
		what, ok = builtins.shared[z]
		if ok {
			r.warn(CodeShared, n+" is a name below "+z+", "+what+": only this one is blocked, and it may change hands soon")
			return
		}
	}
}

// hostOfURL judges the host of a URL. The URL alone is matched, not the host:
// only what can never be meant stops.
func (c *Checker) hostOfURL(r *report, u string) {
	h := hostOf(u)
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
	p, ok := c.protectedName(h)
	if ok {
		sev := r.warn
		if frontPage(u) {
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
	p, ok := c.protectedName(d)
	if ok {
		r.warn(CodeProtected, "the mail domain "+d+" belongs to the protected name "+p.Name+": "+p.Reason)
	}
}

// specialName finds the special-use name that n is, or is below.
func specialName(n string) (zone, rfc string, ok bool) {
	for z := n; z != ""; z = parent(z) {
		rfc, ok = builtins.special[z]
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
		h := hostOf(a.Value)
		addr, ok := parseAddr(h)
		return ok && documentationAddr(addr) || documentationName(h)
	default:
		return false
	}
}

// parent cuts the first label off; empty at the end.
func parent(n string) string {
	_, rest, _ := strings.Cut(n, ".")
	return rest
}

// hostOf gives the host of a canonical URL, without port and brackets; empty if
// there is none.
func hostOf(u string) string {
	_, rest, ok := strings.Cut(u, "://")
	if !ok {
		return ""
	}
	end := strings.IndexAny(rest, "/?#")
	if end >= 0 {
		rest = rest[:end]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if strings.HasPrefix(rest, "[") {
		rest, _, _ = strings.Cut(rest[1:], "]")
		return rest
	}
	rest, _, _ = strings.Cut(rest, ":")
	return rest
}

// frontPage reports a URL without a path and query.
func frontPage(u string) bool {
	_, rest, _ := strings.Cut(u, "://")
	n := strings.IndexAny(rest, "/?#")
	return n < 0 || rest[n:] == "/"
}
