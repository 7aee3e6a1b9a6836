package dns

import (
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"ecs/provider/internal/dns/wire"
)

// responder is a client that is answered over a stream. DoT, DoH and the like
// are to implement it too.
type responder interface {
	// respond takes a copy of an answer whose first two bytes are replaced by
	// id. It never waits: msg is the caller's again when it returns.
	respond(id uint16, msg []byte)
}

// waiter is one client that waits for an answer from upstream.
type waiter struct {
	id     uint16
	sock   *socket // of a UDP client
	to     peer
	stream responder // of any other
}

// try is one sending of a query to one upstream. All tries of a query are
// listened for until the first answer, so that a slow one is not lost.
type try struct {
	lane *lane
	id   uint16
	at   int64
}

// pending is one query that waits for an upstream, for one client or for
// several that asked the same in the same bytes.
type pending struct {
	key    uint64
	msg    []byte // as sent, but for the identifier
	end    int    // of the question
	size   uint16 // of the largest datagram that its clients take
	edns   bool
	do     bool
	stream bool // its clients want whole answers: no truncation

	began   int64
	due     int64
	tries   [attempts]try
	ntries  int
	network bool // the last failure was the network's, not silence

	first      waiter
	more       []waiter
	prev, next *pending // in order of being due
}

// shard is a part of the forwarder: queries that arrive at one worker's
// sockets, and the source ports from which they go on. Shards share nothing but
// counters and what is known of the upstreams.
//
// Locks are taken in the order drain, mu.
type shard struct {
	room *Room
	max  int

	// mu guards the table and what is about to be sent to upstreams. It is
	// taken once for a batch.
	mu    sync.Mutex
	byKey map[uint64]*pending
	rings [2]pending // first due first: queries with tries left, and those on their last
	live  int
	free  *pending
	lanes [][]*lane // [upstream][source port]; new queries leave by these
	old   []*lane   // rotated out, waiting for their last answers
	out   *outbox   // to upstreams
	outTo *lane     // by which out leaves
	q     wire.Query
	fail  [wire.MaxOwn]byte

	// drain guards what receives from upstreams and answers clients.
	drain    sync.Mutex
	in       *inbox
	back     *outbox
	backSock *socket // by which back leaves
	cut      [batch][wire.MaxOwn]byte
	ncut     int

	active atomic.Pointer[[]*lane] // all lanes, for poll

	tally [counters]uint32 // guarded by mu
	told  int              // live as last told to the room
}

var keySeed = maphash.MakeSeed()

func newShard(r *Room, limit int) *shard {
	sh := &shard{room: r, max: limit, byKey: map[uint64]*pending{}, out: newOutbox(), in: newInbox(maxDatagram), back: newOutbox()}
	for i := range sh.rings {
		r := &sh.rings[i]
		r.prev, r.next = r, r
	}
	return sh
}

// maxDatagram is the largest answer taken over UDP from an upstream.
const maxDatagram = 4096

// ask enters a query; sh.mu is held. The caller sends with [shard.send] when its
// batch is done. q is the parsed msg. It reports false when the query is
// dropped because too many wait already.
func (sh *shard) ask(q *wire.Query, msg []byte, w *waiter, at int64) bool {
	p := sh.free
	if p != nil {
		sh.free = p.next
		p.next = nil
	} else {
		if sh.live >= sh.max {
			sh.tally[droppedPending]++
			return false
		}
		p = &pending{msg: make([]byte, 0, 128)}
	}
	if q.HasSubnet() && !q.Signed && !sh.room.plan.KeepClientSubnet {
		p.msg = q.AppendWithoutSubnet(p.msg[:0], msg)
	} else {
		p.msg = append(p.msg[:0], msg...)
	}
	p.stream = w.stream != nil
	p.key = maphash.Bytes(keySeed, p.msg[2:])
	if p.stream {
		p.key++
	}
	same := sh.byKey[p.key]
	if same != nil && same.stream == p.stream && len(same.more)+1 < sh.room.plan.MaxMerged && string(same.msg[2:]) == string(p.msg[2:]) {
		same.more = append(same.more, *w)
		p.next, sh.free = sh.free, p
		sh.tally[merged]++
		return true
	}
	if sh.live >= sh.max {
		p.next, sh.free = sh.free, p
		sh.tally[droppedPending]++
		return false
	}
	p.end, p.edns, p.do = q.End, q.EDNS, q.DO
	p.size = min(q.UDPSize, maxDatagram)
	p.began, p.ntries, p.network = at, 0, false
	p.first = *w
	p.more = p.more[:0]
	sh.live++
	sh.byKey[p.key] = p
	sh.tally[forwarded]++
	sh.next(p, at)
	return true
}

