package flow

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"ecs/provider/internal/flow/store"
)

// tally counts on the hot path, in plain numbers of one worker; add moves it to
// the room's counters after each burst.
type tally struct {
	datagrams, refused, malformed, records, nobody, off, watched, matched, excepted, repeated, events, eventsLost,
	forgotten, unstored, skewed, overBudget uint64
	exporters uint64 // as last added to the gauge
}

// counters are the room's, shared by all workers.
type counters struct {
	received, tooLong, ringDropped, kernelDropped, receiveErrors atomic.Uint64
	datagrams, refused, malformed, records, nobody, off, watched, matched, excepted, repeated, events, eventsLost,
	forgotten, unstored, skewed, overBudget atomic.Uint64
	exporters, receiveBuffer atomic.Int64
}

func (c *counters) add(n *tally) {
	for _, p := range [...]struct {
		to   *atomic.Uint64
		from *uint64
	}{
		{&c.datagrams, &n.datagrams},
		{&c.refused, &n.refused},
		{&c.malformed, &n.malformed},
		{&c.records, &n.records},
		{&c.nobody, &n.nobody},
		{&c.off, &n.off},
		{&c.watched, &n.watched},
		{&c.matched, &n.matched},
		{&c.excepted, &n.excepted},
		{&c.repeated, &n.repeated},
		{&c.events, &n.events},
		{&c.eventsLost, &n.eventsLost},
		{&c.forgotten, &n.forgotten},
		{&c.unstored, &n.unstored},
		{&c.skewed, &n.skewed},
		{&c.overBudget, &n.overBudget},
	} {
		if *p.from != 0 {
			p.to.Add(*p.from)
			*p.from = 0
		}
	}
}

// Totals is a copy of the room's counters.
type Totals struct {
	Received      uint64 // datagrams taken from the kernel
	KernelDropped uint64 // datagrams the kernel had no room for (SO_RXQ_OVFL)
	RingDropped   uint64 // datagrams dropped because the decoder was behind
	TooLong       uint64 // datagrams longer than MaxDatagram
	ReceiveErrors uint64 // system calls that failed
	Refused       uint64 // datagrams of exporters that nobody registered
	OverBudget    uint64 // datagrams of exporters beyond MaxExporters
	Datagrams     uint64 // datagrams of known exporters
	Malformed     uint64 // of these, with an error in them
	Records       uint64 // flow records decoded
	Nobody        uint64 // of these, of no customer
	Off           uint64 // flows of customers who do not want the service
	Watched       uint64 // flows compared for a customer; one between two customers counts twice
	Matched       uint64 // flows that met an indicator
	Excepted      uint64 // met one that the customer has excepted
	Repeated      uint64 // matched again in the same minute: no event
	Forgotten     uint64 // conversations that may be reported twice because the table was full
	Events        uint64 // events reported
	EventsLost    uint64 // of these, lost because the queue was full
	Unstored      uint64 // flows not stored because the store was behind
	Skewed        uint64 // records with impossible times
	Exporters     int64  // known now, updated every half minute
	ReceiveBuffer int64  // bytes granted by the kernel for a socket
}

// Totals gives the room's counters.
func (f *Flow) Totals() Totals {
	c := &f.c
	return Totals{
		Received: c.received.Load(), KernelDropped: c.kernelDropped.Load(), RingDropped: c.ringDropped.Load(), TooLong: c.tooLong.Load(),
		ReceiveErrors: c.receiveErrors.Load(), Refused: c.refused.Load(), OverBudget: c.overBudget.Load(), Datagrams: c.datagrams.Load(),
		Malformed: c.malformed.Load(), Records: c.records.Load(), Nobody: c.nobody.Load(), Off: c.off.Load(), Watched: c.watched.Load(),
		Matched: c.matched.Load(), Excepted: c.excepted.Load(), Repeated: c.repeated.Load(), Forgotten: c.forgotten.Load(),
		Events: c.events.Load(), EventsLost: c.eventsLost.Load(), Unstored: c.unstored.Load(), Skewed: c.skewed.Load(),
		Exporters: c.exporters.Load(), ReceiveBuffer: c.receiveBuffer.Load(),
	}
}

