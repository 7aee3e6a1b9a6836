package provider

import (
	"time"

	"ecs/contract"

	"github.com/prometheus/client_golang/prometheus"
)

// gauges tells Prometheus what the house knows of itself; each room has its own
// collector.
type gauges struct{ h *house }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ecs_"+name, help, labels, nil)
}

var (
	descSequence  = describe("list_sequence", "Number of the list in force.")
	descCount     = describe("list_indicators", "Indicators in the match set.")
	descIssued    = describe("list_issued_timestamp_seconds", "When the checkpoint of the list in force was issued; 0 before the first.")
	descExpires   = describe("list_expires_timestamp_seconds", "When it is no longer to be believed.")
	descContact   = describe("hub_contact_timestamp_seconds", "When the hub last answered; 0 before the first time.")
	descReachable = describe("hub_reachable", "1 when the last request to the hub was answered with a list.")
	descProblem   = describe("list_problem", "1 while the newest list is refused, by reason.", "problem")
	descUnusable  = describe("list_unusable_indicators", "Indicators in force that this node cannot use for all that they were released for.")
	descUnsent    = describe("receipts_waiting", "Receipts that the hub has not taken yet.")
	descCert      = describe("certificate_end_timestamp_seconds", "End of the node's certificate.")
	descEvents    = describe("sighting_events_total", "Matches that the rooms reported.", "result")
	descStored    = describe("sightings_stored_total", "Merged sightings stored, and attempts to store that failed.", "result")
	descNotices   = describe("notices_total", "Notices made, delivered, and deliveries that failed.", "result")
)

// Describe implements [prometheus.Collector].
func (g gauges) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(g, out) }

// Collect implements [prometheus.Collector].
func (g gauges) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	s := g.h.link.Status()
	gauge(descSequence, float64(s.Checkpoint.Sequence))
	gauge(descCount, float64(g.h.set.Get().Len()))
	gauge(descIssued, seconds(s.Checkpoint.Issued))
	gauge(descExpires, seconds(s.Checkpoint.Expires))
	gauge(descContact, seconds(s.Contact))
	reachable := 0.0
	if s.Error == "" && !s.Contact.IsZero() {
		reachable = 1
	}
	gauge(descReachable, reachable)
	if s.Problem != contract.None {
		gauge(descProblem, 1, s.Problem.String())
	}
	gauge(descUnusable, float64(s.Refused))
	gauge(descUnsent, float64(s.Unsent))
	gauge(descCert, seconds(s.NotAfter))
	offered, dropped := g.h.queue.Counts()
	count(descEvents, offered-dropped, "taken")
	count(descEvents, dropped, "dropped")
	stored, failed := g.h.recorder.Counts()
	count(descStored, stored, "stored")
	count(descStored, failed, "failed")
	made, delivered, undelivered := g.h.notices.Counts()
	count(descNotices, made, "made")
	count(descNotices, delivered, "delivered")
	count(descNotices, undelivered, "failed")
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