// next sends a query to the best upstream that it has not been sent to yet;
// sh.mu is held and the query has tries left.
func (sh *shard) next(p *pending, at int64) {
	plan := sh.room.plan
	l := sh.outTo
	if l == nil || p.ntries > 0 {
		// What leaves together leaves by one source port, with one call. Which
		// port that is nobody outside can know.
		var tried uint32
		for i := range p.ntries {
			tried |= 1 << p.tries[i].lane.up.index
		}
		lanes := sh.lanes[sh.room.pick(tried).index]
		l = lanes[rand.IntN(len(lanes))]
	}
	if sh.out.full() || sh.outTo != l {
		sh.send()
		sh.outTo = l
	}
	id, free := uint16(0), false
	for n := 0; n < 32 && !free; n++ {
		id = uint16(rand.Uint32())
		_, used := l.ids[id]
		free = !used
	}
	if !free {
		// Nearly all identifiers of this port are in use: try again later.
		sh.due(p, at+plan.TryTimeout.Microseconds())
		return
	}
	l.ids[id] = p
	l.busy.Add(1)
	p.tries[p.ntries] = try{lane: l, id: id, at: at}
	p.ntries++
	wait := at + plan.TryTimeout.Microseconds()
	if p.ntries == attempts {
		wait = p.began + plan.Timeout.Microseconds()
	}
	sh.due(p, wait)
	sh.out.addID(&noPeer, id, p.msg)
}

var noPeer peer // connected sockets need none

// send sends what is staged for upstreams; sh.mu is held.
func (sh *shard) send() {
	if sh.outTo == nil {
		return
	}
	lost, err := sh.out.flush(sh.outTo.sock)
	if lost > 0 {
		// The queries stay in the table and are tried elsewhere when due.
		sh.tally[droppedSend] += uint32(lost)
		sh.outTo.up.failed(err != nil)
	}
	sh.outTo = nil
}

// due puts a query in its place in the order of being due.
func (sh *shard) due(p *pending, at int64) {
	p.unlink()
	p.due = at
	ring := &sh.rings[0]
	if p.ntries == attempts {
		ring = &sh.rings[1] // waits differently: apart, each ring is nearly in order by itself
	}
	before := ring.prev // nearly always the right place
	for before != ring && before.due > at {
		before = before.prev
	}
	p.prev, p.next = before, before.next
	before.next.prev = p
	before.next = p
}

func (p *pending) unlink() {
	if p.prev != nil {
		p.prev.next, p.next.prev = p.next, p.prev
		p.prev, p.next = nil, nil
	}
}

// forget takes a query's identifiers off the ports that it left by.
func (p *pending) forget() {
	for i := range p.ntries {
		t := &p.tries[i]
		delete(t.lane.ids, t.id)
		t.lane.busy.Add(-1)
		*t = try{}
	}
	p.ntries = 0
}

// release takes a settled query out of the table.
func (sh *shard) release(p *pending) {
	p.unlink()
	p.forget()
	if sh.byKey[p.key] == p {
		delete(sh.byKey, p.key)
	}
	p.first = waiter{}
	clear(p.more)
	sh.live--
	p.next, sh.free = sh.free, p
}

// receive takes what has come back by a source port, and reports whether
// anything had. sh.drain is held.
func (sh *shard) receive(l *lane) bool {
	n, err := sh.in.poll(l.sock)
	return sh.received(l, n, err)
}

func (sh *shard) received(l *lane, n int, err error) bool {
	if err != nil {
		if unreachable(err) {
			sh.unreachable(l)
		}
		return true
	}
	if n == 0 {
		return false
	}
	at := now()
	sh.mu.Lock()
	for i := range n {
		sh.answer(l, sh.in.msg(i), sh.in.cut[i], at)
	}
	sh.send() // tries at other upstreams
	sh.settle()
	sh.mu.Unlock()
	sh.answerBack()
	return true
}

// settle adds the tallies to the room's counters; sh.mu is held.
func (sh *shard) settle() {
	sh.room.counts.take(&sh.tally)
	sh.room.pending.Add(int64(sh.live - sh.told))
	sh.told = sh.live
}

// answer judges one datagram from an upstream. Locks drain and mu are held.
func (sh *shard) answer(l *lane, msg []byte, cut bool, at int64) {
	if len(msg) < wire.HeaderLen {
		sh.tally[strays]++
		return
	}
	p := l.ids[binary.BigEndian.Uint16(msg)]
	if p == nil {
		sh.tally[strays]++
		return
	}
	rcode := int(msg[3] & 15)
	bare := len(msg) == wire.HeaderLen && msg[2]&0x80 != 0 && rcode != wire.NoError
	if !bare && !wire.Belongs(msg, p.msg, p.end) {
		sh.tally[strays]++
		return
	}
	tried := uint32(0)
	for i := range p.ntries {
		t := &p.tries[i]
		tried |= 1 << t.lane.up.index
		if t.lane == l {
			l.up.answered(at-t.at, at)
		}
	}
	// An upstream that will not serve us says nothing about the name: another
	// one may. SERVFAIL does say something (a broken signature, say) and must
	// not be shopped around.
	if (bare || rcode == wire.Refused) && p.ntries < attempts && sh.room.untried(tried) {
		sh.tally[retries]++
		sh.next(p, at)
		return
	}
	if bare {
		p.network = true
		sh.failure(p)
		return
	}
	if p.stream && (cut || msg[2]&(wire.FlagTC>>8) != 0) {
		sh.room.askTCP(sh, p, l.up)
		return
	}
	sh.tally[answered]++
	sh.deliver(p, msg, cut)
	sh.release(p)
}

