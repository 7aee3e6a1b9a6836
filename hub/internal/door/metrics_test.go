package door

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"ecs/internal/sqldb/sqldbtest"
)

// A stranger's paths make no new series.
func TestMetrics(t *testing.T) {
	h := start(t, sqldbtest.Lite(t, open))
	n := h.enrol(t, "north")
	for _, path := range []string{"/a", "/b", "/v1/changes", "/taxii2/x/", "/taxii2/y/"} {
		n.send(t, "GET", path, nil)
	}
	r := prometheus.NewPedanticRegistry()
	must(t, r.Register(h.door))
	found, err := r.Gather()
	must(t, err)
	series := map[string]float64{}
	for _, f := range found {
		if f.GetName() != "ecs_door_answers_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			series[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{"/v1/enrol 200": 1, "other 404": 2, "/v1/changes 200": 1, "/taxii2/ 404": 2}
	for k, v := range want {
		if series[k] != v {
			t.Errorf("%s: %v, want %v", k, series[k], v)
		}
	}
	if len(series) != len(want) {
		t.Errorf("series: %v", series)
	}
}
