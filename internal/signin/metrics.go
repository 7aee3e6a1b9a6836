package signin

import "github.com/prometheus/client_golang/prometheus"

var (
	descTries = prometheus.NewDesc("ecs_signin_tries_total", "Passwords checked or refused, by outcome.", []string{"outcome"}, nil)
	descBegun = prometheus.NewDesc("ecs_signin_sessions_total", "Sessions begun.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (s *Service) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, out) }

// Collect implements [prometheus.Collector].
func (s *Service) Collect(out chan<- prometheus.Metric) {
	c := s.Counts()
	for outcome, n := range map[string]uint64{"passed": c.Passed, "failed": c.Failed, "limited": c.Limited, "busy": c.Busy} {
		out <- prometheus.MustNewConstMetric(descTries, prometheus.CounterValue, float64(n), outcome)
	}
	out <- prometheus.MustNewConstMetric(descBegun, prometheus.CounterValue, float64(c.Sessions))
}
