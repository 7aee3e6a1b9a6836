package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// canBatch says whether this system has recvmmsg and sendmmsg.
const canBatch = true

// mmsghdr is struct mmsghdr of <sys/socket.h>.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// control has room for one IP_PKTINFO or IPV6_PKTINFO message, aligned.
type control [5]uint64

// refusesBatches reports whether the kernel (or a sandbox) does not let us use
// the batch calls.
func refusesBatches(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP)
}

func isCut(flags int) bool { return flags&unix.MSG_TRUNC != 0 }

type sysInbox struct {
	msgs  [batch]mmsghdr
	iov   [batch]unix.Iovec
	names [batch]unix.RawSockaddrInet6 // large enough for IPv4 as well
	ctl   [batch]control

	// What the system call takes and gives; the functions are made once, since
	// making them for each call would allocate.
	wild   bool
	named  bool
	n      int
	errno  syscall.Errno
	waitFn func(fd uintptr) bool
	pollFn func(fd uintptr)
}

func (y *sysInbox) init(b *inbox) {
	for i := range y.msgs {
		y.iov[i].Base = &b.buf[i*b.width]
		y.iov[i].SetLen(b.width)
		y.msgs[i].hdr.Iov = &y.iov[i]
		y.msgs[i].hdr.SetIovlen(1)
	}
	y.pollFn = func(fd uintptr) { y.call(fd) }
	y.waitFn = func(fd uintptr) bool {
		y.call(fd)
		return y.errno != unix.EAGAIN
	}
}

func (y *sysInbox) call(fd uintptr) {
	for i := range y.msgs {
		h := &y.msgs[i].hdr
		h.Flags = 0
		h.Name, h.Namelen, h.Control = nil, 0, nil
		h.SetControllen(0)
		if y.named {
			h.Name, h.Namelen = (*byte)(unsafe.Pointer(&y.names[i])), unix.SizeofSockaddrInet6
		}
		if y.wild {
			h.Control = (*byte)(unsafe.Pointer(&y.ctl[i]))
			h.SetControllen(int(unsafe.Sizeof(y.ctl[i])))
		}
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&y.msgs[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		y.n, y.errno = int(n), errno
		if errno != 0 {
			y.n = 0
		}
		return
	}
}

func (y *sysInbox) recv(b *inbox, s *socket) (int, error) {
	y.wild, y.named = s.wild, !s.connected
	err := s.raw.Read(y.waitFn)
	if err != nil {
		return 0, err
	}
	return y.done(b, s)
}

func (y *sysInbox) poll(b *inbox, s *socket) (int, error) {
	y.wild, y.named = s.wild, !s.connected
	err := s.raw.Control(y.pollFn)
	if err != nil {
		return 0, err
	}
	if y.errno == unix.EAGAIN {
		return 0, nil
	}
	return y.done(b, s)
}

func (y *sysInbox) done(b *inbox, s *socket) (int, error) {
	if y.errno != 0 {
		return 0, y.errno
	}
	for i := range y.n {
		m := &y.msgs[i]
		b.n[i] = int(m.n)
		b.cut[i] = m.hdr.Flags&unix.MSG_TRUNC != 0
		if s.connected {
			continue
		}
		b.from[i] = fromRaw(&y.names[i])
		if s.wild {
			c := (*[unsafe.Sizeof(control{})]byte)(unsafe.Pointer(&y.ctl[i]))
			b.from[i].local = parseLocal(c[:min(len(c), int(m.hdr.Controllen))], s.v6)
		}
	}
	return y.n, nil
}

func fromRaw(sa *unix.RawSockaddrInet6) peer {
	port := (*[2]byte)(unsafe.Pointer(&sa.Port))
	p := binary.BigEndian.Uint16(port[:])
	if sa.Family == unix.AF_INET {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return peer{addr: netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), p)}
	}
	return peer{addr: netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), p), scope: sa.Scope_id}
}

// toRaw fills a socket address and gives its length.
func toRaw(sa *unix.RawSockaddrInet6, p *peer) uint32 {
	port := (*[2]byte)(unsafe.Pointer(&sa.Port)) // at the same place in both families
	binary.BigEndian.PutUint16(port[:], p.addr.Port())
	a := p.addr.Addr()
	if a.Is4() {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		sa4.Family = unix.AF_INET
		sa4.Addr = a.As4()
		return unix.SizeofSockaddrInet4
	}
	sa.Family = unix.AF_INET6
	sa.Flowinfo = 0
	sa.Addr = a.As16()
	sa.Scope_id = p.scope
	return unix.SizeofSockaddrInet6
}

type sysOutbox struct {
	msgs  [batch]mmsghdr
	iov   [batch][2]unix.Iovec
	names [batch]unix.RawSockaddrInet6
	ctl   [batch]control

	from, to int
	n        int
	errno    syscall.Errno
	sendFn   func(fd uintptr)
}

func (y *sysOutbox) init(*outbox) {
	y.sendFn = func(fd uintptr) {
		for {
			n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&y.msgs[y.from])), uintptr(y.to-y.from), unix.MSG_DONTWAIT, 0, 0)
			if errno == unix.EINTR {
				continue
			}
			y.n, y.errno = int(n), errno
			return
		}
	}
}

