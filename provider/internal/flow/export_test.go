package flow

import (
	"encoding/binary"
	"net/netip"
)

// Exports as the tests send them: NetFlow v5 and v9, built piece by piece.

type testFlow struct {
	src, dst     string
	sport, dport uint16
	proto        uint8
	bytes        uint32
}

func be(n int, v uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, v)
	return b[8-n:]
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func v4(s string) []byte {
	a := netip.MustParseAddr(s).As4()
	return a[:]
}

// v5 makes a datagram whose flows ended at secs.
func v5(secs, seq uint32, flows ...testFlow) []byte {
	b := join(be(2, 5), be(2, uint64(len(flows))), be(4, 10_000), be(4, uint64(secs)), be(4, 0), be(4, uint64(seq)), be(4, 0))
	for _, f := range flows {
		b = join(b, v4(f.src), v4(f.dst), be(4, 0), be(4, 0), be(4, 1), be(4, uint64(f.bytes)), be(4, 9000), be(4, 10_000),
			be(2, uint64(f.sport)), be(2, uint64(f.dport)), be(2, 0), be(1, uint64(f.proto)), be(1, 0), be(8, 0))
	}
	return b
}

var v9Template = join(be(2, 0), be(2, 8+6*4), be(2, 300), be(2, 6),
	be(4, 8<<16|4), be(4, 12<<16|4), be(4, 7<<16|2), be(4, 11<<16|2), be(4, 4<<16|1), be(4, 1<<16|4))

// v9 makes a datagram, with its template or without.
func v9(secs, seq uint32, template bool, flows ...testFlow) []byte {
	b := join(be(2, 9), be(2, 1), be(4, 10_000), be(4, uint64(secs)), be(4, uint64(seq)), be(4, 1))
	if template {
		b = join(b, v9Template)
	}
	if len(flows) == 0 {
		return b
	}
	b = join(b, be(2, 300), be(2, uint64(4+17*len(flows))))
	for _, f := range flows {
		b = join(b, v4(f.src), v4(f.dst), be(2, uint64(f.sport)), be(2, uint64(f.dport)), be(1, uint64(f.proto)), be(4, uint64(f.bytes)))
	}
	return b
}
