package door

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters of the door. Endpoints are a closed list, so that a stranger cannot
// make up names.
type counters struct {
	mu       sync.Mutex
	answers  map[[2]string]uint64
	entries  atomic.Uint64 // log entries handed out
	unwaited atomic.Uint64 // long polls answered at once: too many waited
	gone     atomic.Uint64 // requests whose client went away
}

func (c *counters) answer(path string, status int) {
	endpoint := "other"
	switch path {
	case "/v1/enrol", "/v1/renew", "/v1/changes", "/v1/acks", "/v1/feedback":
		endpoint = path
	default:
		if strings.HasPrefix(path, "/taxii2/") {
			endpoint = "/taxii2/"
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		c.answers = map[[2]string]uint64{}
	}
	c.answers[[2]string{endpoint, strconv.Itoa(status)}]++
}

var (
	descAnswers  = prometheus.NewDesc("ecs_door_answers_total", "Answers to providers' nodes.", []string{"endpoint", "status"}, nil)
	descEntries  = prometheus.NewDesc("ecs_door_entries_total", "Log entries handed out.", nil, nil)
	descUnwaited = prometheus.NewDesc("ecs_door_unwaited_total", "Long polls answered at once because too many waited.", nil, nil)
	descGone     = prometheus.NewDesc("ecs_door_interrupted_total", "Requests whose client went away.", nil, nil)
	descWaiting  = prometheus.NewDesc("ecs_door_waiting", "Long polls waiting now.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (d *Door) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(d, out) }

// Collect implements [prometheus.Collector].
func (d *Door) Collect(out chan<- prometheus.Metric) {
	count := func(desc *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), labels...)
	}
	d.count.mu.Lock()
	for k, v := range d.count.answers {
		count(descAnswers, v, k[0], k[1])
	}
	d.count.mu.Unlock()
	count(descEntries, d.count.entries.Load())
	count(descUnwaited, d.count.unwaited.Load())
	count(descGone, d.count.gone.Load())
	out <- prometheus.MustNewConstMetric(descWaiting, prometheus.GaugeValue, float64(len(d.waiting)))
}
