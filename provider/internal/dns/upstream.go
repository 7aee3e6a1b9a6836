package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ecs/provider/internal/dns/wire"
)

// upstream is one resolver and what is known of its health. Safe for
// concurrent use.
type upstream struct {
	index  int
	addr   netip.AddrPort
	down   atomic.Bool
	fails  atomic.Int32 // since the last answer
	srtt   atomic.Int64 // smoothed time to an answer, microseconds; 0 unknown
	lastOK atomic.Int64
}

// failuresToDown is how many failures in a row take an upstream out of use, and
// quiet how long, in microseconds, it must have answered nothing as well.
const (
	failuresToDown = 3
	quiet          = 1e6
)

func (u *upstream) answered(rtt, at int64) {
	old := u.srtt.Load()
	if old == 0 {
		u.srtt.Store(max(rtt, 1))
	} else {
		u.srtt.Store(max(old+(rtt-old)/8, 1)) // RFC 6298 section 2, alpha
	}
	u.lastOK.Store(at)
	if u.fails.Load() != 0 {
		u.fails.Store(0)
	}
	if u.down.Load() {
		u.down.Store(false)
	}
}

// timedOut counts an answer that did not come.
func (u *upstream) timedOut(at int64) {
	if u.fails.Add(1) >= failuresToDown && at-u.lastOK.Load() > quiet {
		u.down.Store(true)
	}
}

// failed counts an error of the network.
func (u *upstream) failed(hard bool) {
	if u.fails.Add(1) >= failuresToDown && hard {
		u.down.Store(true)
	}
}

// pick chooses an upstream that is not among tried: one that is up before one
// that is not, the fastest mostly, any other now and then to know how fast it is.
func (r *Room) pick(tried uint32) *upstream {
	if len(r.ups) == 1 {
		return r.ups[0]
	}
	explore := rand.Uint32()%16 == 0
	var best *upstream
	var bestCost int64
	for _, u := range r.ups {
		cost := u.srtt.Load()
		if explore {
			cost = rand.Int64N(1 << 20)
		}
		if u.down.Load() {
			cost += 1 << 40
		}
		if tried&(1<<u.index) != 0 {
			cost += 1 << 50
		}
		if best == nil || cost < bestCost {
			best, bestCost = u, cost
		}
	}
	return best
}

// untried reports whether an upstream that is up is not among tried.
func (r *Room) untried(tried uint32) bool {
	for _, u := range r.ups {
		if tried&(1<<u.index) == 0 && !u.down.Load() {
			return true
		}
	}
	return false
}

// lane is one source port to one upstream, for a while.
type lane struct {
	sh    *shard
	up    *upstream
	sock  *socket
	ids   map[uint16]*pending // guarded by sh.mu
	busy  atomic.Int32        // len(ids)
	until int64               // when it is replaced
}

// newLane opens a source port. The kernel picks it at random.
func (r *Room) newLane(sh *shard, u *upstream, at int64) (*lane, error) {
	conn, err := net.DialUDP(network("udp", u.addr), nil, net.UDPAddrFromAddrPort(u.addr))
	if err != nil {
		return nil, fmt.Errorf("dns: no socket to upstream %s: %w", u.addr, err)
	}
	_ = conn.SetReadBuffer(1 << 20)
	sock, err := newSocket(conn, true, r.plan.OneByOne)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	// Spread over half to one and a half times the period, so that no two
	// ports change together.
	period := r.plan.Rotate.Microseconds()
	l := &lane{sh: sh, up: u, sock: sock, ids: map[uint16]*pending{}, until: at + period/2 + rand.Int64N(period)}
	r.group.Go(l.run)
	return l, nil
}

