// Package gen makes the flows of bench/flow: the same flow for the same number,
// so that the exporter, the collectors and the check know what was sent without
// telling each other. It knows nothing of how flows are collected.
package gen

import (
	"encoding/binary"
	"net/netip"
)

// Indicators is how many indicators the benchmarks load: 940,000 IPv4 addresses,
// 50,000 IPv6 addresses and 10,000 prefixes.
const Indicators = 1_000_000

// HitEvery is how many flows there are for each one with an indicator.
const HitEvery = 1000

// Flow is one flow.
type Flow struct {
	Src, Dst       uint32
	SPort, DPort   uint16
	Proto, Flags   uint8
	Packets, Bytes uint32
	Ago            uint32 // milliseconds before now that it ended
	Length         uint32 // milliseconds
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// At gives flow number n. Local hosts are 65,536 in 10.0.0.0/16; remote ones are
// skewed as traffic is: half of the flows go to 4,096 addresses in 128.0.0.0/8,
// the rest spread over 4 million. One in HitEvery goes to an indicator.
func At(n uint64) Flow {
	a, b := mix(n), mix(n^0xabcdef)
	f := Flow{
		Src: 10<<24 | uint32(a&0xffff), SPort: uint16(32768 + a>>16&0x7fff), Proto: 6, Flags: 0x1b,
		Packets: 1 + uint32(b&31)*uint32(b>>5&7), Ago: uint32(b >> 8 & 0x3fff), Length: uint32(b >> 24 & 0x1fff),
	}
	f.Bytes = f.Packets * (60 + uint32(a>>32&1023))
	f.DPort = [...]uint16{443, 443, 443, 80, 53, 22, 25, 8080}[a>>48&7]
	if f.DPort == 53 {
		f.Proto, f.Flags = 17, 0
	}
	f.Dst = 128<<24 | uint32(b>>40&0xfff)
	if a>>60&1 == 1 {
		f.Dst = 129<<24 | uint32(b>>40&0x3fffff)
	}
	if n%HitEvery == HitEvery-1 {
		f.Dst = Listed(int(b>>40) % 940_000)
	}
	return f
}

// Listed is listed IPv4 address number i.
func Listed(i int) uint32 { return 200<<24 | uint32(i)*16 + 5 }

// Listed6 is listed IPv6 address number i.
func Listed6(i int) netip.Addr {
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	binary.BigEndian.PutUint64(a[8:], mix(uint64(i)))
	return netip.AddrFrom16(a)
}

// Prefix is listed prefix number i.
func Prefix(i int) netip.Prefix {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 160<<24|uint32(i)<<8)
	return netip.PrefixFrom(netip.AddrFrom4(a), 24+i%4)
}

// V4 turns a number into an address.
func V4(a uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], a)
	return netip.AddrFrom4(b)
}
