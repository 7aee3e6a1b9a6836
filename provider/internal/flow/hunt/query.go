package hunt

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"ecs/provider/internal/flow/store"
)

// Target is one thing to look for: an address or prefix, with a port and
// protocol at the same end if these are given, or a port alone.
type Target struct {
	Prefix netip.Prefix // an address is a prefix of full length; not valid: any address
	Port   uint16       // 0: any
	Proto  uint8        // IANA protocol number, 0: any
}

// Query says what to look for, where and when.
type Query struct {
	Dir       string    // folder of flows
	Key       []byte    // of the store's sidecars, if it has one
	Targets   []Target  // at least one
	Since     time.Time // flows that ended before are not wanted; zero: from the oldest
	Until     time.Time // flows that began after are not wanted; zero: to now
	Customers []int32   // whose flows; none: everybody's
	Samples   int       // flows of each hit to show, at most
	Workers   int       // files read at once [number of CPUs]
}

// Hit sums up what one customer had to do with one target.
type Hit struct {
	Target   int   // number in Query.Targets
	Customer int32 //
	First    int64 // milliseconds since 1970
	Last     int64
	Flows    uint64
	Packets  uint64 // as exported, not scaled by sampling
	Bytes    uint64
	Samples  []store.Row // the earliest ones
}

// Result of a hunt.
type Result struct {
	Hits    []Hit   // by target, then customer
	Files   int     // looked at, write-ahead files included
	Skipped int     // of these, not read because nothing in them can match
	Rows    int64   // in all files looked at
	Read    int64   // rows that were read whole
	Bad     []error // files that could not be used; the answer is incomplete without them
}

var errNothing = errors.New("hunt: nothing to look for; give an address, a prefix or a port")

// targets is the query made ready: exact addresses and prefixes by length in
// maps, ports by number.
type targets struct {
	q       *Query
	byBits  [129]map[[16]byte][]int
	lengths []int // present in byBits, longest first
	byPort  map[uint16][]int
	singles [][16]byte // exact addresses, sorted
	since   int64
	until   int64
}

func prepare(q *Query) (*targets, error) {
	if len(q.Targets) == 0 {
		return nil, errNothing
	}
	t := &targets{q: q, byPort: map[uint16][]int{}, since: -1 << 62, until: 1<<62 - 1}
	if !q.Since.IsZero() {
		t.since = q.Since.UnixMilli()
	}
	if !q.Until.IsZero() {
		t.until = q.Until.UnixMilli()
	}
	for i, x := range q.Targets {
		switch {
		case x.Prefix.IsValid():
			p := x.Prefix.Masked()
			bits := p.Bits()
			if p.Addr().Is4() {
				bits += 96
			}
			if t.byBits[bits] == nil {
				t.byBits[bits] = map[[16]byte][]int{}
				t.lengths = append(t.lengths, bits)
			}
			a := p.Addr().As16()
			t.byBits[bits][a] = append(t.byBits[bits][a], i)
		case x.Port != 0:
			t.byPort[x.Port] = append(t.byPort[x.Port], i)
		default:
			return nil, fmt.Errorf("target %d: %w", i+1, errNothing)
		}
	}
	slices.Sort(t.lengths)
	slices.Reverse(t.lengths)
	for a := range t.byBits[128] {
		t.singles = append(t.singles, a)
	}
	slices.SortFunc(t.singles, compare)
	return t, nil
}

func compare(a, b [16]byte) int { return slices.Compare(a[:], b[:]) }

func masked(a [16]byte, bits int) [16]byte {
	for i := (bits + 7) / 8; i < 16; i++ {
		a[i] = 0
	}
	if bits%8 != 0 {
		a[bits/8] &= 0xff << (8 - bits%8)
	}
	return a
}

// named reports whether any target names an address.
func (t *targets) named(a *[16]byte) bool {
	for _, bits := range t.lengths {
		k := *a
		if bits < 128 {
			k = masked(k, bits)
		}
		_, ok := t.byBits[bits][k]
		if ok {
			return true
		}
	}
	return false
}

// between reports whether any target can lie between two addresses.
func (t *targets) between(low, high *[16]byte) bool {
	i, _ := slices.BinarySearchFunc(t.singles, *low, compare)
	if i < len(t.singles) && compare(t.singles[i], *high) <= 0 {
		return true
	}
	for _, bits := range t.lengths {
		if bits == 128 {
			continue
		}
		for a := range t.byBits[bits] {
			if compare(a, masked(*high, bits)) <= 0 && compare(a, masked(*low, bits)) >= 0 {
				return true
			}
		}
	}
	return false
}

// match calls f for each target that a row meets, once.
func (t *targets) match(r *store.Row, f func(target int)) {
	if r.Last() < t.since || r.First > t.until {
		return
	}
	if len(t.q.Customers) > 0 && !slices.Contains(t.q.Customers, r.Customer) {
		return
	}
	lp, rp := r.LocalPort, r.RemotePort
	if r.Proto == 1 || r.Proto == 58 { // type and code, not ports
		lp, rp = 0, 0
	}
	for _, bits := range t.lengths {
		remote, local := r.Remote, r.Local
		if bits < 128 {
			remote, local = masked(remote, bits), masked(local, bits)
		}
		far := t.byBits[bits][remote]
		for _, i := range far {
			if t.fits(i, rp, r.Proto) {
				f(i)
			} else if remote == local && t.fits(i, lp, r.Proto) {
				f(i)
			}
		}
		if local == remote {
			continue
		}
		for _, i := range t.byBits[bits][local] {
			if t.fits(i, lp, r.Proto) {
				f(i)
			}
		}
	}
	if len(t.byPort) == 0 {
		return
	}
	for _, i := range t.byPort[rp] {
		if t.fits(i, rp, r.Proto) && (plausible(rp, lp) || lp == rp) {
			f(i)
		}
	}
	if lp == rp {
		return
	}
	for _, i := range t.byPort[lp] {
		if t.fits(i, lp, r.Proto) && plausible(lp, rp) {
			f(i)
		}
	}
}

func (t *targets) fits(i int, port uint16, proto uint8) bool {
	x := &t.q.Targets[i]
	return (x.Port == 0 || x.Port == port) && (x.Proto == 0 || x.Proto == proto)
}

// plausible is the room's rule against passing ports of clients; see there.
func plausible(port, other uint16) bool { return other == 0 || other >= 1024 || port < 1024 }
