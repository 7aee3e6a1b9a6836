package collect

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type counters struct {
	polls, failures, deliveries, items, unchanged atomic.Int64
}

// Collector gives the counters of all feeds to Prometheus.
func (c *Collector) Collector() prometheus.Collector { return (*metrics)(c) }

type metrics Collector

var (
	labels = []string{"source", "feed"}

	descPolls      = prometheus.NewDesc("ecs_collect_polls_total", "Tries to read a feed.", labels, nil)
	descFailures   = prometheus.NewDesc("ecs_collect_failures_total", "Tries that failed.", labels, nil)
	descDeliveries = prometheus.NewDesc("ecs_collect_deliveries_total", "Pages, events and files delivered.", labels, nil)
	descItems      = prometheus.NewDesc("ecs_collect_items_total", "Items in them.", labels, nil)
	descUnchanged  = prometheus.NewDesc("ecs_collect_unchanged_total", "Tries that found nothing changed (HTTP 304).", labels, nil)
	descLastOK     = prometheus.NewDesc("ecs_collect_last_success_seconds", "When the feed was last read to its end, in seconds since 1970; 0: never.", labels, nil)
)

// Describe implements [prometheus.Collector].
func (*metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descPolls, descFailures, descDeliveries, descItems, descUnchanged, descLastOK} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, s := range m.feeds {
		for d, v := range map[*prometheus.Desc]*atomic.Int64{
			descPolls: &s.count.polls, descFailures: &s.count.failures, descDeliveries: &s.count.deliveries,
			descItems: &s.count.items, descUnchanged: &s.count.unchanged,
		} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()), s.Source, s.Name)
		}
		r, err := load(ctx, m.cfg.DB, &s.Feed)
		if err != nil {
			continue // no answer is better than a wrong one
		}
		seconds := 0.0
		if !r.lastOK.IsZero() {
			seconds = float64(r.lastOK.UnixMicro()) / 1e6
		}
		ch <- prometheus.MustNewConstMetric(descLastOK, prometheus.GaugeValue, seconds, s.Source, s.Name)
	}
}
