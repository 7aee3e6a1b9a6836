package match

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"

	"ecs/contract"
	"ecs/observable"
)

// Set is everything that is in force. It is immutable and safe for any number
// of readers; no look-up allocates or locks.
//
// Every look-up takes the moment (seconds since 1970) and judges each entry by
// its own validity, so that an indicator ends when it should even when nobody
// has built a new set since.
type Set struct {
	base *layer
	dead bitset // entries of base that are gone
	over *layer // nil when empty
	live int
}

// Build makes a set of items, at most one for each identifier.
func Build(items []Item) *Set {
	return &Set{base: build(items), live: len(items)}
}

const (
	overlayFloor = 4096 // overlays up to this size are never folded in
	overlayShare = 32   // beyond it, up to one part in so many of the base
)

// With gives a set in which the indicators of remove are gone and those of add
// are in, replacing any with the same identifier. The old set stays as it was.
// The cost is that of the overlay, but for every few thousand changes, when the
// overlay is folded in.
func (s *Set) With(add []Item, remove []contract.ID) *Set {
	var deadBase, deadOver []uint32
	out := &Set{base: s.base, live: s.live}
	drop := func(id contract.ID) {
		if s.over != nil {
			i, ok := s.over.find(id)
			if ok {
				deadOver = append(deadOver, i)
				out.live--
				return
			}
		}
		i, ok := s.base.find(id)
		if ok && !s.dead.has(i) {
			deadBase = append(deadBase, i)
			out.live--
		}
	}
	for _, id := range remove {
		drop(id)
	}
	for i := range add {
		drop(add[i].Entry.ID)
	}
	out.live += len(add)
	out.dead = s.dead.with(unique(deadBase, &out.live), len(s.base.ents))
	out.over = s.over
	if len(add) > 0 || len(deadOver) > 0 {
		fresh := build(add)
		if s.over != nil {
			var none bitset
			fresh = merge(s.over, none.with(unique(deadOver, &out.live), len(s.over.ents)), fresh)
		}
		out.over = fresh
	}
	if out.over != nil && len(out.over.ents) == 0 {
		out.over = nil
	}
	if out.over != nil && len(out.over.ents) > max(overlayFloor, len(s.base.ents)/overlayShare) {
		return &Set{base: merge(out.base, out.dead, out.over), live: out.live}
	}
	return out
}

// unique drops repetitions (an identifier both removed and added, or named
// twice) and gives back to live what was counted twice.
func unique(is []uint32, live *int) []uint32 {
	seen := make(map[uint32]struct{}, len(is))
	out := is[:0]
	for _, i := range is {
		_, again := seen[i]
		if again {
			*live++
			continue
		}
		seen[i] = struct{}{}
		out = append(out, i)
	}
	return out
}

// Len counts the indicators in the set, in force or not.
func (s *Set) Len() int { return s.live }

// ByID finds an entry, nil when it is not in the set.
func (s *Set) ByID(id contract.ID) *Entry {
	if s.over != nil {
		i, ok := s.over.find(id)
		if ok {
			return s.over.ents[i]
		}
	}
	i, ok := s.base.find(id)
	if ok && !s.dead.has(i) {
		return s.base.ents[i]
	}
	return nil
}

// Name finds the indicator for a DNS name or for the nearest of its parents.
// The name is in wire form (RFC 1035 section 3.1), not compressed, lower case,
// and well-formed: the caller has parsed it.
func (s *Set) Name(svc contract.Services, now int64, wire []byte) *Entry {
	for len(wire) > 1 {
		key := maphash.Bytes(seedOf[observable.Domain], wire)
		e := s.digest(svc, now, key, wire)
		if e != nil {
			return e
		}
		n := int(wire[0]) + 1
		if n > len(wire) {
			return nil
		}
		wire = wire[n:]
	}
	return nil
}

// Host finds the indicator for a host name in text (A-labels, lower case, no
// trailing dot) or for the nearest of its parents.
func (s *Set) Host(svc contract.Services, now int64, host []byte) *Entry {
	var wire [256]byte
	n, ok := toWire(&wire, host)
	if !ok {
		return nil
	}
	return s.Name(svc, now, wire[:n])
}

