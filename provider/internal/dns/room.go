package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Room is the DNS room. It implements prometheus.Collector.
type Room struct {
	plan   *plan
	ups    []*upstream
	counts counts
	conns  conns

	pending     atomic.Int64
	closedDrops atomic.Uint64
	tcpSlots    chan struct{}

	ready chan struct{}
	addrs []netip.AddrPort // set before ready is closed
	socks atomic.Pointer[[]*socket]

	ctx    context.Context // of the exchanges under way; set by Run
	group  sync.WaitGroup
	shards []*shard
}

// New checks a configuration and makes a room, which does nothing before
// [Room.Run].
func New(cfg Config) (*Room, error) {
	p, err := newPlan(cfg)
	if err != nil {
		return nil, err
	}
	r := &Room{plan: p, ready: make(chan struct{}), tcpSlots: make(chan struct{}, p.MaxUpstreamTCP)}
	r.conns.of = map[netip.Addr]int{}
	for i, a := range p.Upstreams {
		r.ups = append(r.ups, &upstream{index: i, addr: a})
	}
	return r, nil
}

// Ready is closed when all sockets are open.
func (r *Room) Ready() <-chan struct{} { return r.ready }

// Addrs gives the addresses in use, in the order of [Config].Listen, once the
// room is ready; the same for UDP and TCP.
func (r *Room) Addrs() []netip.AddrPort {
	select {
	case <-r.ready:
		return r.addrs
	default:
		return nil
	}
}

// Run opens the sockets and serves until ctx ends. It returns nil then, or the
// reason why the sockets could not be opened. It may be called once.
func (r *Room) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.ctx = ctx
	at := now()
	var closers []func()
	defer func() {
		cancel()
		for _, c := range closers {
			c()
		}
		r.group.Wait()
	}()
	for range r.plan.Workers {
		sh := newShard(r, max(r.plan.MaxPending/r.plan.Workers, 1))
		closers = append(closers, sh.close)
		err := sh.open(at)
		if err != nil {
			return err
		}
		r.shards = append(r.shards, sh)
	}
	var workers []*worker
	var listeners []net.Listener
	var socks []*socket
	for _, a := range r.plan.Listen {
		conns, l, err := r.listen(ctx, a)
		if err != nil {
			return fmt.Errorf("dns: cannot listen on %s (is another server there, or the right to port 53 missing?): %w", a, err)
		}
		closers = append(closers, func() { _ = l.Close() })
		listeners = append(listeners, l)
		r.addrs = append(r.addrs, l.Addr().(*net.TCPAddr).AddrPort())
		for i, c := range conns {
			closers = append(closers, func() { _ = c.Close() })
			sock, err := newSocket(c, false, r.plan.OneByOne)
			if err != nil {
				return err
			}
			if i == 0 && sock.granted() < r.plan.ReceiveBuffer {
				r.plan.Log.Warn("dns: receive buffer smaller than asked for; raise net.core.rmem_max", slog.Any("bytes", sock.granted()), slog.Any("asked", r.plan.ReceiveBuffer))
			}
			socks = append(socks, sock)
			workers = append(workers, newWorker(r, r.shards[i], sock))
		}
	}
	r.socks.Store(&socks)
	for _, w := range workers {
		r.group.Go(w.run)
	}
	for _, l := range listeners {
		r.group.Go(func() { r.accept(ctx, l) })
	}
	for _, u := range r.ups {
		r.group.Go(func() { r.probe(ctx, u) })
	}
	close(r.ready)
	r.plan.Log.Info("dns: serving", slog.Int("addresses", len(r.addrs)), slog.Any("workers", r.plan.Workers), slog.Int("upstreams", len(r.ups)))
	r.sweep(ctx)
	return nil
}

// sweep looks after what is due until ctx ends.
func (r *Room) sweep(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			at := now()
			for _, sh := range r.shards {
				sh.sweep(at)
			}
		}
	}
}

// listen opens the UDP sockets and the TCP listener of one address.
func (r *Room) listen(ctx context.Context, a netip.AddrPort) ([]*net.UDPConn, net.Listener, error) {
	free := a.Port() == 0
	for round := 0; ; round++ {
		conns, l, err := r.listenOnce(ctx, a)
		// A free UDP port may be taken for TCP: draw another.
		if err == nil || !free || round == 16 {
			return conns, l, err
		}
	}
}

func (r *Room) listenOnce(ctx context.Context, a netip.AddrPort) (conns []*net.UDPConn, l net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, c := range conns {
				_ = c.Close()
			}
			conns = nil
		}
	}()
	n := r.plan.Workers
	if !canBatch {
		n = 1
	}
	for range n {
		var c *net.UDPConn
		c, err = listenUDP(ctx, a, r.plan.ReceiveBuffer)
		if err != nil {
			return conns, nil, err
		}
		conns = append(conns, c)
		a = netip.AddrPortFrom(a.Addr(), c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	}
	var lc net.ListenConfig
	l, err = lc.Listen(ctx, network("tcp", a), a.String())
	return conns, l, err
}

// network names the one address family of a, so that an IPv6 socket does not
// take IPv4 traffic as well.
func network(transport string, a netip.AddrPort) string {
	if a.Addr().Is4() || a.Addr().Is4In6() {
		return transport + "4"
	}
	return transport + "6"
}

// kernelDrops counts what the kernel dropped at the UDP sockets.
func (r *Room) kernelDrops() uint64 {
	n := r.closedDrops.Load()
	socks := r.socks.Load()
	if socks != nil {
		for _, s := range *socks {
			n += s.drops()
		}
	}
	return n
}

// worker serves one UDP socket.
type worker struct {
	room *Room
	sh   *shard
	sock *socket
	hot  hot
	in   *inbox
	out  *outbox
	buf  []byte // batch answers of size bytes
	size int
}

// maxQuery is the longest query taken over UDP; a longer one is malformed.
const maxQuery = 1232

func newWorker(r *Room, sh *shard, s *socket) *worker {
	w := &worker{room: r, sh: sh, sock: s, in: newInbox(maxQuery), out: newOutbox(), size: int(r.plan.UDPSize)}
	w.hot.plan = r.plan
	w.buf = make([]byte, batch*w.size)
	return w
}

func (w *worker) run() {
	for {
		n, err := w.in.recv(w.sock)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of kernel memory, say: do not spin.
			w.hot.tally[droppedMalformed]++
			w.room.counts.take(&w.hot.tally)
			time.Sleep(time.Millisecond)
			continue
		}
		w.serve(n, now())
	}
}

// serve deals with one batch.
func (w *worker) serve(n int, at int64) {
	h := &w.hot
	asked := false
	h.tally[queriesUDP] += uint32(n)
	for i := range n {
		msg := w.in.msg(i)
		from := &w.in.from[i]
		if w.in.cut[i] || from.addr.Port() == 0 {
			h.tally[droppedMalformed]++
			continue
		}
		out := w.buf[i*w.size:][:w.size]
		v, size := h.handle(msg, from.addr.Addr().WithZone(""), false, at, out)
		switch v {
		case reply:
			w.out.add(from, out[:size])
		case forward:
			if !asked {
				asked = true
				w.sh.mu.Lock()
			}
			w.sh.ask(&h.q, msg, &waiter{id: h.q.ID, sock: w.sock, to: *from}, at)
		}
	}
	if asked {
		w.sh.send()
		w.sh.settle()
		w.sh.mu.Unlock()
	}
	lost, _ := w.out.flush(w.sock)
	h.tally[droppedSend] += uint32(lost)
	w.room.counts.take(&h.tally)
	if asked {
		w.sh.poll()
	}
}
