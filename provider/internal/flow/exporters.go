package flow

import (
	"cmp"
	"log/slog"
	"net/netip"
	"slices"

	"ecs/provider/internal/customer"
	"ecs/provider/internal/flow/wire"
)

// exporter is one known exporter, as one worker sees it.
type exporter struct {
	addr     [16]byte
	state    *wire.Exporter
	book     *customer.Book     // the book by which customer was found
	customer *customer.Customer // whose flows it reports; nil: those of whoever has a prefix
	seen     int64              // last datagram, milliseconds since 1970
}

// admit decides about an exporter that is new, or known by an older book of
// customers. It gives nil for one that nobody registered.
func (w *worker) admit(x *exporter, from *[16]byte, book *customer.Book) *exporter {
	a := wire.Addr(from)
	c := book.ByExporter(a)
	known := c != nil
	for _, p := range w.known {
		known = known || p.Contains(a)
	}
	if !known {
		if x != nil {
			delete(w.exporters, *from)
			w.saved.drop(*from)
		}
		w.strangers.add(a)
		return nil
	}
	if x != nil {
		x.book, x.customer = book, c
		return x
	}
	if len(w.exporters) >= w.maxExporters && !w.forget() {
		w.n.overBudget++
		return nil
	}
	x = &exporter{addr: *from, state: wire.NewExporter(w.limits), book: book, customer: c}
	saved := w.saved.take(*from)
	if saved != nil {
		err := x.state.Restore(saved, w.oldestTemplate())
		if err != nil {
			w.log.Warn("saved templates of an exporter are not used; it will send them again", slog.Any("error", err))
		}
	}
	w.exporters[*from] = x
	return x
}

// forget drops the exporter that has been silent longest, if that is an hour.
func (w *worker) forget() bool {
	var oldest *exporter
	for _, x := range w.exporters {
		if x.seen < w.now-3_600_000 && (oldest == nil || x.seen < oldest.seen) {
			oldest = x
		}
	}
	if oldest == nil {
		return false
	}
	delete(w.exporters, oldest.addr)
	w.saved.drop(oldest.addr)
	return true
}

// strangers remembers the last senders that nobody registered, for the operator
// who wonders why nothing arrives. A sender takes one place however often it
// sends.
type strangers struct {
	addr [32]netip.Addr
	n    int
}

func (s *strangers) add(a netip.Addr) {
	for i := range s.addr {
		if s.addr[i] == a {
			return
		}
	}
	s.addr[s.n%len(s.addr)] = a
	s.n++
}

// Health is the state of one exporter, for the operator's page.
type Health struct {
	Address  netip.Addr
	Customer int32 // 0: reports flows of whoever has a prefix
	Seen     int64 // last datagram, milliseconds since 1970
	wire.Stats
}

// health makes the answer to a question for the health of all exporters.
func (w *worker) health() answer {
	var out answer
	for _, x := range w.exporters {
		h := Health{Address: wire.Addr(&x.addr), Seen: x.seen, Stats: x.state.Stats}
		if x.customer != nil {
			h.Customer = x.customer.ID
		}
		out.known = append(out.known, h)
	}
	for _, a := range w.strangers.addr {
		if a.IsValid() {
			out.strangers = append(out.strangers, a)
		}
	}
	return out
}

// answer is what a worker knows of its exporters.
type answer struct {
	known     []Health
	strangers []netip.Addr
}

// merge joins what the workers know.
func merge(all []answer) ([]Health, []netip.Addr) {
	var out answer
	for _, a := range all {
		out.known = append(out.known, a.known...)
		out.strangers = append(out.strangers, a.strangers...)
	}
	slices.SortFunc(out.known, func(a, b Health) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(b.Seen, a.Seen))
	})
	slices.SortFunc(out.strangers, netip.Addr.Compare)
	return out.known, slices.Compact(out.strangers)
}
