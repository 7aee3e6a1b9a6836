package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"
	"unsafe"

	"ecs/bench/flow/gen"

	"golang.org/x/sys/unix"
)

const (
	perDatagram = 25
	vector      = 32 // datagrams in one system call
	templateID  = 300
)

// exporter sends generated flows as fast as it is told, or says that it cannot.
type exporter struct {
	fd       int
	version  int
	next     uint64 // number of the next flow
	seq      uint32
	bufs     [vector][1500]byte
	iov      [vector]unix.Iovec
	msgs     [vector]mmsghdr
	prebuilt [][]byte
}

type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

var fields = [][2]uint16{{8, 4}, {12, 4}, {7, 2}, {11, 2}, {4, 1}, {6, 1}, {2, 4}, {1, 4}, {22, 4}, {21, 4}}

// ipfixFields are the same; times are milliseconds since 1970 there.
var ipfixFields = [][2]uint16{{8, 4}, {12, 4}, {7, 2}, {11, 2}, {4, 1}, {6, 1}, {2, 4}, {1, 4}, {152, 8}, {153, 8}}

func dial(to netip.AddrPort, version int) (*exporter, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err != nil {
		return nil, err
	}
	x := &exporter{fd: fd, version: version}
	for i := range x.msgs {
		x.iov[i].Base = &x.bufs[i][0]
		x.msgs[i].hdr.Iov = &x.iov[i]
		x.msgs[i].hdr.SetIovlen(1)
	}
	return x, nil
}

func (x *exporter) close() { _ = unix.Close(x.fd) }

// template sends the template alone.
func (x *exporter) template() error {
	if x.version == 5 {
		return nil
	}
	fs, id := fields, uint16(0)
	if x.version == 10 {
		fs, id = ipfixFields, 2
	}
	var set []byte
	set = binary.BigEndian.AppendUint16(set, id)
	set = binary.BigEndian.AppendUint16(set, uint16(8+4*len(fs)))
	set = binary.BigEndian.AppendUint16(set, templateID)
	set = binary.BigEndian.AppendUint16(set, uint16(len(fs)))
	for _, f := range fs {
		set = binary.BigEndian.AppendUint16(set, f[0])
		set = binary.BigEndian.AppendUint16(set, f[1])
	}
	b := x.header(x.bufs[0][:0], 1, len(set))
	b = append(b, set...)
	if x.version == 9 {
		x.seq++
	}
	_, err := unix.Write(x.fd, b)
	return err
}

const uptime = 10_000_000 // milliseconds

func (x *exporter) header(b []byte, count, body int) []byte {
	secs := uint32(time.Now().Unix())
	be := binary.BigEndian
	b = be.AppendUint16(b, uint16(x.version))
	switch x.version {
	case 5:
		b = be.AppendUint16(b, uint16(count))
		b = be.AppendUint32(b, uptime)
		b = be.AppendUint32(b, secs)
		b = be.AppendUint32(b, 0)
		b = be.AppendUint32(b, x.seq)
		b = be.AppendUint32(b, 0)
	case 9:
		b = be.AppendUint16(b, uint16(count))
		b = be.AppendUint32(b, uptime)
		b = be.AppendUint32(b, secs)
		b = be.AppendUint32(b, x.seq)
		b = be.AppendUint32(b, 1)
	default:
		b = be.AppendUint16(b, uint16(16+body))
		b = be.AppendUint32(b, secs)
		b = be.AppendUint32(b, x.seq)
		b = be.AppendUint32(b, 1)
	}
	return b
}

// build makes one datagram of the next flows.
func (x *exporter) build(b []byte) []byte {
	be := binary.BigEndian
	size := map[int]int{5: 48, 9: 30, 10: 38}[x.version]
	body := perDatagram * size
	if x.version != 5 {
		body += 4
	}
	b = x.header(b, perDatagram, body)
	if x.version != 5 {
		b = be.AppendUint16(b, templateID)
		b = be.AppendUint16(b, uint16(body))
	}
	now := uint64(time.Now().UnixMilli())
	for range perDatagram {
		f := gen.At(x.next)
		x.next++
		last := uint32(uptime) - f.Ago
		b = be.AppendUint32(b, f.Src)
		b = be.AppendUint32(b, f.Dst)
		if x.version == 5 {
			b = be.AppendUint64(b, 0)
			b = be.AppendUint32(b, f.Packets)
			b = be.AppendUint32(b, f.Bytes)
			b = be.AppendUint32(b, last-f.Length)
			b = be.AppendUint32(b, last)
			b = be.AppendUint16(b, f.SPort)
			b = be.AppendUint16(b, f.DPort)
			b = append(b, 0, f.Flags, f.Proto, 0)
			b = be.AppendUint64(b, 0)
			continue
		}
		b = be.AppendUint16(b, f.SPort)
		b = be.AppendUint16(b, f.DPort)
		b = append(b, f.Proto, f.Flags)
		b = be.AppendUint32(b, f.Packets)
		b = be.AppendUint32(b, f.Bytes)
		if x.version == 9 {
			b = be.AppendUint32(b, last-f.Length)
			b = be.AppendUint32(b, last)
			continue
		}
		end := now - uint64(f.Ago)
		b = be.AppendUint64(b, end-uint64(f.Length))
		b = be.AppendUint64(b, end)
	}
	if x.version == 9 {
		x.seq++
	} else {
		x.seq += perDatagram
	}
	return b
}

// prebuild makes datagrams ahead, so that at high rates the exporter's core only
// stamps the sequence number and sends.
func (x *exporter) prebuild(n int) {
	for range n {
		x.prebuilt = append(x.prebuilt, x.build(nil))
	}
}

// run sends about rate records a second for a time. It gives the number of flows
// sent and how long it took; where that is longer, the exporter was the limit.
func (x *exporter) run(rate float64, d time.Duration) (uint64, time.Duration, error) {
	at := map[int]int{5: 16, 9: 12, 10: 8}[x.version] // of the sequence number
	begin := time.Now()
	total := int(rate * d.Seconds() / perDatagram)
	sent := 0
	for sent < total {
		due := min(int(time.Since(begin).Seconds()*rate/perDatagram), total)
		if due-sent < vector && due < total {
			runtime.Gosched()
			continue
		}
		n := min(vector, total-sent)
		for i := range n {
			p := x.prebuilt[(sent+i)%len(x.prebuilt)]
			binary.BigEndian.PutUint32(p[at:], x.seq)
			if x.version == 9 {
				x.seq++
			} else {
				x.seq += perDatagram
			}
			x.iov[i].Base = &p[0]
			x.iov[i].SetLen(len(p))
		}
		r, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(x.fd), uintptr(unsafe.Pointer(&x.msgs[0])), uintptr(n), 0, 0, 0)
		if e != 0 {
			return 0, 0, fmt.Errorf("sendmmsg: %w", e)
		}
		if int(r) != n {
			return 0, 0, fmt.Errorf("sendmmsg sent %d of %d", r, n)
		}
		sent += n
	}
	return uint64(sent) * perDatagram, time.Since(begin), nil
}

// fresh sends flows number 0 to n, each once, at a rate.
func (x *exporter) fresh(n uint64, rate float64) error {
	begin := time.Now()
	x.next = 0
	for x.next < n {
		if float64(x.next) > time.Since(begin).Seconds()*rate {
			runtime.Gosched()
			continue
		}
		_, err := unix.Write(x.fd, x.build(x.bufs[0][:0]))
		if err != nil {
			return err
		}
	}
	return nil
}

func freePort() (netip.AddrPort, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}
