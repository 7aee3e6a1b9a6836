package flow

import (
	"net/netip"

	"ecs/contract"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/flow/store"
	"ecs/provider/internal/flow/wire"
	"ecs/provider/internal/match"
)

// ingest takes one datagram from an exporter through everything that happens to
// it: decode, find the customer, compare both ends with the indicators, report,
// keep. now is milliseconds since 1970; b is not kept.
//
// Budget, on one core of the machine in bench/RESULTS.md with 1,000,000
// indicators: 450 ns a record with storing, 350 ns without; no allocation, no
// lock, no system call, no channel operation but one hand-over for each 4,096
// rows stored and one for each conversation that matched. hotpath_test.go
// checks the allocations, BenchmarkIngest the time.
//
// The first datagram of an exporter and each new template allocate; both are
// bounded by the configuration.
func (w *worker) ingest(b []byte, from *[16]byte, now int64) {
	book := w.customers.Get()
	x := w.exporters[*from]
	if x == nil || x.book != book {
		x = w.admit(x, from, book)
		if x == nil {
			w.n.refused++
			return
		}
	}
	w.n.datagrams++
	x.seen = now
	err := x.state.Decode(b, now, w.batch)
	if err != nil {
		w.n.malformed++
	}
	w.n.records += uint64(w.batch.N)
	set := w.match.Get()
	for i := range w.batch.N {
		w.flow(x, book, set, &w.batch.Records[i], now)
	}
}

// flow finds out whose flow a record is. An exporter registered for a customer
// reports that customer's flows and nobody else's; any other exporter reports
// the flows of whoever has a prefix around either end, which can be two.
func (w *worker) flow(x *exporter, book *customer.Book, set *match.Set, r *wire.Record, now int64) {
	src, dst := r.Source(), r.Destination()
	a, b := book.ByAddr(src), book.ByAddr(dst)
	only := x.customer
	if only == nil && a == nil && b == nil {
		w.n.nobody++
		return
	}
	w.settle(r, now)
	sport, dport := r.SrcPort, r.DstPort
	if r.Proto == 1 || r.Proto == 58 { // type and code stand there, not ports
		sport, dport = 0, 0
	}
	p := pair{set: set, src: src, dst: dst, sport: sport, dport: dport}
	p.srcHit = set.Flow(now/1000, src, sport, r.Proto)
	p.dstHit = set.Flow(now/1000, dst, dport, r.Proto)
	if p.srcHit != nil || p.dstHit != nil {
		p.guard(set, now/1000, r.Proto)
	}
	switch {
	case only != nil:
		w.of(only, x, direction(a == only, b == only), r, &p, now)
	case a == b:
		w.of(a, x, store.Internal, r, &p, now)
	default:
		if a != nil {
			w.of(a, x, store.Out, r, &p, now)
		}
		if b != nil {
			w.of(b, x, store.In, r, &p, now)
		}
	}
}

func direction(src, dst bool) store.Direction {
	switch {
	case src && dst:
		return store.Internal
	case src:
		return store.Out
	case dst:
		return store.In
	default:
		return store.Unknown
	}
}

// pair is both ends of a flow and what is known of them.
type pair struct {
	set            *match.Set
	src, dst       netip.Addr
	sport, dport   uint16
	srcHit, dstHit *match.Entry
}

// guard takes back matches that an indicator for a port alone makes with the
// passing port of a client: port 4444 is news when somebody serves on it, and
// none when a browser happens to ask a web server from it.
func (p *pair) guard(set *match.Set, now int64, proto uint8) {
	var none netip.Addr
	if p.srcHit != nil && !Plausible(p.sport, p.dport) && p.srcHit == set.Flow(now, none, p.sport, proto) {
		p.srcHit = nil
	}
	if p.dstHit != nil && !Plausible(p.dport, p.sport) && p.dstHit == set.Flow(now, none, p.dport, proto) {
		p.dstHit = nil
	}
}

