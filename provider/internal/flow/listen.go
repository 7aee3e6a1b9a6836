package flow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiveBatch is how many datagrams one system call takes at most.
const receiveBatch = 64

const controlSize = 64

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// open makes the sockets for one address: workers of them that share a port by
// SO_REUSEPORT. A small program in the kernel chooses among them by the source
// address alone, so that all templates and data of one exporter meet in one
// worker, whatever ports it sends from.
func (f *Flow) open(ctx context.Context, address string) ([]*net.UDPConn, error) {
	var out []*net.UDPConn
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		ctl := c.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1))
		})
		return errors.Join(ctl, err)
	}}
	for range f.cfg.Workers {
		pc, err := lc.ListenPacket(ctx, "udp", address)
		if err != nil {
			closeAll(out)
			return nil, fmt.Errorf("flow: cannot listen on %s; is another collector running, or the address not of this machine? %w", address, err)
		}
		c := pc.(*net.UDPConn) // what ListenPacket gives for "udp"
		out = append(out, c)
		address = c.LocalAddr().String() // port 0 was asked for: the others share the first one's
		f.buffer(c)
	}
	if len(out) > 1 {
		err := steer(out[0], len(out))
		if err != nil {
			closeAll(out)
			return nil, fmt.Errorf("flow: the kernel does not take the program that keeps an exporter on one socket; set workers to 1: %w", err)
		}
	}
	return out, nil
}

func closeAll(cs []*net.UDPConn) {
	for _, c := range cs {
		_ = c.Close()
	}
}

// buffer asks for the receive buffer and says when the kernel gives less. Over
// the limit of net.core.rmem_max only a privileged process is heard.
func (f *Flow) buffer(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	got := 0
	_ = raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, f.cfg.ReceiveBuffer)
		if err != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, f.cfg.ReceiveBuffer)
		}
		got, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	got /= 2 // the kernel doubles it for its own bookkeeping, socket(7)
	f.c.receiveBuffer.Store(int64(got))
	if got < f.cfg.ReceiveBuffer {
		f.cfg.Log.Warn("receive buffer is smaller than configured; bursts may be lost: raise net.core.rmem_max", slog.Any("bytes", got), slog.Any("configured", f.cfg.ReceiveBuffer))
	}
}

// steer attaches the program that picks a socket: (source address, folded) mod n.
func steer(c *net.UDPConn, n int) error {
	const net0 = 0xfff00000 // SKF_NET_OFF: from the IP header
	ld := func(size uint16, k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_ABS | size, K: net0 + k}
	}
	op := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	prog := []unix.SockFilter{
		ld(unix.BPF_B, 0),
		op(unix.BPF_ALU|unix.BPF_RSH|unix.BPF_K, 4),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 4, Jt: 0, Jf: 2},
		ld(unix.BPF_W, 12), // IPv4 source
		{Code: unix.BPF_JMP | unix.BPF_JA, K: 10},
		ld(unix.BPF_W, 8), // IPv6 source, four words folded into one
		op(unix.BPF_MISC|unix.BPF_TAX, 0),
		ld(unix.BPF_W, 12),
		op(unix.BPF_ALU|unix.BPF_XOR|unix.BPF_X, 0),
		op(unix.BPF_MISC|unix.BPF_TAX, 0),
		ld(unix.BPF_W, 16),
		op(unix.BPF_ALU|unix.BPF_XOR|unix.BPF_X, 0),
		op(unix.BPF_MISC|unix.BPF_TAX, 0),
		ld(unix.BPF_W, 20),
		op(unix.BPF_ALU|unix.BPF_XOR|unix.BPF_X, 0),
		op(unix.BPF_ALU|unix.BPF_MUL|unix.BPF_K, 0x9e3779b1), // spread neighbors
		op(unix.BPF_ALU|unix.BPF_RSH|unix.BPF_K, 16),
		op(unix.BPF_ALU|unix.BPF_MOD|unix.BPF_K, uint32(n)),
		op(unix.BPF_RET|unix.BPF_A, 0),
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	ctl := raw.Control(func(fd uintptr) {
		fp := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &fp)
	})
	return errors.Join(ctl, err)
}

