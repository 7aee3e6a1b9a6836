package dns

import (
	"net/netip"

	"ecs/contract"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/dns/wire"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"
)

// The way of one query, top to bottom. Budget: 300 ns for a name that is not
// listed and 500 ns for one that is, in a list of a million, the report of the
// match included; no allocation, no lock. BenchmarkHandle measures it,
// TestHotPathAllocatesNothing and TestHotPathTakesNoLock hold it.
//
// Nothing here waits: what has to wait is handed to the forwarder by the caller.

// verdict is what becomes of a query.
type verdict uint8

const (
	drop    verdict = iota // nothing is sent
	reply                  // the answer is in out
	forward                // the caller hands it to an upstream
)

// hot is one worker's state. It is not shared; tallies are added to the room's
// counters by the worker after each batch.
type hot struct {
	*plan
	q     wire.Query
	ev    sighting.Event
	tally [counters]uint32
}

// handle decides on one query. at is the time in microseconds since 1970. out
// must hold wire.MaxOwn bytes at least; the answer's length is returned with
// verdict reply. After forward, h.q holds the parsed query.
func (h *hot) handle(msg []byte, from netip.Addr, stream bool, at int64, out []byte) (verdict, int) {
	fault := h.q.Parse(msg)
	switch fault {
	case wire.TooShort, wire.IsResponse, wire.BadQuestion:
		h.tally[droppedMalformed]++
		return drop, 0
	}
	c := h.Customers.Get().ByAddr(from)
	if c == nil {
		switch h.Strangers {
		case Ignore:
			h.tally[droppedStranger]++
			return drop, 0
		case Refuse:
			h.tally[strangersRefused]++
			if fault == wire.OK {
				return reply, h.plain(msg, out, wire.Refused)
			}
			return reply, wire.Bare(out, msg, &h.q, wire.Refused, h.UDPSize)
		}
	}
	switch fault {
	case wire.OK:
	case wire.BadOpcode:
		h.tally[answeredNotImp]++
		return reply, wire.Bare(out, msg, &h.q, wire.NotImp, h.UDPSize)
	case wire.BadVersion:
		h.tally[answeredBadVers]++
		return reply, h.plain(msg, out, wire.BadVers)
	default:
		h.tally[answeredFormErr]++
		return reply, wire.Bare(out, msg, &h.q, wire.FormErr, h.UDPSize)
	}
	if h.q.Class != wire.ClassIN || meta(h.q.Type) {
		h.tally[answeredRefused]++
		return reply, h.plain(msg, out, wire.Refused)
	}
	if c == nil || c.DNS == customer.Off {
		h.tally[unmatched]++
		return forward, 0
	}
	set := h.Matches.Get()
	if h.Unready == FailClosed && set.Len() == 0 {
		h.tally[answeredNotReady]++
		return reply, h.failure(msg, out, wire.EDENotReady, h.limit(stream))
	}
	e := find(set, c, at/1e6, h.q.Name())
	if e == nil {
		h.tally[unmatched]++
		return forward, 0
	}
	action := contract.Sinkhole
	switch {
	case e.Action == contract.Shadow:
		action = contract.Shadow
	case c.DNS != customer.Block || !e.Enforce || e.Action == contract.Alert:
		action = contract.Alert
	}
	h.report(c, e, action, from, at)
	if action != contract.Sinkhole {
		h.tally[alerted]++
		return forward, 0
	}
	h.tally[blocked]++
	return reply, h.block(msg, out, c, e, h.limit(stream))
}

// meta reports whether a query type is one that a resolver front has no answer
// for: transfers, keys, and types that only exist inside messages.
func meta(t uint16) bool {
	switch t {
	case 0, wire.TypeOPT, wire.TypeTKEY, wire.TypeTSIG, wire.TypeIXFR, wire.TypeAXFR:
		return true
	}
	return false
}

// find gives the indicator that names the query name or a parent of it and for
// which the customer has no exception.
func find(set *match.Set, c *customer.Customer, now int64, name []byte) *match.Entry {
	e := set.Name(contract.DNS, now, name)
	if e == nil || !c.Excepted(e.ID) {
		return e
	}
	// Another indicator may name the same name, or a parent.
	var room [16]*match.Entry
	for _, e = range set.NameAll(room[:0], contract.DNS, now, name) {
		if !c.Excepted(e.ID) {
			return e
		}
	}
	return nil
}

// limit is how long an answer of ours may be.
func (h *hot) limit(stream bool) int {
	if stream {
		return int(h.UDPSize)
	}
	return int(min(h.q.UDPSize, h.UDPSize))
}

// block writes the answer to a listed name.
func (h *hot) block(msg, out []byte, c *customer.Customer, e *match.Entry, limit int) int {
	rcode := wire.NoError
	var list []byte
	each := 4
	switch c.Answer {
	case customer.NXDomain:
		rcode = wire.NXDomain
	case customer.SinkholeAddress:
		switch h.q.Type {
		case wire.TypeA:
			list = h.sink4
		case wire.TypeAAAA:
			list, each = h.sink6, 16
		}
	}
	var r wire.Reply
	r.Begin(out, msg, &h.q, rcode)
	if len(list) > 0 {
		r.Addresses(h.q.Type, each, list, h.ttl)
	} else {
		r.Negative(h.soa, h.ttl)
	}
	text := h.Text
	if e.Disclosure >= 2 && e.Notify && e.Summary != "" {
		text = e.Summary
	}
	return r.End(msg, &h.q, rcode, h.UDPSize, wire.EDEBlocked, text, limit)
}

// plain writes an answer that is nothing but a response code. It is never
// longer than the query.
func (h *hot) plain(msg, out []byte, rcode int) int {
	var r wire.Reply
	r.Begin(out, msg, &h.q, rcode)
	return r.End(msg, &h.q, rcode, h.UDPSize, wire.NoEDE, "", 0)
}

// failure writes SERVFAIL with a reason.
func (h *hot) failure(msg, out []byte, ede, limit int) int {
	var r wire.Reply
	r.Begin(out, msg, &h.q, wire.ServFail)
	return r.End(msg, &h.q, wire.ServFail, h.UDPSize, ede, "", limit)
}

// report hands the match to the recorder, or counts that it could not.
func (h *hot) report(c *customer.Customer, e *match.Entry, action contract.Action, from netip.Addr, at int64) {
	ev := &h.ev
	ev.At, ev.Indicator, ev.Service, ev.Category, ev.Action = at, e.ID, contract.DNS, e.Category, action
	ev.Display, ev.Notify, ev.Customer, ev.Count, ev.Client = e.Display, e.Notify, c.ID, 1, from
	ev.SetWhat(h.q.Name())
	if !h.Sightings.Offer(ev) {
		h.tally[droppedSightings]++
	}
}
