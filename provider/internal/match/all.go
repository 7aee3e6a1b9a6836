package match

import (
	"hash/maphash"
	"net/netip"

	"ecs/contract"
	"ecs/observable"
)

// The look-ups of this file give every indicator in force instead of one. They
// are for what was hit already: a customer may have an exception for one
// indicator and not for another of the same value. They append to dst and
// allocate only when it is too short.

// NameAll appends the indicators for a DNS name and for all of its parents, the
// nearest first. For the name see [Set.Name].
func (s *Set) NameAll(dst []*Entry, svc contract.Services, now int64, wire []byte) []*Entry {
	for len(wire) > 1 {
		dst = s.digestAll(dst, svc, now, maphash.Bytes(seedOf[observable.Domain], wire), wire)
		n := int(wire[0]) + 1
		if n > len(wire) {
			break
		}
		wire = wire[n:]
	}
	return dst
}

// HostAll is [Set.NameAll] for a host name in text.
func (s *Set) HostAll(dst []*Entry, svc contract.Services, now int64, host []byte) []*Entry {
	var wire [256]byte
	n, ok := toWire(&wire, host)
	if !ok {
		return dst
	}
	return s.NameAll(dst, svc, now, wire[:n])
}

// TextAll appends the indicators for a value of kind k, in canonical form.
func (s *Set) TextAll(dst []*Entry, svc contract.Services, now int64, k observable.Kind, v []byte) []*Entry {
	return s.digestAll(dst, svc, now, maphash.Bytes(seedOf[k], v), v)
}

func (s *Set) digestAll(dst []*Entry, svc contract.Services, now int64, key uint64, v []byte) []*Entry {
	if s.over != nil {
		dst = s.over.digestAll(dst, svc, now, key, v, nil)
	}
	return s.base.digestAll(dst, svc, now, key, v, s.dead)
}

func (l *layer) digestAll(dst []*Entry, svc contract.Services, now int64, key uint64, v []byte, dead bitset) []*Entry {
	if !l.text.may(key) {
		return dst
	}
	mask := uint64(len(l.text.slots) - 1)
	for i := key & mask; l.text.slots[i].ent != 0; i = (i + 1) & mask {
		slot := &l.text.slots[i]
		if slot.key != key || slot.check != uint32(maphash.Bytes(seedCheck, v)) || dead.has(slot.ent-1) {
			continue
		}
		e := l.ents[slot.ent-1]
		if e.In(svc, now) {
			dst = append(dst, e)
		}
	}
	return dst
}

// FlowAll appends the indicators for one end of a flow: of its address, of every
// prefix that holds it, and of its port alone.
func (s *Set) FlowAll(dst []*Entry, now int64, a netip.Addr, port uint16, proto uint8) []*Entry {
	hi, lo := halves(a)
	if s.over != nil {
		dst = s.over.flowAll(dst, now, hi, lo, port, proto, nil)
	}
	return s.base.flowAll(dst, now, hi, lo, port, proto, s.dead)
}

func (l *layer) flowAll(dst []*Entry, now int64, hi, lo uint64, port uint16, proto uint8, dead bitset) []*Entry {
	for _, bits := range l.order {
		h, o := masked(hi, lo, bits)
		want := addrSlot{hi: h, lo: o, port: port, proto: proto, bits: bits}
		mask := uint64(len(l.addr.slots) - 1)
		for i := addrHash(h, o, bits) & mask; l.addr.slots[i].ent != 0; i = (i + 1) & mask {
			slot := &l.addr.slots[i]
			if slot.fits(&want) && !dead.has(slot.ent-1) && l.ents[slot.ent-1].In(contract.NetFlow, now) {
				dst = append(dst, l.ents[slot.ent-1])
			}
		}
	}
	for _, p := range l.ports {
		if p.port == port && (p.proto == 0 || p.proto == proto) && !dead.has(p.ent) && l.ents[p.ent].In(contract.NetFlow, now) {
			dst = append(dst, l.ents[p.ent])
		}
	}
	return dst
}
