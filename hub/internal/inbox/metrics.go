package inbox

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

type counters struct{ pushes, objects, refused, busy atomic.Int64 }

// Collector gives the counters to Prometheus.
func (in *Inbox) Collector() prometheus.Collector { return (*metrics)(in) }

type metrics Inbox

var (
	descPushes  = prometheus.NewDesc("ecs_inbox_pushes_total", "TAXII POSTs of sources that were accepted.", nil, nil)
	descObjects = prometheus.NewDesc("ecs_inbox_objects_total", "Objects in them.", nil, nil)
	descRefused = prometheus.NewDesc("ecs_inbox_refused_total", "Pushes that intake refused as a whole.", nil, nil)
	descBusy    = prometheus.NewDesc("ecs_inbox_busy_total", "POSTs answered with 503 because too many came or wait.", nil, nil)
	descWaiting = prometheus.NewDesc("ecs_inbox_waiting", "Pushes in the spool.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (*metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descPushes, descObjects, descRefused, descBusy, descWaiting} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for d, v := range map[*prometheus.Desc]*atomic.Int64{
		descPushes: &m.count.pushes, descObjects: &m.count.objects, descRefused: &m.count.refused, descBusy: &m.count.busy,
	} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()))
	}
	ch <- prometheus.MustNewConstMetric(descWaiting, prometheus.GaugeValue, float64(m.waiting.Load()))
}