// deliver gives an answer to all that wait for it. UDP clients are answered
// from msg itself, which must stay until [shard.answerBack].
func (sh *shard) deliver(p *pending, msg []byte, cut bool) {
	if !p.stream && (cut || len(msg) > int(p.size)) {
		if sh.ncut == len(sh.cut) {
			sh.answerBack()
		}
		buf := sh.cut[sh.ncut][:]
		sh.ncut++
		n := wire.Truncate(buf, msg, p.end, p.edns, p.do, sh.room.plan.UDPSize)
		msg = buf[:n]
		sh.tally[truncated]++
	}
	sh.give(&p.first, msg)
	for i := range p.more {
		sh.give(&p.more[i], msg)
	}
}

func (sh *shard) give(w *waiter, msg []byte) {
	if w.stream != nil {
		w.stream.respond(w.id, msg)
		return
	}
	if sh.back.full() || sh.backSock != w.sock {
		full := sh.ncut
		sh.answerBack()
		sh.ncut = full // msg may be one of these buffers
		sh.backSock = w.sock
	}
	sh.back.addID(&w.to, w.id, msg)
}

// answerBack sends what is staged for UDP clients. sh.drain is held.
func (sh *shard) answerBack() {
	if sh.backSock != nil {
		lost, _ := sh.back.flush(sh.backSock)
		if lost > 0 {
			sh.room.counts[droppedSend].Add(uint64(lost))
		}
	}
	sh.backSock, sh.ncut = nil, 0
}

// failure tells all that wait that no upstream answered. Lock mu is held, and
// drain unless all of them are on streams.
func (sh *shard) failure(p *pending) {
	sh.tally[answeredServFail]++
	if !p.stream {
		sh.answerBack() // sh.fail may be in use
	}
	_ = sh.q.Parse(p.msg) // it parsed when it came
	ede := wire.EDENoReachable
	if p.network {
		ede = wire.EDENetwork
	}
	var r wire.Reply
	r.Begin(sh.fail[:], p.msg, &sh.q, wire.ServFail)
	n := r.End(p.msg, &sh.q, wire.ServFail, sh.room.plan.UDPSize, ede, "", len(sh.fail))
	sh.deliver(p, sh.fail[:n], false)
	if !p.stream {
		sh.answerBack()
	}
	sh.release(p)
}

// unreachable tries the queries that left by a port elsewhere: the network says
// that its upstream is not there. sh.drain is held.
func (sh *shard) unreachable(l *lane) {
	l.up.failed(true)
	at := now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := len(sh.rings) - 1; i >= 0; i-- { // a query moves from the first to the second
		ring := &sh.rings[i]
		p := ring.next
		for range sh.live {
			if p == ring {
				break
			}
			next := p.next // again moves p only
			if p.ntries > 0 && p.tries[p.ntries-1].lane == l {
				p.network = true
				sh.again(p, at)
			}
			p = next
		}
	}
	sh.send()
	sh.settle()
}

// again gives a query its next try, or up.
func (sh *shard) again(p *pending, at int64) {
	if p.ntries < attempts && at < p.began+sh.room.plan.Timeout.Microseconds() {
		sh.tally[retries]++
		sh.next(p, at)
		return
	}
	sh.failure(p)
}

// sweep deals with the queries whose time is up, and with old source ports.
func (sh *shard) sweep(at int64) {
	for _, l := range sh.timeUp(at) {
		sh.room.closedDrops.Add(l.sock.drops())
		_ = l.sock.conn.Close()
	}
}

func (sh *shard) timeUp(at int64) (over []*lane) {
	sh.drain.Lock()
	defer sh.drain.Unlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range sh.rings {
		ring := &sh.rings[i]
		for p := ring.next; p != ring && p.due <= at; p = ring.next {
			if p.ntries > 0 {
				p.tries[p.ntries-1].lane.up.timedOut(at)
				p.network = false
			}
			sh.again(p, at)
		}
	}
	sh.send()
	sh.settle()
	return sh.rotate(at)
}

// poll takes what has come back so far, on the time of the worker: at full load
// no other goroutine may come to it for long.
func (sh *shard) poll() {
	if !sh.drain.TryLock() {
		return
	}
	list := sh.active.Load()
	for _, l := range *list {
		if l.busy.Load() > 0 {
			sh.receive(l)
		}
	}
	sh.drain.Unlock()
}

// now is the time in microseconds since 1970.
func now() int64 { return time.Now().UnixMicro() }