// allowed gives the hit, or another indicator for the same end where the customer
// has an exception for the first.
func (p *pair) allowed(c *customer.Customer, hit *match.Entry, a netip.Addr, port uint16, proto uint8, now int64) *match.Entry {
	if hit == nil || !c.Excepted(hit.ID) {
		return hit
	}
	var room [16]*match.Entry
	for _, e := range p.set.FlowAll(room[:0], now/1000, a, port, proto) {
		if !c.Excepted(e.ID) {
			return e
		}
	}
	return nil
}

// Plausible reports whether port can be the one that a conversation is about,
// the other end's port being other: not when only the other is a well-known one
// (RFC 6335 section 6).
func Plausible(port, other uint16) bool { return other == 0 || other >= 1024 || port < 1024 }

// of handles one flow of one customer.
func (w *worker) of(c *customer.Customer, x *exporter, d store.Direction, r *wire.Record, p *pair, now int64) {
	if c.Flow == customer.Off {
		w.n.off++
		return
	}
	w.n.watched++
	if w.store != nil {
		w.keep(c, x, d, r, now)
	}
	if p.srcHit == nil && p.dstHit == nil {
		return
	}
	src, dst := p.allowed(c, p.srcHit, p.src, p.sport, r.Proto, now), p.allowed(c, p.dstHit, p.dst, p.dport, r.Proto, now)
	if p.srcHit != nil && src == nil || p.dstHit != nil && dst == nil {
		w.n.excepted++
	}
	if dst != nil { // the customer's end is the source, unless the flow came in
		if d == store.In {
			w.report(c, dst, p.dst, p.src, p.dport, r, now)
		} else {
			w.report(c, dst, p.src, p.dst, p.dport, r, now)
		}
	}
	if src != nil {
		if d == store.Out {
			w.report(c, src, p.src, p.dst, p.sport, r, now)
		} else {
			w.report(c, src, p.dst, p.src, p.sport, r, now)
		}
	}
}

// report makes one event for a conversation and minute. port is the one at the
// end that matched. Count is 1: events count conversations in a minute, however
// often an exporter reports them.
func (w *worker) report(c *customer.Customer, e *match.Entry, client, peer netip.Addr, port uint16, r *wire.Record, now int64) {
	w.n.matched++
	if !w.recent.first(c.ID, e.ID, client, peer, now/60_000, &w.n) {
		return
	}
	v := &w.event
	v.At = r.Last * 1000
	v.Indicator, v.Service, v.Category = e.ID, contract.NetFlow, e.Category
	v.Action = contract.Alert
	if e.Action == contract.Shadow {
		v.Action = contract.Shadow
	}
	v.Display, v.Notify = e.Display, e.Notify
	v.Customer, v.Count = c.ID, 1
	v.Client, v.Peer, v.Proto, v.Port = client, peer, r.Proto, port
	v.Length = 0
	if !e.Display { // then the peer's address is what may not be shown: only a keyed tag of it is kept
		v.Peer, v.Port = netip.Addr{}, 0
		b := peer.As16()
		v.SetWhat(b[:])
	}
	w.n.events++
	if !w.events.Offer(v) {
		w.n.eventsLost++
	}
}

// keep puts the flow into the batch for the store.
func (w *worker) keep(c *customer.Customer, x *exporter, d store.Direction, r *wire.Record, now int64) {
	if w.rows == nil {
		w.rows = w.store.Batch()
		w.since = now
		if w.rows == nil {
			w.n.unstored++
			w.store.Drop(1)
			return
		}
	}
	w.rows.Rows[w.rows.N].Fill(r, &x.addr, c.ID, d)
	w.rows.N++
	if w.rows.N == store.BatchRows {
		w.store.Put(w.rows)
		w.rows = nil
	}
}

// settle replaces times that cannot be true, of exporters whose clocks are off
// by more than an hour ahead or a week behind, by the time of arrival.
func (w *worker) settle(r *wire.Record, now int64) {
	const hour, week = 3_600_000, 7 * 24 * 3_600_000
	if r.Last > now+hour || r.Last < now-week {
		length := min(max(r.Last-r.First, 0), week)
		r.First, r.Last = now-length, now
		w.n.skewed++
		return
	}
	r.First = max(r.First, r.Last-8*week)
}