// Text finds the indicator for a value of kind k, in canonical form.
func (s *Set) Text(svc contract.Services, now int64, k observable.Kind, v []byte) *Entry {
	return s.digest(svc, now, maphash.Bytes(seedOf[k], v), v)
}

func (s *Set) digest(svc contract.Services, now int64, key uint64, v []byte) *Entry {
	var best *Entry
	if s.over != nil && s.over.text.may(key) {
		best = s.over.digestEntry(svc, now, key, v, nil)
		if best != nil && best.stops() {
			return best
		}
	}
	if !s.base.text.may(key) {
		return best
	}
	e := s.base.digestEntry(svc, now, key, v, s.dead)
	if e == nil || best != nil && !e.stops() {
		return best
	}
	return e
}

// digestEntry finds an entry in force, one that stops before one that alerts.
// Values with more than one entry are rare, so going on costs little.
func (l *layer) digestEntry(svc contract.Services, now int64, key uint64, v []byte, dead bitset) *Entry {
	var best *Entry
	mask := uint64(len(l.text.slots) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		slot := &l.text.slots[i]
		if slot.ent == 0 {
			return best
		}
		if slot.key != key || slot.check != uint32(maphash.Bytes(seedCheck, v)) || dead.has(slot.ent-1) {
			continue
		}
		e := l.ents[slot.ent-1]
		if !e.In(svc, now) {
			continue
		}
		if e.stops() {
			return e
		}
		if best == nil {
			best = e
		}
	}
}

// Flow finds the indicator for one end of a flow: its address or the longest
// listed prefix that holds it, where the indicator's port and protocol (if it
// names any) fit; failing that, an indicator for the port alone.
func (s *Set) Flow(now int64, a netip.Addr, port uint16, proto uint8) *Entry {
	hi, lo := halves(a)
	if s.over != nil {
		e := s.over.flow(now, hi, lo, port, proto, nil)
		if e != nil {
			return e
		}
	}
	return s.base.flow(now, hi, lo, port, proto, s.dead)
}

func (l *layer) flow(now int64, hi, lo uint64, port uint16, proto uint8, dead bitset) *Entry {
	for _, bits := range l.order {
		h, o := masked(hi, lo, bits)
		key := addrHash(h, o, bits)
		word, bit := l.addr.gateBit(key)
		if l.addr.gate[word]&bit == 0 {
			continue
		}
		e := l.addrEntry(now, key, addrSlot{hi: h, lo: o, port: port, proto: proto, bits: bits}, dead)
		if e != nil {
			return e
		}
	}
	if l.gate[port>>6]&(1<<(port&63)) == 0 {
		return nil
	}
	for _, p := range l.ports {
		if p.port != port || p.proto != 0 && p.proto != proto || dead.has(p.ent) {
			continue
		}
		e := l.ents[p.ent]
		if e.In(contract.NetFlow, now) {
			return e
		}
	}
	return nil
}

func (l *layer) addrEntry(now int64, key uint64, want addrSlot, dead bitset) *Entry {
	mask := uint64(len(l.addr.slots) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		slot := &l.addr.slots[i]
		if slot.ent == 0 {
			return nil
		}
		if !slot.fits(&want) || dead.has(slot.ent-1) {
			continue
		}
		e := l.ents[slot.ent-1]
		if e.In(contract.NetFlow, now) {
			return e
		}
	}
}

// fits reports whether a slot is of the wanted prefix and lets the wanted port
// and protocol through.
func (s *addrSlot) fits(want *addrSlot) bool {
	return s.hi == want.hi && s.lo == want.lo && s.bits == want.bits &&
		(s.port == 0 || s.port == want.port) && (s.proto == 0 || s.proto == want.proto)
}

// Holder holds the set in force.
type Holder struct{ p atomic.Pointer[Set] }

// NewHolder makes a holder with an empty set in force.
func NewHolder() *Holder {
	h := &Holder{}
	h.Set(Build(nil))
	return h
}

// Get gives the set in force. Never nil.
func (h *Holder) Get() *Set { return h.p.Load() }

// Set puts a set in force, at once for every reader.
func (h *Holder) Set(s *Set) { h.p.Store(s) }
