package store

import (
	"cmp"
	"encoding/binary"

	"ecs/provider/internal/flow/wire"
)

// Direction says which end of a flow is the customer's.
type Direction uint8

// The directions.
const (
	Unknown  Direction = iota // known by exporter only: local is the source
	Out                       // the customer's end is the source
	In                        // the customer's end is the destination
	Internal                  // both ends are the same customer's: local is the source
)

var directions = [...]string{"unknown", "out", "in", "internal"}

// String gives the direction's name.
func (d Direction) String() string {
	if int(d) < len(directions) {
		return directions[d]
	}
	return "unknown"
}

// Row is one flow as one customer sees it. A flow between two customers is two
// rows. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d.
type Row struct {
	First      int64  // milliseconds since 1970
	Bytes      uint64 // as exported: times Sampling for an estimate
	Packets    uint64
	Local      [16]byte
	Remote     [16]byte
	Exporter   [16]byte
	Duration   uint32 // milliseconds
	In         uint32 // SNMP ifIndex
	Out        uint32
	Sampling   uint32 // 0: not exported
	Customer   int32
	LocalPort  uint16
	RemotePort uint16 // for ICMP: type*256 + code, whatever the direction
	Proto      uint8
	Flags      uint8
	TOS        uint8
	Direction  Direction
}

// Last is when the flow ended, milliseconds since 1970.
func (r *Row) Last() int64 { return r.First + int64(r.Duration) }

// Fill makes a row of a record.
func (r *Row) Fill(f *wire.Record, exporter *[16]byte, customer int32, d Direction) {
	r.First, r.Bytes, r.Packets = f.First, f.Bytes, f.Packets
	r.Duration = uint32(min(max(f.Last-f.First, 0), 1<<32-1))
	r.In, r.Out, r.Sampling = f.In, f.Out, f.Sampling
	r.Exporter, r.Customer, r.Direction = *exporter, customer, d
	r.Proto, r.Flags, r.TOS = f.Proto, f.Flags, f.TOS
	if d == In {
		r.Local, r.Remote, r.LocalPort, r.RemotePort = f.Dst, f.Src, f.DstPort, f.SrcPort
		if f.Proto == 1 || f.Proto == 58 {
			r.LocalPort, r.RemotePort = f.SrcPort, f.DstPort
		}
		return
	}
	r.Local, r.Remote, r.LocalPort, r.RemotePort = f.Src, f.Dst, f.SrcPort, f.DstPort
}

// rowSize is the length of a row in a write-ahead file.
const rowSize = 3*8 + 3*16 + 5*4 + 2*2 + 4

func (r *Row) put(b *[rowSize]byte) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], uint64(r.First))
	le.PutUint64(b[8:], r.Bytes)
	le.PutUint64(b[16:], r.Packets)
	copy(b[24:], r.Local[:])
	copy(b[40:], r.Remote[:])
	copy(b[56:], r.Exporter[:])
	le.PutUint32(b[72:], r.Duration)
	le.PutUint32(b[76:], r.In)
	le.PutUint32(b[80:], r.Out)
	le.PutUint32(b[84:], r.Sampling)
	le.PutUint32(b[88:], uint32(r.Customer))
	le.PutUint16(b[92:], r.LocalPort)
	le.PutUint16(b[94:], r.RemotePort)
	b[96], b[97], b[98], b[99] = r.Proto, r.Flags, r.TOS, byte(r.Direction)
}

func (r *Row) get(b *[rowSize]byte) {
	le := binary.LittleEndian
	r.First, r.Bytes, r.Packets = int64(le.Uint64(b[0:])), le.Uint64(b[8:]), le.Uint64(b[16:])
	copy(r.Local[:], b[24:])
	copy(r.Remote[:], b[40:])
	copy(r.Exporter[:], b[56:])
	r.Duration, r.In, r.Out, r.Sampling = le.Uint32(b[72:]), le.Uint32(b[76:]), le.Uint32(b[80:]), le.Uint32(b[84:])
	r.Customer = int32(le.Uint32(b[88:]))
	r.LocalPort, r.RemotePort = le.Uint16(b[92:]), le.Uint16(b[94:])
	r.Proto, r.Flags, r.TOS, r.Direction = b[96], b[97], b[98], Direction(b[99])
}

// order sorts rows by remote address, then local address, then time: what a hunt
// asks for is together, and repeats compress.
func order(a, b *Row) int {
	c := address(&a.Remote, &b.Remote)
	if c != 0 {
		return c
	}
	c = address(&a.Local, &b.Local)
	if c != 0 {
		return c
	}
	return cmp.Compare(a.First, b.First)
}

func address(a, b *[16]byte) int {
	x, y := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(b[:8])
	if x == y {
		x, y = binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:])
	}
	return cmp.Compare(x, y)
}
