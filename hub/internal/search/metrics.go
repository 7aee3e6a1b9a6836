package search

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ecs/internal/sqldb"
)

type meter struct{ items, parts, changed, dropped, failures atomic.Int64 }

// Progress says how far the index is.
type Progress struct {
	Indexed int64 `json:"indexed"` // items up to this number
	Newest  int64 `json:"newest"`  // number of the newest item
	Erasing int64 `json:"erasing"` // bases that wait to be indexed anew without what was taken back
	Changes int64 `json:"changes"` // mentions and audit entries that were not looked at yet
}

// Lag is how many items are not indexed yet.
func (p *Progress) Lag() int64 { return max(0, p.Newest-p.Indexed) }

// State reads how far the index is.
func State(ctx context.Context, q sqldb.Querier) (Progress, error) {
	var p Progress
	err := q.QueryRowContext(ctx, `SELECT s.position, i.value, (SELECT count(*) FROM search_erase), m.value - s.mention + h.seq - s.seq
		FROM search_state s, counter i, counter m, audit_head h WHERE i.name = 'item' AND m.name = 'mention'`).
		Scan(&p.Indexed, &p.Newest, &p.Erasing, &p.Changes)
	if err != nil {
		return p, fmt.Errorf("search: state: %w", err)
	}
	return p, nil
}

// Collector gives the indexer's figures to Prometheus.
func (x *Index) Collector() prometheus.Collector { return (*metrics)(x) }

type metrics Index

var (
	descIndexed  = prometheus.NewDesc("ecs_search_indexed_items_total", "Items written into parts of the index, again and again where parts are written anew.", nil, nil)
	descParts    = prometheus.NewDesc("ecs_search_parts_total", "Parts of the index that were written.", nil, nil)
	descChanged  = prometheus.NewDesc("ecs_search_changed_items_total", "Indexed items that were looked at again because they changed.", nil, nil)
	descDropped  = prometheus.NewDesc("ecs_search_dropped_terms_total", "Terms beyond the most that one item may have.", nil, nil)
	descFailures = prometheus.NewDesc("ecs_search_failures_total", "Steps of the indexer that failed and were tried again.", nil, nil)
	descLag      = prometheus.NewDesc("ecs_search_lag_items", "Items that are not indexed yet.", nil, nil)
	descErasing  = prometheus.NewDesc("ecs_search_erasing_bases", "Bases that wait to be indexed anew without what was taken back.", nil, nil)
	descChanges  = prometheus.NewDesc("ecs_search_changes_waiting", "Mentions and audit entries that the indexer has not looked at yet.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (*metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descIndexed, descParts, descChanged, descDropped, descFailures, descLag, descErasing, descChanges} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range []struct {
		d *prometheus.Desc
		v *atomic.Int64
	}{
		{descIndexed, &m.meter.items},
		{descParts, &m.meter.parts},
		{descChanged, &m.meter.changed},
		{descDropped, &m.meter.dropped},
		{descFailures, &m.meter.failures},
	} {
		ch <- prometheus.MustNewConstMetric(c.d, prometheus.CounterValue, float64(c.v.Load()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	p, err := State(ctx, m.cfg.DB)
	if err != nil {
		return // no answer is better than a wrong one
	}
	ch <- prometheus.MustNewConstMetric(descLag, prometheus.GaugeValue, float64(p.Lag()))
	ch <- prometheus.MustNewConstMetric(descErasing, prometheus.GaugeValue, float64(p.Erasing))
	ch <- prometheus.MustNewConstMetric(descChanges, prometheus.GaugeValue, float64(p.Changes))
}
