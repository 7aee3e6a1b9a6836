package list

import (
	"net/netip"
	"strconv"
	"strings"
)

// header splits at white space outside of brackets.
func header(s string) []string {
	var out []string
	depth, begin := 0, -1
	for i := range len(s) {
		space := s[i] == ' ' || s[i] == '\t'
		switch {
		case s[i] == '[':
			depth++
		case s[i] == ']':
			depth--
		}
		if space && depth <= 0 {
			if begin >= 0 {
				out, begin = append(out, s[begin:i]), -1
			}
		} else if begin < 0 {
			begin = i
		}
	}
	if begin >= 0 {
		out = append(out, s[begin:])
	}
	return out
}

// transports are the protocols of rule headers with the name that the value gets.
var transports = map[string]string{"tcp": "tcp", "udp": "udp", "http": "tcp", "tls": "tcp", "smtp": "tcp", "ssh": "tcp", "ftp": "tcp", "ip": "any", "tcp-pkt": "tcp", "tcp-stream": "tcp", "dns": "any", "http1": "tcp", "http2": "tcp"}

// addresses gives the values that the header names.
func (r *rule) addresses() (out []string, why string) {
	for _, end := range [][2]string{{r.source, r.sourcePort}, {r.target, r.targetPort}} {
		var found []string
		for a := range strings.SplitSeq(strings.Trim(end[0], "[]"), ",") {
			a = strings.TrimSpace(a)
			switch {
			case a == "any", strings.HasPrefix(a, "$"), strings.HasPrefix(a, "!$"):
				continue
			case strings.HasPrefix(a, "!"), strings.ContainsAny(a, "[]"):
				return nil, "its header excludes addresses"
			}
			_, err := netip.ParsePrefix(a)
			if err != nil {
				_, err = netip.ParseAddr(a)
			}
			if err != nil {
				return nil, "its header names something that is no address: " + clip(a, 60)
			}
			found = append(found, a)
		}
		if len(found) == 0 {
			if end[1] != "any" && !strings.HasPrefix(end[1], "$") && len(r.contents) == 0 {
				why = "its header narrows the port at the other end of the connection"
			}
			continue
		}
		if len(out) > 0 {
			return nil, "its header names addresses at both ends"
		}
		for _, a := range found {
			for p := range strings.SplitSeq(strings.Trim(end[1], "[]"), ",") {
				p = strings.TrimSpace(p)
				proto, ok := transports[r.proto]
				_, err := strconv.ParseUint(p, 10, 16)
				switch {
				case !ok:
					return nil, "its protocol " + clip(r.proto, 20) + " is not one that narrows an address"
				case p == "any" && proto == "any":
					out = append(out, a)
				case err != nil && p != "any":
					return nil, "its header names a range of ports or excludes some"
				default:
					out = append(out, a+" "+p+"/"+proto)
				}
				if len(out) > maxAtoms {
					return nil, "its header names more than " + strconv.Itoa(maxAtoms) + " combinations of address and port"
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, ""
	}
	return out, why
}

// maxAtoms bounds the records of one rule: 256 KiB of addresses times a dozen ports.
const maxAtoms = 20_000

func unquoted(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "\xff"
	}
	return s[1 : len(s)-1]
}
