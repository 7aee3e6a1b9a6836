package observable

import (
	"strings"

	"ecs/stix/pattern"
)

// kindOf tells what stands at a path that can stand alone. Names of hash
// algorithms are taken as people write them: SHA256, sha-256, md5.
func kindOf(p pattern.Path) (Kind, bool) {
	if p.Type == "file" && len(p.Steps) == 2 && p.Steps[0].Key == "hashes" && p.Steps[1].Kind == pattern.Key {
		switch strings.ReplaceAll(strings.ToUpper(p.Steps[1].Key), "-", "") {
		case "MD5":
			return MD5, true
		case "SHA1":
			return SHA1, true
		case "SHA256":
			return SHA256, true
		case "SHA512":
			return SHA512, true
		}
	}
	for _, x := range paths {
		if p.Type == x.typ && len(p.Steps) == x.steps && p.Steps[0].Key == x.key && (x.steps == 1 || p.Steps[1] == valueStep) {
			return x.kind, true
		}
	}
	return None, false
}

var valueStep = pattern.Step{Key: "value"}

// paths that can stand alone, besides hashes: a property, or the value of what
// one refers to. Addr stands for Prefix too.
var paths = [...]struct {
	typ, key string
	steps    int
	kind     Kind
}{
	{"domain-name", "value", 1, Domain},
	{"ipv4-addr", "value", 1, Addr},
	{"ipv6-addr", "value", 1, Addr},
	{"url", "value", 1, URL},
	{"network-traffic", "dst_ref", 2, Addr},
	{"network-traffic", "src_ref", 2, Addr},
	{"network-traffic", "dst_port", 1, Port},
	{"network-traffic", "src_port", 1, Port},
	{"email-addr", "value", 1, Mail},
	{"email-message", "from_ref", 2, Mail},
	{"email-message", "sender_ref", 2, Mail},
	{"email-message", "subject", 1, Subject},
	{"file", "name", 1, FileName},
}

// constants gives what a comparison by "=", IN or ISSUBSET compares with.
func constants(t *pattern.Test) ([]pattern.Literal, error) {
	switch {
	case t.Not || t.Op == pattern.NotEqual:
		return nil, refuse(t, "it says what a value is not, and nearly all traffic would match")
	case t.Op == pattern.IsSubset && !hasAddress(t.Path):
		return nil, refuse(t, "only addresses have subsets")
	case t.Op == pattern.Equal || t.Op == pattern.In || t.Op == pattern.IsSubset:
	default:
		return nil, refuse(t, "services match exact values; %s is not done", t.Op)
	}
	if len(t.Values) == 0 {
		return nil, refuse(t, "the list is empty")
	}
	return t.Values, nil
}

func hasAddress(p pattern.Path) bool {
	k, ok := kindOf(p)
	return ok && k == Addr
}

// atom gives the atom for one constant.
func atom(t *pattern.Test, kind Kind, v pattern.Literal) (Atom, error) {
	if kind == Port {
		if v.Kind != pattern.Int || v.Int < 1 || v.Int > 65535 {
			return Atom{}, refuse(t, "%s is not a port (1 to 65535)", v)
		}
		return Atom{Kind: Port, Port: uint16(v.Int)}, nil
	}
	if v.Kind != pattern.String {
		return Atom{}, refuse(t, "%s is not a string", v)
	}
	if kind == Addr {
		kind = Prefix
	}
	a, err := Make(kind, v.Text)
	if err != nil {
		return Atom{}, refuse(t, "%s", err)
	}
	if kind == Prefix {
		family, isAddr := strings.CutSuffix(t.Path.Type, "-addr")
		if isAddr && family != familyOf(a.Value) {
			return Atom{}, refuse(t, "%s is not an %s address", clip(a.Value), family)
		}
	}
	return a, nil
}

func familyOf(v string) string {
	if strings.Contains(v, ":") {
		return "ipv6"
	}
	return "ipv4"
}
