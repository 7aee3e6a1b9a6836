package mail

import (
	"sync/atomic"

	"ecs/provider/internal/mail/mime"

	"github.com/prometheus/client_golang/prometheus"
)

type counters struct {
	clean, alerted, tagged, quarantined, rejected, early atomic.Uint64
	tempfail, errors, panics, unrecorded                 atomic.Uint64
	nobody, over, overRefused, ambiguous                 atomic.Uint64
	bytes, parts, finds, endMicros                       atomic.Uint64
}

func (c *counters) walked(r mime.Result) {
	c.bytes.Add(uint64(r.Bytes))
	c.parts.Add(uint64(r.Parts))
	c.finds.Add(uint64(r.Finds))
	if r.Over != 0 {
		c.over.Add(1)
	}
	if r.Signs != 0 {
		c.ambiguous.Add(1)
	}
}

// Collector gives the room's figures.
func (f *Filter) Collector() prometheus.Collector { return collector{f} }

type collector struct{ f *Filter }

var (
	messages    = prometheus.NewDesc("ecs_mail_messages_total", "Messages judged, by what was done.", []string{"action"}, nil)
	failures    = prometheus.NewDesc("ecs_mail_failures_total", "Messages that could not be handled as they should, by reason.", []string{"reason"}, nil)
	overBudget  = prometheus.NewDesc("ecs_mail_over_budget_total", "Messages that were not looked at in full because they are over a budget.", nil, nil)
	ambiguous   = prometheus.NewDesc("ecs_mail_ambiguous_total", "Messages that two mail programs may read differently.", nil, nil)
	sizes       = prometheus.NewDesc("ecs_mail_bytes_total", "Bytes of messages walked through.", nil, nil)
	parts       = prometheus.NewDesc("ecs_mail_parts_total", "Parts and archive members walked through.", nil, nil)
	finds       = prometheus.NewDesc("ecs_mail_lookups_total", "Observables looked up.", nil, nil)
	endSeconds  = prometheus.NewDesc("ecs_mail_end_seconds_total", "Time from the end of messages to their verdicts.", nil, nil)
	milterOpen  = prometheus.NewDesc("ecs_mail_milter_sessions", "Connections of mail servers.", nil, nil)
	milterTotal = prometheus.NewDesc("ecs_mail_milter_events_total", "What happened on connections of mail servers.", []string{"event"}, nil)
	kept        = prometheus.NewDesc("ecs_mail_quarantine_total", "What happened in the quarantine.", []string{"event"}, nil)
	keptBytes   = prometheus.NewDesc("ecs_mail_quarantine_bytes", "Size of messages in quarantine.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{messages, failures, overBudget, ambiguous, sizes, parts, finds, endSeconds, milterOpen, milterTotal, kept, keptBytes} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v *atomic.Uint64, label ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()), label...)
	}
	n := &c.f.count
	count(messages, &n.clean, "passed")
	count(messages, &n.alerted, "alerted")
	count(messages, &n.tagged, "tagged")
	count(messages, &n.quarantined, "quarantined")
	count(messages, &n.rejected, "rejected")
	count(messages, &n.early, "rejected-recipient")
	count(messages, &n.nobody, "nobody")
	count(failures, &n.tempfail, "not-stored")
	count(failures, &n.errors, "not-judged")
	count(failures, &n.panics, "panic")
	count(failures, &n.unrecorded, "sighting-not-stored")
	count(failures, &n.overRefused, "over-budget-refused")
	count(overBudget, &n.over)
	count(ambiguous, &n.ambiguous)
	count(sizes, &n.bytes)
	count(parts, &n.parts)
	count(finds, &n.finds)
	ch <- prometheus.MustNewConstMetric(endSeconds, prometheus.CounterValue, float64(n.endMicros.Load())/1e6)
	m := c.f.server.Counters()
	ch <- prometheus.MustNewConstMetric(milterOpen, prometheus.GaugeValue, float64(m.Open.Load()))
	count(milterTotal, &m.Sessions, "session")
	count(milterTotal, &m.Messages, "message")
	count(milterTotal, &m.Packets, "packet")
	count(milterTotal, &m.Refused, "refused")
	count(milterTotal, &m.Oversize, "oversize")
	count(milterTotal, &m.Broken, "broken")
	count(milterTotal, &m.Silent, "silent")
	q := c.f.cfg.Quarantine
	if q == nil {
		return
	}
	k := q.Counters()
	count(kept, &k.Held, "held")
	count(kept, &k.Released, "released")
	count(kept, &k.Deleted, "deleted")
	count(kept, &k.Refused, "full")
	count(kept, &k.Adopted, "adopted")
	count(kept, &k.Swept, "swept")
	count(kept, &k.Failed, "failed")
	ch <- prometheus.MustNewConstMetric(keptBytes, prometheus.GaugeValue, float64(q.Bytes()))
}
