package dns

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// peer is where a datagram came from, and at which of our addresses it arrived
// when the socket is bound to all of them.
type peer struct {
	addr  netip.AddrPort
	scope uint32     // of a link-local IPv6 address
	local netip.Addr // zero when the socket is bound to one address
}

// socket is one UDP socket. An outbox or inbox of its user does the I/O.
type socket struct {
	conn      *net.UDPConn
	raw       syscall.RawConn
	v6        bool
	wild      bool        // bound to all addresses: answers must name theirs
	connected bool        // to an upstream
	plain     atomic.Bool // one by one: asked for, or the kernel refused batches
}

func newSocket(conn *net.UDPConn, connected, plain bool) (*socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, errors.New("dns: socket without a UDP address")
	}
	s := &socket{conn: conn, raw: raw, connected: connected, v6: local.IP.To4() == nil}
	s.wild = !connected && local.IP.IsUnspecified()
	s.plain.Store(plain || !canBatch)
	if s.wild {
		err = wantLocal(raw, s.v6)
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// batch is how many datagrams go through one system call.
const batch = 32

// inbox receives datagrams in batches. One goroutine at a time uses it; what a
// call gave is valid until the next.
type inbox struct {
	width int
	buf   []byte // batch buffers of width bytes
	n     [batch]int
	cut   [batch]bool // the datagram was longer than the buffer
	from  [batch]peer
	oob   [64]byte
	sys   sysInbox
}

func newInbox(width int) *inbox {
	b := &inbox{width: width, buf: make([]byte, batch*width)}
	b.sys.init(b)
	return b
}

// msg gives datagram i of the last batch.
func (b *inbox) msg(i int) []byte { return b.buf[i*b.width:][:b.n[i]] }

// recv waits for datagrams and gives their number. An error other than a closed
// socket concerns one datagram; the caller goes on.
func (b *inbox) recv(s *socket) (int, error) {
	if !s.plain.Load() {
		n, err := b.sys.recv(b, s)
		if !refusesBatches(err) {
			return n, err
		}
		s.plain.Store(true)
	}
	n, oobn, flags, from, err := s.conn.ReadMsgUDPAddrPort(b.buf[:b.width], b.oob[:])
	if err != nil {
		return 0, err
	}
	b.n[0], b.cut[0] = n, isCut(flags)
	b.from[0] = peer{addr: netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
	if s.wild {
		b.from[0].local = parseLocal(b.oob[:oobn], s.v6)
	}
	return 1, nil
}

// poll is recv without waiting: 0 when nothing is there, or when the socket
// works one by one.
func (b *inbox) poll(s *socket) (int, error) {
	if s.plain.Load() {
		return 0, nil
	}
	return b.sys.poll(b, s)
}

// outbox sends datagrams in batches. One goroutine at a time uses it. The bytes
// that were added are not copied: they must stay until flush.
type outbox struct {
	n    int
	id   [batch][2]byte
	has  [batch]bool // id replaces the first two bytes of body
	body [batch][]byte
	to   [batch]peer
	one  []byte
	oob  [64]byte
	sys  sysOutbox
}

func newOutbox() *outbox {
	o := &outbox{one: make([]byte, 0, 64<<10)}
	o.sys.init(o)
	return o
}

func (o *outbox) full() bool { return o.n == batch }

// add stages a datagram. There must be room.
func (o *outbox) add(to *peer, body []byte) {
	o.has[o.n] = false
	o.body[o.n] = body
	o.to[o.n] = *to
	o.n++
}

// addID stages a datagram whose identifier is id instead of its own, so that
// one answer can go to several clients.
func (o *outbox) addID(to *peer, id uint16, body []byte) {
	o.has[o.n] = true
	binary.BigEndian.PutUint16(o.id[o.n][:], id)
	o.body[o.n] = body
	o.to[o.n] = *to
	o.n++
}

// flush sends what was staged and gives how many datagrams could not be sent,
// with the last error.
func (o *outbox) flush(s *socket) (lost int, err error) {
	n := o.n
	o.n = 0
	if n == 0 {
		return 0, nil
	}
	from := 0
	if !s.plain.Load() {
		from, lost, err = o.sys.send(o, s, n)
		if !refusesBatches(err) {
			return lost, err
		}
		s.plain.Store(true)
		err = nil
	}
	for i := from; i < n; i++ {
		p := o.body[i]
		if o.has[i] {
			o.one = append(append(o.one[:0], o.id[i][:]...), p[2:]...)
			p = o.one
		}
		var e error
		switch {
		case s.connected:
			_, e = s.conn.Write(p)
		case s.wild:
			_, _, e = s.conn.WriteMsgUDPAddrPort(p, appendLocal(o.oob[:0], o.to[i].local), o.to[i].addr)
		default:
			_, e = s.conn.WriteToUDPAddrPort(p, o.to[i].addr)
		}
		if e != nil {
			lost++
			err = e
		}
	}
	return lost, err
}
