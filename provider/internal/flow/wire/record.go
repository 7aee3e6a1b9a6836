package wire

import (
	"encoding/binary"
	"net/netip"
)

// MaxRecords is how many records one datagram can yield: a datagram of 65,507
// bytes with records of 16 bytes. More are cut off with [ErrRecords].
const MaxRecords = 4096

// Record is one flow in one direction, without pointers so that millions of
// them cost the garbage collector nothing. Counts are as exported: multiply by
// Sampling for an estimate of what was on the line.
type Record struct {
	First    int64    // milliseconds since 1970 by the exporter's clock
	Last     int64    // the same; not before First
	Bytes    uint64   // layer 3 octets
	Packets  uint64   //
	Src      [16]byte // IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2)
	Dst      [16]byte
	In       uint32 // SNMP ifIndex, 0: not exported
	Out      uint32
	Sampling uint32 // 1 in Sampling packets was looked at; 0: not exported
	SrcPort  uint16
	DstPort  uint16 // for ICMP: type*256 + code
	Proto    uint8  // IANA protocol number
	Flags    uint8  // all TCP flags seen, ORed
	TOS      uint8
	Reverse  bool // made from the reverse half of a biflow (RFC 5103)
}

// Source gives the source address, IPv4 as IPv4.
func (r *Record) Source() netip.Addr { return Addr(&r.Src) }

// Destination gives the destination address, IPv4 as IPv4.
func (r *Record) Destination() netip.Addr { return Addr(&r.Dst) }

// Addr turns the stored form of an address into its own family. It allocates
// nothing.
func Addr(b *[16]byte) netip.Addr {
	if binary.BigEndian.Uint64(b[:8]) == 0 && binary.BigEndian.Uint32(b[8:12]) == 0xffff {
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return netip.AddrFrom16(*b)
}

func put4(b *[16]byte, v uint32) {
	binary.BigEndian.PutUint64(b[:8], 0)
	binary.BigEndian.PutUint64(b[8:], 0xffff_0000_0000|uint64(v))
}

// Batch takes the records of one datagram. Reuse it: it is about 400 KiB.
type Batch struct {
	N       int // Records[:N] are valid
	Records [MaxRecords]Record
}

// Stats counts what one exporter sent. All numbers only grow.
type Stats struct {
	Datagrams        uint64
	Records          uint64 // flow records decoded, a biflow as two
	OptionRecords    uint64 // options data records (sampling rates and the like)
	OtherRecords     uint64 // records of templates without an address: not flows
	Templates        uint64 // template definitions accepted, repetitions not counted
	TemplatesRefused uint64 // degenerate, malformed or over budget
	NoTemplate       uint64 // data sets whose template is not known (yet)
	Malformed        uint64 // datagrams with an error
	LostFlows        uint64 // by sequence numbers of NetFlow v5 and IPFIX
	LostDatagrams    uint64 // by sequence numbers of NetFlow v9
	Reordered        uint64 // datagrams that came late or twice
	Restarts         uint64 // the exporter began anew
	CutRecords       uint64 // datagrams cut off at MaxRecords
}
