package intake

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector gives the counters of an intake to Prometheus.
func (in *Intake) Collector() prometheus.Collector { return (*collector)(in) }

type collector Intake

func (c *collector) each(f func(name, help string, v *atomic.Int64)) {
	m := &c.metrics
	f("deliveries_total", "Deliveries received.", &m.deliveries)
	f("items_total", "Items of deliveries committed, whatever became of them.", &m.items)
	f("accepted_total", "New indicators.", &m.accepted)
	f("duplicates_total", "Items merged into an indicator that was there.", &m.duplicate)
	f("refused_total", "Items refused.", &m.refused)
	f("skipped_total", "Objects of other types than indicator.", &m.skipped)
	f("refusals_dropped_total", "Refusals counted but not kept, above the limit of one delivery.", &m.refusalsDropped)
	f("folders_skipped_total", "Looks at a watched folder that could not be read.", &m.foldersSkipped)
}

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("ecs_intake_"+name, help, nil, nil)
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	c.each(func(name, help string, _ *atomic.Int64) { ch <- desc(name, help) })
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.each(func(name, help string, v *atomic.Int64) {
		ch <- prometheus.MustNewConstMetric(desc(name, help), prometheus.CounterValue, float64(v.Load()))
	})
}