var (
	datagramsDesc = prometheus.NewDesc("ecs_flow_datagrams_total", "Export datagrams, by what became of them.", []string{"fate"}, nil)
	flowsDesc     = prometheus.NewDesc("ecs_flow_records_total", "Flow records, by what became of them.", []string{"fate"}, nil)
	eventsDesc    = prometheus.NewDesc("ecs_flow_events_total", "Conversations with an indicator, by what became of the event.", []string{"fate"}, nil)
	exportersDesc = prometheus.NewDesc("ecs_flow_exporters", "Exporters known now.", nil, nil)
	bufferDesc    = prometheus.NewDesc("ecs_flow_receive_buffer_bytes", "Receive buffer that the kernel granted for a socket.", nil, nil)
	storedDesc    = prometheus.NewDesc("ecs_flow_store_rows_total", "Flows for the store, by what became of them.", []string{"fate"}, nil)
	filesDesc     = prometheus.NewDesc("ecs_flow_store_files_total", "Files of flows, by what was done with them.", []string{"action"}, nil)
	haveDesc      = prometheus.NewDesc("ecs_flow_store_files", "Files of flows there are.", nil, nil)
	bytesDesc     = prometheus.NewDesc("ecs_flow_store_bytes", "Bytes in files of flows.", nil, nil)
	fullDesc      = prometheus.NewDesc("ecs_flow_store_stopped", "1 while flows cannot be stored: disk full or failing.", nil, nil)
)

// Collector exposes the room's counters to Prometheus.
func (f *Flow) Collector() prometheus.Collector { return collector{f} }

type collector struct{ f *Flow }

// Describe implements [prometheus.Collector].
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{datagramsDesc, flowsDesc, eventsDesc, exportersDesc, bufferDesc, storedDesc, filesDesc, haveDesc, bytesDesc, fullDesc} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(out chan<- prometheus.Metric) {
	t := c.f.Totals()
	count := func(d *prometheus.Desc, v uint64, label ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), label...)
	}
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	count(datagramsDesc, t.Received, "received")
	count(datagramsDesc, t.KernelDropped, "dropped_by_kernel")
	count(datagramsDesc, t.RingDropped, "dropped_decoder_behind")
	count(datagramsDesc, t.TooLong, "refused_too_long")
	count(datagramsDesc, t.Refused, "refused_unknown_exporter")
	count(datagramsDesc, t.OverBudget, "refused_too_many_exporters")
	count(datagramsDesc, t.Malformed, "malformed")
	count(datagramsDesc, t.ReceiveErrors, "receive_error")
	count(flowsDesc, t.Records, "decoded")
	count(flowsDesc, t.Nobody, "of_nobody")
	count(flowsDesc, t.Off, "service_off")
	count(flowsDesc, t.Watched, "watched")
	count(flowsDesc, t.Matched, "matched")
	count(flowsDesc, t.Excepted, "excepted")
	count(flowsDesc, t.Skewed, "clock_off")
	count(eventsDesc, t.Events, "reported")
	count(eventsDesc, t.EventsLost, "lost_queue_full")
	count(eventsDesc, t.Repeated, "same_conversation")
	count(eventsDesc, t.Forgotten, "table_full")
	gauge(exportersDesc, float64(t.Exporters))
	gauge(bufferDesc, float64(t.ReceiveBuffer))
	s := c.f.Stored()
	if s == nil {
		return
	}
	collectStore(s, count, gauge)
}

func collectStore(s *store.Counters, count func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, float64)) {
	count(storedDesc, s.Rows.Load(), "stored")
	count(storedDesc, s.Recovered.Load(), "recovered")
	count(storedDesc, s.LostBehind.Load(), "dropped_store_behind")
	count(storedDesc, s.LostFull.Load(), "dropped_cannot_write")
	count(filesDesc, s.Written.Load(), "written")
	count(filesDesc, s.Expired.Load(), "removed_for_age")
	count(filesDesc, s.Evicted.Load(), "removed_for_size")
	count(filesDesc, s.Failed.Load(), "failed")
	gauge(haveDesc, float64(s.Files.Load()))
	gauge(bytesDesc, float64(s.Bytes.Load()))
	full := 0.0
	if s.Full.Load() {
		full = 1
	}
	gauge(fullDesc, full)
}
