package match

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"ecs/contract"
	"ecs/observable"
)

// layer is one immutable index. A set is a big layer and a small one over it.
type layer struct {
	ents  []*Entry
	ids   []uint32 // open-addressed by identifier; index plus one
	text  digests
	addr  addrs
	lens  [129]bool // which prefix lengths occur, v4 counted from 96
	order []uint8   // the same, longest first
	ports []portRef
	gate  [1024]uint64 // bitmap over ports
}

type portRef struct {
	port  uint16
	proto uint8
	ent   uint32 // index, not plus one
}

func newLayer(ents, text, addr int) *layer {
	size := 16
	for size < 2*ents {
		size *= 2
	}
	return &layer{ents: make([]*Entry, 0, ents), ids: make([]uint32, size), text: newDigests(text), addr: newAddrs(addr)}
}

// build makes a layer of items. Later items with the same identifier are kept
// as well: callers see to it that there are none.
func build(items []Item) *layer {
	text, addr := 0, 0
	for i := range items {
		for _, a := range items[i].Atoms {
			switch a.Kind {
			case observable.Addr, observable.Prefix:
				addr++
			case observable.Port:
			default:
				text++
			}
		}
	}
	l := newLayer(len(items), text, addr)
	var wire [256]byte
	for i := range items {
		ent := l.entry(items[i].Entry)
		for _, a := range items[i].Atoms {
			l.atom(ent, a, &wire)
		}
	}
	l.finish()
	return l
}

func (l *layer) entry(e *Entry) uint32 {
	ent := uint32(len(l.ents))
	l.ents = append(l.ents, e)
	mask := uint64(len(l.ids) - 1)
	for i := maphash.Bytes(seedID, e.ID[:]) & mask; ; i = (i + 1) & mask {
		if l.ids[i] == 0 {
			l.ids[i] = ent + 1
			return ent
		}
	}
}

func (l *layer) find(id contract.ID) (uint32, bool) {
	mask := uint64(len(l.ids) - 1)
	for i := maphash.Bytes(seedID, id[:]) & mask; l.ids[i] != 0; i = (i + 1) & mask {
		if l.ents[l.ids[i]-1].ID == id {
			return l.ids[i] - 1, true
		}
	}
	return 0, false
}

func (l *layer) atom(ent uint32, a observable.Atom, wire *[256]byte) {
	switch a.Kind {
	case observable.Domain:
		n, ok := toWire(wire, a.Value)
		if !ok {
			return
		}
		l.digest(ent, observable.Domain, wire[:n])
	case observable.Addr:
		ip, err := netip.ParseAddr(a.Value)
		if err != nil {
			return
		}
		l.prefix(ent, netip.PrefixFrom(ip, ip.BitLen()), a)
	case observable.Prefix:
		p, err := netip.ParsePrefix(a.Value)
		if err != nil {
			return
		}
		l.prefix(ent, p, a)
	case observable.Port:
		l.ports = append(l.ports, portRef{port: a.Port, proto: a.Proto, ent: ent})
	default:
		l.digest(ent, a.Kind, []byte(a.Value))
	}
}

func (l *layer) digest(ent uint32, k observable.Kind, v []byte) {
	l.text.add(maphash.Bytes(seedOf[k], v), uint32(maphash.Bytes(seedCheck, v)), ent)
}

func (l *layer) prefix(ent uint32, p netip.Prefix, a observable.Atom) {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	hi, lo := halves(p.Addr())
	hi, lo = masked(hi, lo, uint8(bits))
	l.addr.add(addrSlot{hi: hi, lo: lo, ent: ent + 1, port: a.Port, proto: a.Proto, bits: uint8(bits)})
	l.lens[bits] = true
}

func (l *layer) finish() {
	l.order = l.order[:0]
	for bits := 128; bits >= 0; bits-- {
		if l.lens[bits] {
			l.order = append(l.order, uint8(bits))
		}
	}
	for _, p := range l.ports {
		l.gate[p.port>>6] |= 1 << (p.port & 63)
	}
}

// merge makes one layer of what is alive in both. It works on digests alone:
// the values are not known here any more.
func merge(base *layer, dead bitset, over *layer) *layer {
	out := newLayer(len(base.ents)+len(over.ents), base.text.used+over.text.used, base.addr.used+over.addr.used)
	out.absorb(base, dead)
	out.absorb(over, nil)
	out.finish()
	return out
}

const gone = ^uint32(0)

func (l *layer) absorb(from *layer, dead bitset) {
	moved := make([]uint32, len(from.ents))
	for i, e := range from.ents {
		if dead.has(uint32(i)) {
			moved[i] = gone
			continue
		}
		moved[i] = l.entry(e)
	}
	for _, s := range from.text.slots {
		if s.ent != 0 && moved[s.ent-1] != gone {
			l.text.add(s.key, s.check, moved[s.ent-1])
		}
	}
	for _, s := range from.addr.slots {
		if s.ent != 0 && moved[s.ent-1] != gone {
			s.ent = moved[s.ent-1] + 1
			l.addr.add(s)
			l.lens[s.bits] = true
		}
	}
	for _, p := range from.ports {
		if moved[p.ent] != gone {
			p.ent = moved[p.ent]
			l.ports = append(l.ports, p)
		}
	}
}

type bitset []uint64

func (b bitset) has(i uint32) bool {
	return int(i>>6) < len(b) && b[i>>6]&(1<<(i&63)) != 0
}

// with gives a copy in which i is set.
func (b bitset) with(is []uint32, size int) bitset {
	if len(is) == 0 {
		return b
	}
	out := make(bitset, (size+63)/64)
	copy(out, b)
	for _, i := range is {
		out[i>>6] |= 1 << (i & 63)
	}
	return out
}

func halves(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func masked(hi, lo uint64, bits uint8) (uint64, uint64) {
	switch {
	case bits >= 128:
		return hi, lo
	case bits >= 64:
		return hi, lo &^ (1<<(128-bits) - 1)
	default:
		return hi &^ (1<<(64-bits) - 1), 0
	}
}

// toWire writes a textual host name in the wire form of RFC 1035 section 3.1.
// Escapes are not understood: canonical names have none.
func toWire[T string | []byte](out *[256]byte, name T) (int, bool) {
	if len(name) == 0 || len(name) > 253 {
		return 0, false
	}
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '.' {
			out[i+1] = name[i]
			continue
		}
		n := i - start
		if n == 0 || n > 63 {
			return 0, false
		}
		out[start] = byte(n)
		start = i + 1
	}
	out[len(name)+1] = 0
	return len(name) + 2, true
}
