package flow

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"ecs/contract"
)

// recent remembers which conversations were reported in the current minute. It
// is a table of fixed size with four places for each hash: when all four are
// taken by other conversations of the same minute, one gives way, is counted,
// and may be reported a second time, which sightings merge anyway.
type recent struct {
	seed  maphash.Seed
	slots []conversation
}

type conversation struct {
	key    [recentKey]byte
	minute int64
}

const (
	recentKey  = 16 + 16 + 16 + 4
	recentWays = 4
)

// recentSlots is how many conversations a worker remembers: 4 MiB.
const recentSlots = 1 << 16

func newRecent() recent {
	return recent{seed: maphash.MakeSeed(), slots: make([]conversation, recentSlots)}
}

// first reports whether a conversation has not been reported in this minute, and
// remembers that it is now.
func (t *recent) first(customer int32, id contract.ID, client, peer netip.Addr, minute int64, n *tally) bool {
	var k [recentKey]byte
	copy(k[:], id[:])
	a, b := client.As16(), peer.As16()
	copy(k[16:], a[:])
	copy(k[32:], b[:])
	binary.LittleEndian.PutUint32(k[48:], uint32(customer))
	at := maphash.Bytes(t.seed, k[:]) % (recentSlots / recentWays) * recentWays
	set := t.slots[at : at+recentWays]
	old := 0
	for i := range set {
		if set[i].minute == minute && set[i].key == k {
			n.repeated++
			return false
		}
		if set[i].minute < set[old].minute {
			old = i
		}
	}
	if set[old].minute == minute {
		n.forgotten++
	}
	set[old] = conversation{k, minute}
	return true
}