// run receives answers until the lane is closed.
func (l *lane) run() {
	sh := l.sh
	ready := func(uintptr) bool {
		sh.drain.Lock()
		defer sh.drain.Unlock()
		return sh.receive(l) || l.sock.plain.Load()
	}
	for !l.sock.plain.Load() {
		err := l.sock.raw.Read(ready)
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
	buf := make([]byte, maxDatagram)
	for {
		n, err := l.sock.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		sh.drain.Lock()
		if err == nil {
			sh.in.n[0], sh.in.cut[0] = copy(sh.in.buf, buf[:n]), n == len(buf)
			n = 1
		}
		sh.received(l, n, err)
		sh.drain.Unlock()
	}
}

// open opens a shard's source ports.
func (sh *shard) open(at int64) error {
	sh.lanes = make([][]*lane, len(sh.room.ups))
	defer sh.publish()
	for i, u := range sh.room.ups {
		for range sh.room.plan.SourcePorts {
			l, err := sh.room.newLane(sh, u, at)
			if err != nil {
				return err
			}
			sh.lanes[i] = append(sh.lanes[i], l)
		}
	}
	return nil
}

// publish makes the list of lanes that poll goes through.
func (sh *shard) publish() {
	list := append([]*lane(nil), sh.old...)
	for _, ls := range sh.lanes {
		list = append(list, ls...)
	}
	sh.active.Store(&list)
}

// rotate replaces source ports whose time is over and gives those replaced ones
// that nobody waits for any more. sh.mu is held; the caller closes them when it
// holds no lock, because closing waits for a reader that may want these locks.
func (sh *shard) rotate(at int64) (over []*lane) {
	changed := false
	for i := range sh.lanes {
		for j, l := range sh.lanes[i] {
			if at < l.until {
				continue
			}
			fresh, err := sh.room.newLane(sh, l.up, at)
			if err != nil {
				// No socket to be had: the old port serves on.
				l.until = at + time.Second.Microseconds()
				continue
			}
			sh.lanes[i][j] = fresh
			sh.old = append(sh.old, l)
			changed = true
		}
	}
	keep := sh.old[:0]
	for _, l := range sh.old {
		if l.busy.Load() > 0 {
			keep = append(keep, l)
			continue
		}
		over = append(over, l)
		changed = true
	}
	clear(sh.old[len(keep):])
	sh.old = keep
	if changed {
		sh.publish()
	}
	return over
}

// close closes all source ports. No lock may be held, see rotate. Nobody
// rotates any more.
func (sh *shard) close() {
	list := sh.active.Load()
	if list == nil {
		return
	}
	for _, l := range *list {
		_ = l.sock.conn.Close()
	}
}

// unreachable reports whether an error says that nobody is there.
func unreachable(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// probe asks an upstream that is down every second until it answers.
func (r *Room) probe(ctx context.Context, u *upstream) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	wasDown := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		down := u.down.Load()
		if down != wasDown {
			wasDown = down
			if down {
				r.plan.Log.Warn("dns: upstream does not answer", slog.String("upstream", u.addr.String()))
			} else {
				r.plan.Log.Info("dns: upstream answers again", slog.String("upstream", u.addr.String()))
			}
		}
		if !down {
			continue
		}
		began := time.Now()
		if probeOnce(ctx, u.addr) {
			u.answered(time.Since(began).Microseconds(), now())
		}
	}
}

// probeOnce asks for the name servers of the root (RFC 9609) and reports
// whether anything came back: a resolver that refuses or fails is there.
func probeOnce(ctx context.Context, addr netip.AddrPort) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network("udp", addr), addr.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	id := uint16(rand.Uint32())
	query := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1}
	_, err = conn.Write(query)
	if err != nil {
		return false
	}
	var buf [maxDatagram]byte
	n, err := conn.Read(buf[:])
	return err == nil && n >= wire.HeaderLen && binary.BigEndian.Uint16(buf[:]) == id && buf[2]&0x80 != 0
}

// askTCP asks an upstream again over TCP, for clients that want the whole
// answer. The query leaves the timetable: the exchange has a deadline of its
// own and settles it. sh.mu is held.
func (r *Room) askTCP(sh *shard, p *pending, u *upstream) {
	p.unlink()
	p.forget()
	select {
	case r.tcpSlots <- struct{}{}:
	default:
		sh.tally[droppedUpstreamTCP]++
		sh.failure(p)
		return
	}
	deadline := time.UnixMicro(p.began).Add(r.plan.Timeout + time.Second)
	r.group.Go(func() {
		defer func() { <-r.tcpSlots }()
		msg, err := exchange(r.ctx, u.addr, p.msg, deadline)
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if err == nil && wire.Belongs(msg, p.msg, p.end) {
			sh.tally[answered]++
			sh.deliver(p, msg, false)
			sh.release(p)
		} else {
			p.network = unreachable(err)
			sh.failure(p)
		}
		sh.settle()
	})
}

var frames = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

// exchange sends one query over a TCP connection of its own (RFC 7766).
func exchange(ctx context.Context, addr netip.AddrPort, query []byte, deadline time.Time) ([]byte, error) {
	d := net.Dialer{Deadline: deadline}
	conn, err := d.DialContext(ctx, network("tcp", addr), addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = conn.SetDeadline(deadline)
	box := frames.Get().(*[]byte)
	defer frames.Put(box)
	id := uint16(rand.Uint32())
	frame := binary.BigEndian.AppendUint16((*box)[:0], uint16(len(query)))
	frame = append(frame, query...)
	binary.BigEndian.PutUint16(frame[2:], id)
	*box = frame
	_, err = conn.Write(frame)
	if err != nil {
		return nil, err
	}
	var size [2]byte
	_, err = io.ReadFull(conn, size[:])
	if err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err = io.ReadFull(conn, msg)
	if err != nil {
		return nil, err
	}
	if len(msg) < wire.HeaderLen || binary.BigEndian.Uint16(msg) != id {
		return nil, errors.New("dns: upstream answered another query")
	}
	return msg, nil
}
