package policy

import (
	"encoding/hex"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"ecs/observable"
)

// maxKeys bounds the keys that [Covers] gives for one value.
const maxKeys = 17

// coverBits are the prefix lengths that are looked up above an address. No
// released prefix is shorter than [MinBits4] or [MinBits6] without two overrides,
// so that the lengths are dense where prefixes are and sparse above.
var (
	coverBits4 = []int{31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 8}
	coverBits6 = []int{127, 126, 124, 120, 112, 96, 80, 72, 64, 60, 56, 52, 48, 44, 40, 36, 32}
)

// Covers gives the values whose living presence would make an indicator for a
// needless, nearest first: the parents of a name down to the registrable domain
// (also through the private section of the Public Suffix List), the prefixes
// around an address, the host of a URL and the domain of a mail address with
// their parents, and a narrowed address without its port or protocol. The value
// itself is not among them. There are at most 17; they are canonical, so that one
// query by kind and value finds what lives.
//
// IPv6 prefixes are looked for at the lengths that are in use; one of another
// length is missed.
func Covers(a observable.Atom) []observable.Atom {
	switch a.Kind {
	case observable.Domain:
		return names(nil, parent(a.Value))
	case observable.URL:
		h := hostOf(a.Value)
		_, isAddr := parseAddr(h)
		if h == "" || isAddr {
			return nil // a flow of an address is not seen where URLs are
		}
		return names(nil, h)
	case observable.Mail:
		_, d, _ := strings.Cut(a.Value, "@")
		return names(nil, d)
	case observable.Addr, observable.Prefix:
		return prefixes(a)
	default:
		return nil
	}
}

// Lookups gives the keys of a whole pattern for one query by kind and value: each
// atom itself and what [Covers] it.
func Lookups(atoms []observable.Atom) []observable.Atom {
	out := make([]observable.Atom, 0, len(atoms)*4)
	for _, a := range atoms {
		out = append(append(out, a), Covers(a)...)
	}
	return out
}

func names(out []observable.Atom, n string) []observable.Atom {
	if !strings.Contains(n, ".") {
		return out
	}
	top := registry(n)
	for z := n; len(z) > len(top); z = parent(z) {
		if len(out) == maxKeys {
			copy(out[1:], out[2:]) // a name of a hundred labels: the nearest one and the highest ones stay
			out = out[:maxKeys-1]
		}
		out = append(out, observable.Atom{Kind: observable.Domain, Value: z})
	}
	return out
}

// registry gives the suffix of n that a registry and not a company gives names
// under: co.uk of www.a.co.uk, io of a.github.io.
func registry(n string) string {
	s, icann := publicsuffix.PublicSuffix(n)
	for !icann && strings.Contains(s, ".") {
		s, icann = publicsuffix.PublicSuffix(parent(s))
	}
	return s
}

func prefixes(a observable.Atom) []observable.Atom {
	p, ok := parsePrefix(a.Value)
	if !ok {
		return nil
	}
	out := make([]observable.Atom, 0, maxKeys+2)
	if a.Port != 0 || a.Proto != 0 {
		out = append(out, observable.Atom{Kind: a.Kind, Value: a.Value})
	}
	bits := coverBits4
	if p.Addr().Is6() {
		bits = coverBits6
	}
	for _, b := range bits {
		if b >= p.Bits() || len(out) >= maxKeys {
			continue
		}
		q, err := p.Addr().Prefix(b)
		if err == nil {
			out = append(out, observable.Atom{Kind: observable.Prefix, Value: q.String()})
		}
	}
	return out
}

// covers reports whether whatever y matches is matched by x as well.
func covers(x, y observable.Atom) bool {
	switch {
	case x.Port != 0 && x.Port != y.Port || x.Proto != 0 && x.Proto != y.Proto:
		return false
	case x.Kind == y.Kind && x.Value == y.Value:
		return true
	case x.Kind == observable.Domain:
		n := y.Value
		switch y.Kind {
		case observable.Domain:
		case observable.URL:
			n = hostOf(y.Value)
		case observable.Mail:
			_, n, _ = strings.Cut(y.Value, "@")
		default:
			return false
		}
		return n == x.Value || strings.HasSuffix(n, "."+x.Value)
	case x.Kind == observable.Prefix && (y.Kind == observable.Addr || y.Kind == observable.Prefix):
		p, ok := parsePrefix(x.Value)
		q, qok := parsePrefix(y.Value)
		return ok && qok && p.Bits() <= q.Bits() && p.Contains(q.Addr())
	default:
		return false
	}
}

// Order gives a key by which the values that one covers stand together: labels of
// a name from the last to the first, the bytes of an address in hexadecimal.
// Empty for kinds that cover nothing and are not covered. A store that keeps it
// in an ordered column (compared byte by byte, COLLATE "C" in PostgreSQL) finds
// what lies below a value by the range of [Below].
func Order(a observable.Atom) string {
	switch a.Kind {
	case observable.Domain:
		return turned(a.Value)
	case observable.URL:
		h := hostOf(a.Value)
		_, isAddr := parseAddr(h)
		if h == "" || isAddr {
			return ""
		}
		return turned(h) + "/" + a.Value
	case observable.Mail:
		_, d, _ := strings.Cut(a.Value, "@")
		return turned(d) + "/" + a.Value
	case observable.Addr, observable.Prefix:
		p, ok := parsePrefix(a.Value)
		if !ok {
			return ""
		}
		return hexKey(p.Addr())
	default:
		return ""
	}
}

// Below gives the range of keys of [Order], from inclusive and to exclusive, in
// which everything lies that a covers, and ok false when it covers nothing but
// itself. The range may hold a itself and, for a prefix, shorter prefixes that
// begin at the same address; [Checker.Against] tells them apart.
func Below(a observable.Atom) (from, to string, ok bool) {
	switch a.Kind {
	case observable.Domain:
		k := turned(a.Value)
		return k + ".", k + "0", true // '.' and '/' are all there is between
	case observable.Prefix:
		p, ok := parsePrefix(a.Value)
		if !ok {
			return "", "", false
		}
		return hexKey(p.Addr()), hexKey(last(p)) + "0", true
	default:
		return "", "", false
	}
}

func hexKey(a netip.Addr) string {
	if a.Is4() {
		return "4:" + hex.EncodeToString(a.AsSlice())
	}
	return "6:" + hex.EncodeToString(a.AsSlice())
}

// last gives the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		for j := range 8 {
			if i*8+j >= p.Bits() {
				b[i] |= 0x80 >> j
			}
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func turned(n string) string {
	var b strings.Builder
	b.Grow(len(n))
	for n != "" {
		i := strings.LastIndexByte(n, '.')
		b.WriteString(n[i+1:])
		if i > 0 {
			b.WriteByte('.')
		}
		n = n[:max(i, 0)]
	}
	return b.String()
}
