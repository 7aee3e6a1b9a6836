package dns

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counter names one of the room's counters.
type counter int

const (
	queriesUDP counter = iota
	queriesTCP
	blocked
	alerted
	unmatched
	strangersRefused
	answeredNotImp
	answeredBadVers
	answeredFormErr
	answeredRefused
	answeredNotReady
	answeredServFail
	droppedMalformed
	droppedStranger
	droppedSightings
	droppedPending
	droppedSend
	droppedConns
	droppedConnsClient
	droppedUpstreamTCP
	forwarded
	merged
	answered
	truncated
	retries
	strays
	slowTCP
	counters
)

// counterText gives each counter its metric and label value.
var counterText = [counters]struct{ metric, label string }{
	queriesUDP:         {"queries", "udp"},
	queriesTCP:         {"queries", "tcp"},
	blocked:            {"decisions", "blocked"},
	alerted:            {"decisions", "alerted"},
	unmatched:          {"decisions", "unmatched"},
	strangersRefused:   {"decisions", "stranger_refused"},
	answeredNotImp:     {"decisions", "notimp"},
	answeredBadVers:    {"decisions", "badvers"},
	answeredFormErr:    {"decisions", "formerr"},
	answeredRefused:    {"decisions", "refused"},
	answeredNotReady:   {"decisions", "not_ready"},
	droppedMalformed:   {"dropped", "malformed"},
	droppedStranger:    {"dropped", "stranger"},
	droppedSightings:   {"dropped", "sighting_queue_full"},
	droppedPending:     {"dropped", "pending_full"},
	droppedSend:        {"dropped", "send"},
	droppedConns:       {"dropped", "tcp_connections"},
	droppedConnsClient: {"dropped", "tcp_connections_of_client"},
	droppedUpstreamTCP: {"dropped", "upstream_tcp_full"},
	forwarded:          {"forwarded", "sent"},
	merged:             {"forwarded", "merged"},
	answered:           {"forwarded", "answered"},
	answeredServFail:   {"forwarded", "failed"},
	truncated:          {"forwarded", "truncated"},
	retries:            {"forwarded", "retried"},
	strays:             {"forwarded", "stray_answer"},
	slowTCP:            {"dropped", "tcp_slow"},
}

// counts are the room's counters.
type counts [counters]atomic.Uint64

// take adds a worker's tallies and clears them.
func (c *counts) take(tally *[counters]uint32) {
	for i, v := range tally {
		if v != 0 {
			c[i].Add(uint64(v))
			tally[i] = 0
		}
	}
}

var (
	descs = map[string]*prometheus.Desc{
		"queries":   prometheus.NewDesc("ecs_dns_queries_total", "Queries received, by transport.", []string{"transport"}, nil),
		"decisions": prometheus.NewDesc("ecs_dns_decisions_total", "Queries by what was decided.", []string{"decision"}, nil),
		"dropped":   prometheus.NewDesc("ecs_dns_dropped_total", "What did not fit a bound or could not be answered, by reason.", []string{"reason"}, nil),
		"forwarded": prometheus.NewDesc("ecs_dns_forwarded_total", "Forwarded queries, by event.", []string{"event"}, nil),
	}
	descPending = prometheus.NewDesc("ecs_dns_pending", "Queries that wait for an upstream.", nil, nil)
	descConns   = prometheus.NewDesc("ecs_dns_tcp_connections", "Open TCP connections of clients.", nil, nil)
	descUp      = prometheus.NewDesc("ecs_dns_upstream_up", "Whether an upstream answers.", []string{"upstream"}, nil)
	descRTT     = prometheus.NewDesc("ecs_dns_upstream_rtt_seconds", "Smoothed time to an upstream's answer.", []string{"upstream"}, nil)
	descKernel  = prometheus.NewDesc("ecs_dns_kernel_dropped_total", "Datagrams that the kernel dropped because a socket's buffer was full.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (r *Room) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
	for _, d := range []*prometheus.Desc{descPending, descConns, descUp, descRTT, descKernel} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (r *Room) Collect(ch chan<- prometheus.Metric) {
	for i, t := range counterText {
		ch <- prometheus.MustNewConstMetric(descs[t.metric], prometheus.CounterValue, float64(r.counts[i].Load()), t.label)
	}
	ch <- prometheus.MustNewConstMetric(descConns, prometheus.GaugeValue, float64(r.conns.open.Load()))
	ch <- prometheus.MustNewConstMetric(descPending, prometheus.GaugeValue, float64(r.pending.Load()))
	ch <- prometheus.MustNewConstMetric(descKernel, prometheus.CounterValue, float64(r.kernelDrops()))
	for _, u := range r.ups {
		up := 1.0
		if u.down.Load() {
			up = 0
		}
		name := u.addr.String()
		ch <- prometheus.MustNewConstMetric(descUp, prometheus.GaugeValue, up, name)
		ch <- prometheus.MustNewConstMetric(descRTT, prometheus.GaugeValue, float64(u.srtt.Load())/1e6, name)
	}
}

// Dropped says how much was dropped so far, by reason.
func (r *Room) Dropped() map[string]uint64 {
	out := map[string]uint64{"kernel": r.kernelDrops()}
	for i, t := range counterText {
		if t.metric == "dropped" {
			out[t.label] = r.counts[i].Load()
		}
	}
	return out
}
