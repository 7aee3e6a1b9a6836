package wire

import (
	"encoding/binary"
	"net/netip"
)

// The slow, obvious other side: exporters that build datagrams piece by piece.

type ie struct {
	id  uint16
	n   uint16
	pen uint32
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

func set(id uint16, body ...[]byte) []byte {
	b := join(body...)
	return join(be(2, uint64(id)), be(2, uint64(len(b)+4)), b)
}

func templateRecord(id uint16, fields ...ie) []byte {
	b := join(be(2, uint64(id)), be(2, uint64(len(fields))))
	for _, f := range fields {
		if f.pen != 0 {
			b = join(b, be(2, uint64(f.id|0x8000)), be(2, uint64(f.n)), be(4, uint64(f.pen)))
			continue
		}
		b = join(b, be(2, uint64(f.id)), be(2, uint64(f.n)))
	}
	return b
}

func nine(uptime, secs, seq, source uint32, sets ...[]byte) []byte {
	return join(be(2, 9), be(2, uint64(len(sets))), be(4, uint64(uptime)), be(4, uint64(secs)), be(4, uint64(seq)), be(4, uint64(source)), join(sets...))
}

func ten(secs, seq, domain uint32, sets ...[]byte) []byte {
	body := join(sets...)
	return join(be(2, 10), be(2, uint64(len(body)+16)), be(4, uint64(secs)), be(4, uint64(seq)), be(4, uint64(domain)), body)
}

func five(uptime, secs, seq uint32, sampling uint16, records ...[]byte) []byte {
	return join(be(2, 5), be(2, uint64(len(records))), be(4, uint64(uptime)), be(4, uint64(secs)), be(4, 500_000_000),
		be(4, uint64(seq)), be(2, 0x0102), be(2, uint64(sampling)), join(records...))
}

func v4(s string) []byte { a := netip.MustParseAddr(s).As4(); return a[:] }
func v6(s string) []byte { a := netip.MustParseAddr(s).As16(); return a[:] }

func sixteen(s string) [16]byte { return netip.MustParseAddr(s).As16() }

func fiveRecord(src, dst string, sport, dport uint16, proto, flags uint8, packets, octets, first, last uint32) []byte {
	return join(v4(src), v4(dst), be(4, 0), be(2, 3), be(2, 4), be(4, uint64(packets)), be(4, uint64(octets)), be(4, uint64(first)),
		be(4, uint64(last)), be(2, uint64(sport)), be(2, uint64(dport)), be(1, 0), be(1, uint64(flags)), be(1, uint64(proto)), be(1, 0x10), be(8, 0))
}

var usual = []ie{
	{id: ieSrc4, n: 4},
	{id: ieDst4, n: 4},
	{id: ieSrcPort, n: 2},
	{id: ieDstPort, n: 2},
	{id: ieProtocol, n: 1},
	{id: ieTCPFlags, n: 1},
	{id: ieOctetDelta, n: 4},
	{id: iePacketDelta, n: 4},
	{id: ieFirstUptime, n: 4},
	{id: ieLastUptime, n: 4},
}

func usualRecord(src, dst string, sport, dport uint16, octets uint32) []byte {
	return join(v4(src), v4(dst), be(2, uint64(sport)), be(2, uint64(dport)), be(1, 6), be(1, 0x1b), be(4, uint64(octets)), be(4, 7), be(4, 1000), be(4, 3000))
}
