package policy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ecs/internal/sqldb"
	"ecs/observable"
)

// Protected is a name, with everything below it, or a prefix that may not be
// blocked.
type Protected struct {
	Name   string // domain name, address or prefix
	Reason string
}

const (
	whyDNS  = "the DNS cannot work without it"
	whyTime = "clocks are set by it"
	whyCert = "certificates are checked or issued by it"
)

// builtinNames are protected in every program.
var builtinNames = []Protected{
	{"root-servers.net", whyDNS},
	{"gtld-servers.net", whyDNS},
	{"iana.org", whyDNS},
	{"iana-servers.net", whyDNS},
	{"icann.org", whyDNS},
	{"dns.google", whyDNS},
	{"one.one.one.one", whyDNS},
	{"dns.quad9.net", whyDNS},
	{"ntp.org", whyTime},
	{"time.nist.gov", whyTime},
	{"time-a-g.nist.gov", whyTime},
	{"time.windows.com", whyTime},
	{"time.apple.com", whyTime},
	{"time.google.com", whyTime},
	{"time.cloudflare.com", whyTime},
	{"ntp.ubuntu.com", whyTime},
	{"time.aws.com", whyTime},
	{"time.facebook.com", whyTime},
	{"tick.usno.navy.mil", whyTime},
	{"tock.usno.navy.mil", whyTime},
	{"lencr.org", whyCert},
	{"letsencrypt.org", whyCert},
	{"pki.goog", whyCert},
	{"ocsp.digicert.com", whyCert},
	{"crl3.digicert.com", whyCert},
	{"crl4.digicert.com", whyCert},
	{"cacerts.digicert.com", whyCert},
	{"ocsp.sectigo.com", whyCert},
	{"crl.sectigo.com", whyCert},
	{"ocsp.usertrust.com", whyCert},
	{"crl.usertrust.com", whyCert},
	{"ocsp.globalsign.com", whyCert},
	{"crl.globalsign.com", whyCert},
	{"secure.globalsign.com", whyCert},
	{"ocsp.entrust.net", whyCert},
	{"crl.entrust.net", whyCert},
	{"ocsp.godaddy.com", whyCert},
	{"crl.godaddy.com", whyCert},
	{"ocsp.apple.com", whyCert},
	{"ocsp2.apple.com", whyCert},
	{"crl.apple.com", whyCert},
	{"crl.microsoft.com", whyCert},
	{"oneocsp.microsoft.com", whyCert},
	{"ctldl.windowsupdate.com", whyCert},
	{"amazontrust.com", whyCert},
	{"ocsp.identrust.com", whyCert},
	{"crl.identrust.com", whyCert},
}

// builtinAddresses are the thirteen root servers and the public resolvers that
// whole countries depend on.
var builtinAddresses = func() []Protected {
	roots := map[string][2]string{
		"a": {"198.41.0.4", "2001:503:ba3e::2:30"}, "b": {"170.247.170.2", "2801:1b8:10::b"},
		"c": {"192.33.4.12", "2001:500:2::c"}, "d": {"199.7.91.13", "2001:500:2d::d"},
		"e": {"192.203.230.10", "2001:500:a8::e"}, "f": {"192.5.5.241", "2001:500:2f::f"},
		"g": {"192.112.36.4", "2001:500:12::d0d"}, "h": {"198.97.190.53", "2001:500:1::53"},
		"i": {"192.36.148.17", "2001:7fe::53"}, "j": {"192.58.128.30", "2001:503:c27::2:30"},
		"k": {"193.0.14.129", "2001:7fd::1"}, "l": {"199.7.83.42", "2001:500:9f::42"},
		"m": {"202.12.27.33", "2001:dc3::35"},
	}
	var out []Protected
	for letter, addrs := range roots {
		for _, a := range addrs {
			out = append(out, Protected{a, "root server " + letter})
		}
	}
	for _, a := range []string{
		"8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844", "1.1.1.1", "1.0.0.1",
		"2606:4700:4700::1111", "2606:4700:4700::1001", "9.9.9.9", "149.112.112.112", "2620:fe::fe", "2620:fe::9",
		"208.67.222.222", "208.67.220.220",
	} {
		out = append(out, Protected{a, "public resolver"})
	}
	return out
}()

// protection answers for names in a few map lookups and for prefixes by walking
// a short list.
type protection struct {
	names    map[string]Protected // the protected zones
	above    map[string]Protected // each name above one, which would block it too
	prefixes []protectedPrefix
}

type protectedPrefix struct {
	prefix netip.Prefix
	entry  Protected
}

func newProtection(own []Protected) (*protection, error) {
	p := &protection{names: map[string]Protected{}, above: map[string]Protected{}}
	for _, e := range slices.Concat(builtinNames, builtinAddresses, own) {
		pre, ok := parsePrefix(e.Name)
		if ok {
			p.prefixes = append(p.prefixes, protectedPrefix{pre, e})
			continue
		}
		n, err := observable.Canonical(observable.Domain, e.Name)
		if err != nil {
			return nil, fmt.Errorf("policy: protected name %q: %w; correct or remove it", e.Name, err)
		}
		e.Name = n
		p.names[n] = e
		for z := parent(n); z != ""; z = parent(z) {
			_, ok := p.above[z]
			if !ok {
				p.above[z] = e
			}
		}
	}
	return p, nil
}

// name finds the protected name that n is, is below, or is above.
func (p *protection) name(n string) (Protected, bool) {
	for z := n; z != ""; z = parent(z) {
		e, ok := p.names[z]
		if ok {
			return e, true
		}
	}
	e, ok := p.above[n]
	return e, ok
}

func (p *protection) prefix(x netip.Prefix) (Protected, bool) {
	for _, e := range p.prefixes {
		if e.prefix.Overlaps(x) {
			return e.entry, true
		}
	}
	return Protected{}, false
}

// LoadProtected reads table protected_name, and those names of entities and
// providers that are domain names: the hub knows no others of them.
func LoadProtected(ctx context.Context, q sqldb.Querier) ([]Protected, error) {
	rows, err := q.QueryContext(ctx, `SELECT name, reason, 0 FROM protected_name
		UNION ALL SELECT name, 'name of a validated entity', 1 FROM entity
		UNION ALL SELECT name, 'name of a provider', 1 FROM provider
		UNION ALL SELECT id, 'name of a provider', 1 FROM provider`)
	if err != nil {
		return nil, fmt.Errorf("policy: protected names: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Protected
	for rows.Next() {
		var p Protected
		var party int
		err = rows.Scan(&p.Name, &p.Reason, &party)
		if err != nil {
			return nil, err
		}
		if party == 1 {
			_, err = observable.Canonical(observable.Domain, p.Name)
			if err != nil || !strings.Contains(p.Name, ".") {
				continue // a name in words
			}
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
