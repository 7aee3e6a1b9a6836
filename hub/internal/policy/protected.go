package policy

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"ecs/internal/sqldb"
	"ecs/observable"
)

// Protected is a name, with everything below it, or a prefix that may not be
// blocked.
type Protected struct {
	Name   string // domain name, address or prefix
	Reason string
}

// protection answers for names in a few map lookups and for prefixes by walking
// a short list.
type protection struct {
	names    map[string]Protected   // the protected zones
	apexes   map[string]Protected   // names that are protected, and not what is below them
	above    map[string]Protected   // each name above one of either, which would block it too
	near     map[string][]Protected // by registrable domain
	table    *bart.Table[Protected]
	prefixes []protectedPrefix // the same in order, for what is near
}

type protectedPrefix struct {
	prefix netip.Prefix
	entry  Protected
}

func emptyProtection() *protection {
	return &protection{
		names: map[string]Protected{}, apexes: map[string]Protected{}, above: map[string]Protected{}, near: map[string][]Protected{},
		table: new(bart.Table[Protected]),
	}
}

// newProtection takes the protected names and prefixes of this program's parties;
// the built-in ones are in builtins.
func newProtection(own []Protected) (*protection, error) {
	p := emptyProtection()
	for _, e := range own {
		pre, ok := parsePrefix(e.Name)
		if ok {
			p.addPrefix(pre, e)
			continue
		}
		n, err := observable.Canonical(observable.Domain, e.Name)
		if err != nil {
			return nil, fmt.Errorf("policy: protected name %q: %w; correct or remove it", e.Name, err)
		}
		e.Name = n
		p.add(e, false)
	}
	return p, nil
}

func (p *protection) add(e Protected, apex bool) {
	if apex {
		p.apexes[e.Name] = e
	} else {
		p.names[e.Name] = e
	}
	for z := parent(e.Name); z != ""; z = parent(z) {
		_, ok := p.above[z]
		if !ok {
			p.above[z] = e
		}
	}
	r := registrable(e.Name)
	p.near[r] = append(p.near[r], e)
}

// name finds the protected name that n is, is below, or is above.
func (p *protection) name(n string) (Protected, bool) {
	if len(p.names)+len(p.apexes) == 0 {
		return Protected{}, false
	}
	for z := n; z != ""; z = parent(z) {
		e, ok := p.names[z]
		if ok {
			return e, true
		}
	}
	e, ok := p.apexes[n]
	if ok {
		return e, true
	}
	e, ok = p.above[n]
	return e, ok
}

func (p *protection) addPrefix(pre netip.Prefix, e Protected) {
	p.prefixes = append(p.prefixes, protectedPrefix{pre, e})
	p.table.Insert(pre, e)
}

// prefix finds a protected prefix that x lies in or holds.
func (p *protection) prefix(x netip.Prefix) (Protected, bool) {
	for _, e := range p.table.Supernets(x) {
		return e, true
	}
	if x.IsSingleIP() {
		return Protected{}, false
	}
	for _, e := range p.table.Subnets(x) {
		return e, true
	}
	return Protected{}, false
}

// protectedName asks the built-in names and those of this program.
func (c *Checker) protectedName(n string) (Protected, bool) {
	p, ok := builtins.base.name(n)
	if ok {
		return p, true
	}
	return c.protected.name(n)
}

func (c *Checker) protectedPrefix(x netip.Prefix) (Protected, bool) {
	p, ok := builtins.base.prefix(x)
	if ok {
		return p, true
	}
	return c.protected.prefix(x)
}

// registrable gives the domain that somebody registered: the suffix of a registry
// and one label more, or n itself when it has none.
func registrable(n string) string {
	top := registry(n)
	if len(top) >= len(n) {
		return n
	}
	rest := n[:len(n)-len(top)-1]
	return n[strings.LastIndexByte(rest, '.')+1:]
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
