package match

import "hash/maphash"

// Keys made at start and never written anywhere. Every set of a process uses
// the same, so that sets can be merged without knowing the values.
var (
	seedOf    = newSeeds()
	seedCheck = maphash.MakeSeed()
	seedID    = maphash.MakeSeed()
)

const kinds = 16

func newSeeds() (s [kinds]maphash.Seed) {
	for i := range s {
		s[i] = maphash.MakeSeed()
	}
	return s
}

// digestSlot holds 96 bits of keyed digest and whose it is. At ten million
// indicators a false match is expected once in some 10^21 look-ups.
type digestSlot struct {
	key   uint64
	check uint32
	ent   uint32 // index of the entry plus one; 0: empty
}

// digests is an open-addressed multimap from keyed digests to entries, with a
// bitmap in front that answers most misses from a cache line that is near.
type digests struct {
	slots []digestSlot
	gate  []uint64
	used  int
}

func newDigests(n int) digests {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return digests{slots: make([]digestSlot, size), gate: make([]uint64, size*8/64+1)}
}

// gateBit picks the bit of the gate for a key: from its upper half, since the
// lower half picks the slot.
func (d *digests) gateBit(key uint64) (word int, bit uint64) {
	i := (key >> 32) & uint64(len(d.slots)*8-1)
	return int(i >> 6), 1 << (i & 63)
}

func (d *digests) add(key uint64, check, ent uint32) {
	word, bit := d.gateBit(key)
	d.gate[word] |= bit
	mask := uint64(len(d.slots) - 1)
	for i := key & mask; ; i = (i + 1) & mask {
		if d.slots[i].ent == 0 {
			d.slots[i] = digestSlot{key: key, check: check, ent: ent + 1}
			d.used++
			return
		}
	}
}

func (d *digests) may(key uint64) bool {
	word, bit := d.gateBit(key)
	return d.gate[word]&bit != 0
}

// addrSlot is an address or prefix: v4 as ::ffff:0:0/96, low bits zero.
type addrSlot struct {
	hi, lo uint64
	ent    uint32 // index plus one; 0: empty
	port   uint16 // 0: any
	proto  uint8  // 0: any
	bits   uint8  // 0 to 128
}

type addrs struct {
	slots []addrSlot
	gate  []uint64
	used  int
}

func newAddrs(n int) addrs {
	size := 16
	for size < 2*n {
		size *= 2
	}
	return addrs{slots: make([]addrSlot, size), gate: make([]uint64, size*8/64+1)}
}

var addrSecret = maphash.Bytes(seedID, []byte("addresses")) | 1

// addrHash mixes an address and a length. It is keyed so that nobody can choose
// addresses that collide.
func addrHash(hi, lo uint64, bits uint8) uint64 {
	h := (hi ^ addrSecret) * 0x9e3779b97f4a7c15
	h ^= h >> 29
	h = (h ^ lo ^ uint64(bits)<<56) * 0xbf58476d1ce4e5b9
	h ^= h >> 32
	h *= addrSecret
	return h ^ h>>29
}

func (t *addrs) gateBit(h uint64) (word int, bit uint64) {
	i := (h >> 32) & uint64(len(t.slots)*8-1)
	return int(i >> 6), 1 << (i & 63)
}

func (t *addrs) add(s addrSlot) {
	h := addrHash(s.hi, s.lo, s.bits)
	word, bit := t.gateBit(h)
	t.gate[word] |= bit
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		if t.slots[i].ent == 0 {
			t.slots[i] = s
			t.used++
			return
		}
	}
}