// receiver moves datagrams from one socket into one ring. It does nothing else,
// so that the kernel's buffer is emptied however busy the decoder is.
type receiver struct {
	conn    *net.UDPConn
	ring    *ring
	c       *counters
	msgs    []mmsghdr // one for each place of the ring, then the spare ones
	names   []unix.RawSockaddrInet6
	iov     []unix.Iovec
	control []byte
	spare   []byte // takes what is dropped because the ring is full
	lost    uint32 // the kernel's count so far
}

func newReceiver(c *net.UDPConn, r *ring, n *counters) *receiver {
	all := len(r.slots) + receiveBatch
	x := &receiver{
		conn: c, ring: r, c: n, msgs: make([]mmsghdr, all), names: make([]unix.RawSockaddrInet6, all), iov: make([]unix.Iovec, all),
		control: make([]byte, all*controlSize), spare: make([]byte, 64),
	}
	for i := range all {
		b := x.spare
		if i < len(r.slots) {
			b = r.place(i)
		}
		x.iov[i].Base = &b[0]
		x.iov[i].SetLen(len(b))
		h := &x.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&x.names[i]))
		h.Iov = &x.iov[i]
		h.SetIovlen(1)
		h.Control = &x.control[i*controlSize]
	}
	return x
}

// run receives until the socket is closed.
func (x *receiver) run() error {
	raw, err := x.conn.SyscallConn()
	if err != nil {
		return err
	}
	var from, got int
	var errno unix.Errno
	full := false
	read := func(fd uintptr) bool {
		at, n := x.ring.room()
		full = n == 0
		if full { // let the decoder run once; if that does not help, drop and count
			runtime.Gosched()
			at, n = x.ring.room()
			full = n == 0
		}
		if full {
			at, n = len(x.ring.slots), receiveBatch
		}
		n = min(n, receiveBatch)
		for i := at; i < at+n; i++ {
			x.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
			x.msgs[i].hdr.SetControllen(controlSize)
		}
		from = at
		var r uintptr
		r, _, errno = unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&x.msgs[at])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		got = int(r)
		return errno != unix.EAGAIN && errno != unix.EWOULDBLOCK
	}
	for {
		err = raw.Read(read)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		if errno != 0 {
			if errno == unix.EINTR {
				continue
			}
			x.c.receiveErrors.Add(1)
			if errno == unix.EBADF {
				return nil
			}
			continue
		}
		x.took(from, got, full)
	}
}

// took handles what one system call brought.
func (x *receiver) took(at, n int, full bool) {
	x.c.received.Add(uint64(n))
	for i := at; i < at+n; i++ {
		m := &x.msgs[i]
		if m.hdr.Controllen > 0 {
			x.overflow(x.control[i*controlSize : i*controlSize+int(min(m.hdr.Controllen, controlSize))])
		}
		if full {
			continue
		}
		s := &x.ring.slots[i]
		s.n = int(m.n)
		if m.hdr.Flags&unix.MSG_TRUNC != 0 {
			s.n = 0
			x.c.tooLong.Add(1)
		}
		name := &x.names[i]
		if name.Family == unix.AF_INET {
			v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
			s.from = [16]byte{10: 0xff, 11: 0xff, 12: v4.Addr[0], 13: v4.Addr[1], 14: v4.Addr[2], 15: v4.Addr[3]}
		} else {
			s.from = name.Addr
		}
	}
	if full {
		x.c.ringDropped.Add(uint64(n))
		return
	}
	x.ring.filled(n)
}

// overflow reads the kernel's count of datagrams that this socket lost
// (SO_RXQ_OVFL); it comes with the datagrams after the loss.
func (x *receiver) overflow(b []byte) {
	const header = unix.SizeofCmsghdr
	if len(b) < header+4 || binary.NativeEndian.Uint32(b[8:]) != unix.SOL_SOCKET || binary.NativeEndian.Uint32(b[12:]) != unix.SO_RXQ_OVFL {
		return
	}
	now := binary.NativeEndian.Uint32(b[header:])
	x.c.kernelDropped.Add(uint64(now - x.lost))
	x.lost = now
}
