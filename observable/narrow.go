package observable

import (
	"ecs/stix/pattern"
)

// end is one end of a flow as a pattern speaks of it.
type end uint8

const (
	source end = iota + 1
	destination
)

// narrowed gathers comparisons on network-traffic that are joined by AND:
// address, port and protocol, each at most once, address and port at one end.
type narrowed struct {
	addr, port, proto *pattern.Test
	addrEnd, portEnd  end
	types             []*pattern.Test // *_ref.type, which must repeat the family
	layers            []*pattern.Test // protocols[*] = 'ipv4', 'ipv6': the same
}

// flowProperty is what a path says of a flow.
type flowProperty uint8

const (
	unknownProperty flowProperty = iota
	addressOfEnd
	typeOfEnd
	portOfEnd
	protocol
)

// ofFlow tells what a path of network-traffic leads to, and at which end.
func ofFlow(p pattern.Path) (flowProperty, end) {
	if p.Type != "network-traffic" {
		return unknownProperty, 0
	}
	first := p.Steps[0].Key
	if len(p.Steps) == 1 {
		switch first {
		case "src_port":
			return portOfEnd, source
		case "dst_port":
			return portOfEnd, destination
		}
		return unknownProperty, 0
	}
	if len(p.Steps) > 2 {
		return unknownProperty, 0
	}
	second := p.Steps[1]
	at := source
	switch first {
	case "protocols":
		if second.Kind == pattern.Any {
			return protocol, 0
		}
		return unknownProperty, 0
	case "dst_ref":
		at = destination
	case "src_ref":
	default:
		return unknownProperty, 0
	}
	switch {
	case second == valueStep:
		return addressOfEnd, at
	case second == pattern.Step{Key: "type"}:
		return typeOfEnd, at
	}
	return unknownProperty, 0
}

// narrows reports whether a comparison means something only beside others.
func narrows(t *pattern.Test) bool {
	what, _ := ofFlow(t.Path)
	return what == protocol || what == typeOfEnd
}

func (n *narrowed) take(t *pattern.Test) error {
	values, err := constants(t)
	if err != nil {
		return err
	}
	slot := &n.addr
	switch what, at := ofFlow(t.Path); what {
	case addressOfEnd:
		n.addrEnd = at
	case portOfEnd:
		slot, n.portEnd = &n.port, at
	case typeOfEnd:
		n.types = append(n.types, t)
		return nil
	case protocol:
		if len(values) == 1 && (values[0].Text == "ipv4" || values[0].Text == "ipv6") {
			n.layers = append(n.layers, t)
			return nil
		}
		slot = &n.proto
	default:
		return refuse(t, "no service sees %s beside address, port and protocol", t.Path)
	}
	if *slot != nil && pattern.Write(*slot) != pattern.Write(t) {
		return refuse(t, "a second address, port or protocol must hold on the same flow; a service matches one end of a flow at a time")
	}
	*slot = t
	return nil
}

// atoms adds one atom for each combination of address, port and protocol.
func (n *narrowed) atoms(c *compiler) error {
	if n.addr == nil && n.port == nil {
		for _, t := range append([]*pattern.Test{n.proto}, append(n.layers, n.types...)...) {
			if t != nil {
				return refuse(t, "it names neither address nor port, and much of all traffic would match")
			}
		}
	}
	if n.addr != nil && n.port != nil && n.addrEnd != n.portEnd {
		return refuse(n.port, "address and port are at different ends of the flow; a service matches one end at a time")
	}
	addrs, err := each(n.addr, Addr)
	if err != nil {
		return err
	}
	ports, err := each(n.port, Port)
	if err != nil {
		return err
	}
	protos, err := n.protocols()
	if err != nil {
		return err
	}
	for _, a := range addrs {
		err = n.family(a)
		if err != nil {
			return err
		}
		for _, p := range ports {
			for _, proto := range protos {
				out := Atom{Kind: a.Kind, Value: a.Value, Port: p.Port, Proto: proto}
				if n.addr == nil {
					out.Kind = Port
				}
				err = c.add(out)
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// each gives an atom for each constant of t; a single empty one if t is nil.
func each(t *pattern.Test, k Kind) ([]Atom, error) {
	if t == nil {
		return []Atom{{}}, nil
	}
	var out []Atom
	for _, v := range t.Values {
		a, err := atom(t, k, v)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (n *narrowed) protocols() ([]uint8, error) {
	if n.proto == nil {
		return []uint8{0}, nil
	}
	var out []uint8
	for _, v := range n.proto.Values {
		number, ok := protocols[v.Text]
		if v.Kind != pattern.String || !ok {
			return nil, refuse(n.proto, "%s is not a transport protocol that flows carry (tcp, udp, sctp, icmp, ipv6-icmp, gre, esp, ah)", v)
		}
		out = append(out, number)
	}
	return out, nil
}

// family refuses comparisons that contradict the family of the address.
func (n *narrowed) family(a Atom) error {
	for _, t := range append(n.types, n.layers...) {
		want, isLayer := "", t.Path.Steps[0].Key == "protocols"
		if n.addr != nil {
			want = familyOf(a.Value)
			if !isLayer {
				want += "-addr"
			}
		}
		if len(t.Values) != 1 || t.Values[0].Text != want ||
			!isLayer && (t.Path.Steps[0].Key == "dst_ref") != (n.addrEnd == destination) {
			return refuse(t, "only the family of the address beside it can be asked for")
		}
	}
	return nil
}
