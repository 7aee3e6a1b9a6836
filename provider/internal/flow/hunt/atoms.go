package hunt

import (
	"fmt"
	"net/netip"

	"ecs/observable"
)

// FromAtom makes a target of an indicator's atom: an address, prefix or port.
// Other kinds cannot be seen in flows and are refused.
func FromAtom(a observable.Atom) (Target, error) {
	t := Target{Port: a.Port, Proto: a.Proto}
	switch a.Kind {
	case observable.Addr:
		ip, err := netip.ParseAddr(a.Value)
		if err != nil {
			return t, fmt.Errorf("hunt: %w", err)
		}
		ip = ip.Unmap()
		t.Prefix = netip.PrefixFrom(ip, ip.BitLen())
	case observable.Prefix:
		p, err := netip.ParsePrefix(a.Value)
		if err != nil {
			return t, fmt.Errorf("hunt: %w", err)
		}
		t.Prefix = p.Masked()
	case observable.Port:
		if a.Port == 0 {
			return t, errNothing
		}
	default:
		return t, fmt.Errorf("hunt: flows do not show a %s; hunt for an address, a prefix or a port", a.Kind)
	}
	return t, nil
}