// send sends datagrams 0 to n-1. It gives the first one not tried, which is n
// unless the kernel refuses batches, and how many were lost.
func (y *sysOutbox) send(o *outbox, s *socket, n int) (next, lost int, err error) {
	for i := range n {
		h := &y.msgs[i].hdr
		iov := &y.iov[i]
		h.Iov = &iov[0]
		if o.has[i] {
			iov[0].Base = &o.id[i][0]
			iov[0].SetLen(2)
			iov[1].Base = &o.body[i][2]
			iov[1].SetLen(len(o.body[i]) - 2)
			h.SetIovlen(2)
		} else {
			iov[0].Base = &o.body[i][0]
			iov[0].SetLen(len(o.body[i]))
			h.SetIovlen(1)
		}
		h.Name, h.Namelen, h.Control = nil, 0, nil
		h.SetControllen(0)
		if s.connected {
			continue
		}
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&y.names[i])), toRaw(&y.names[i], &o.to[i])
		if s.wild && o.to[i].local.IsValid() {
			c := (*[unsafe.Sizeof(control{})]byte)(unsafe.Pointer(&y.ctl[i]))
			h.Control = &c[0]
			h.SetControllen(len(appendLocal(c[:0], o.to[i].local)))
		}
	}
	y.from, y.to = 0, n
	again := true
	for y.from < n {
		cerr := s.raw.Control(y.sendFn)
		if cerr != nil {
			return n, lost + n - y.from, cerr
		}
		if y.errno == 0 {
			y.from += max(y.n, 1)
			continue
		}
		if y.errno == unix.ENOSYS && y.from == 0 {
			return 0, 0, y.errno
		}
		err = y.errno
		if s.connected && again && errors.Is(err, unix.ECONNREFUSED) {
			// The error is an earlier datagram's; this one was not tried.
			again = false
			continue
		}
		if err == unix.EAGAIN { //nolint:errorlint // a bare errno, on the hot path
			return n, lost + n - y.from, err
		}
		lost++ // this datagram cannot be sent; those behind it may
		y.from++
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
		err = errSend // a firewall's answer to one datagram, not a refusal of batches
	}
	return n, lost, err
}

var errSend = errors.New("dns: the kernel did not let a datagram out")

// wantLocal asks the kernel to tell where each datagram was sent to.
func wantLocal(raw syscall.RawConn, v6 bool) error {
	var err error
	cerr := raw.Control(func(fd uintptr) {
		if v6 {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	})
	return errors.Join(cerr, err)
}

// parseLocal finds the address that a datagram was sent to.
func parseLocal(oob []byte, v6 bool) netip.Addr {
	head := unix.CmsgLen(0)
	if len(oob) < head {
		return netip.Addr{}
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	data := oob[head:]
	switch {
	case v6 && c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_PKTINFO && len(data) >= 16:
		return netip.AddrFrom16([16]byte(data))
	case !v6 && c.Level == unix.IPPROTO_IP && c.Type == unix.IP_PKTINFO && len(data) >= 12:
		return netip.AddrFrom4([4]byte(data[4:])) // ipi_spec_dst
	}
	return netip.Addr{}
}

// appendLocal appends the control message that makes a datagram leave from a.
func appendLocal(b []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	n, typ, level, at := unix.SizeofInet4Pktinfo, unix.IP_PKTINFO, unix.IPPROTO_IP, 4
	if a.Is6() {
		n, typ, level, at = unix.SizeofInet6Pktinfo, unix.IPV6_PKTINFO, unix.IPPROTO_IPV6, 0
	}
	b = b[:unix.CmsgSpace(n)]
	clear(b)
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	c.Level, c.Type = int32(level), int32(typ)
	c.SetLen(unix.CmsgLen(n))
	data := b[unix.CmsgLen(0)+at:]
	if a.Is6() {
		x := a.As16()
		copy(data, x[:])
	} else {
		x := a.As4()
		copy(data, x[:])
	}
	return b
}

// listenUDP opens one of several sockets at an address.
func listenUDP(ctx context.Context, a netip.AddrPort, buffer int) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		cerr := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			// Above the system's limit when we may, up to it otherwise.
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
			}
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, buffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, buffer)
			}
			// Never act on a spoofed "fragmentation needed": answers are small.
			if a.Addr().Is4() {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
			} else {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
			}
		})
		return errors.Join(cerr, err)
	}}
	pc, err := lc.ListenPacket(ctx, network("udp", a), a.String())
	if err != nil {
		return nil, err
	}
	return pc.(*net.UDPConn), nil
}

// granted tells what receive buffer the kernel gave, in bytes.
func (s *socket) granted() int {
	n := 0
	_ = s.raw.Control(func(fd uintptr) {
		v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
		if err == nil {
			n = v / 2 // the kernel doubles it for its own overhead, socket(7)
		}
	})
	return n
}

// drops tells how many datagrams the kernel dropped at this socket.
func (s *socket) drops() uint64 {
	var info [9]uint32 // SK_MEMINFO_*, the last is SK_MEMINFO_DROPS
	_ = s.raw.Control(func(fd uintptr) {
		size := uint32(unsafe.Sizeof(info))
		_, _, _ = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	return uint64(info[8])
}
