package flow

import (
	"log/slog"
	"net/netip"
	"time"

	"ecs/provider/internal/customer"
	"ecs/provider/internal/flow/store"
	"ecs/provider/internal/flow/wire"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"
)

const (
	burst        = 256                    // datagrams between two looks at the clock
	handOver     = 200 * time.Millisecond // how long rows wait for their batch to fill, at most
	saveEvery    = int64(30_000)          // milliseconds between two looks for changed templates
	templateLife = int64(24 * 3600)       // seconds; older saved templates are not used
)

// worker decodes what one receiver takes. Everything in it belongs to the one
// goroutine that runs it.
type worker struct {
	ring         *ring
	exporters    map[[16]byte]*exporter
	known        []netip.Prefix
	maxExporters int
	limits       wire.Limits
	match        *match.Holder
	customers    *customer.Holder
	events       *sighting.Queue
	event        sighting.Event
	store        *store.Store
	saved        *saved
	batch        *wire.Batch
	rows         *store.Batch
	since        int64 // when rows got its first row, milliseconds since 1970
	now          int64
	nextSave     int64
	recent       recent
	strangers    strangers
	n            tally
	c            *counters
	ask          chan chan answer
	log          *slog.Logger
}

func (f *Flow) worker(r *ring) *worker {
	return &worker{
		ring: r, exporters: map[[16]byte]*exporter{}, known: f.cfg.Exporters, maxExporters: f.cfg.MaxExporters, limits: f.cfg.Limits,
		match: f.cfg.Match, customers: f.cfg.Customers, events: f.cfg.Events, store: f.store, saved: f.saved, batch: &wire.Batch{},
		recent: newRecent(), c: &f.c, ask: make(chan chan answer), log: f.cfg.Log,
	}
}

// run decodes until stop is closed and the ring is empty.
func (w *worker) run(stop <-chan struct{}) {
	tick := time.NewTicker(handOver)
	defer tick.Stop()
	for {
		w.drain()
		select {
		case <-w.ring.wake:
		case <-tick.C:
			w.now = time.Now().UnixMilli()
			w.housekeep()
		case q := <-w.ask:
			q <- w.health()
		case <-stop:
			w.drain()
			w.handRows()
			w.save()
			return
		}
	}
}

// drain decodes all that waits in the ring.
func (w *worker) drain() {
	for {
		head, tail := w.ring.head.Load(), w.ring.tail.Load()
		if head == tail {
			return
		}
		w.now = time.Now().UnixMilli()
		for end := min(tail, head+burst); head != end; {
			i := int(head) & (len(w.ring.slots) - 1)
			s := &w.ring.slots[i]
			if s.n > 0 {
				w.ingest(w.ring.place(i)[:s.n], &s.from, w.now)
			}
			head++
			w.ring.head.Store(head)
		}
		w.c.add(&w.n)
		w.housekeep()
	}
}

// housekeep does what is due now and then, busy or not.
func (w *worker) housekeep() {
	if w.rows != nil && w.now-w.since >= handOver.Milliseconds() {
		w.handRows()
	}
	if w.now >= w.nextSave {
		w.nextSave = w.now + saveEvery
		w.save()
		w.c.exporters.Add(int64(len(w.exporters)) - int64(w.n.exporters))
		w.n.exporters = uint64(len(w.exporters))
	}
	select {
	case q := <-w.ask:
		q <- w.health()
	default:
	}
}

func (w *worker) handRows() {
	if w.rows != nil {
		w.store.Put(w.rows)
		w.rows = nil
	}
}

// save hands changed templates to the file's keeper.
func (w *worker) save() {
	for _, x := range w.exporters {
		if x.state.Dirty() {
			w.saved.put(x.addr, x.state.Save(nil))
		}
	}
}

func (w *worker) oldestTemplate() int64 { return w.now/1000 - templateLife }
