package signin

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"ecs/internal/sqldb/sqldbtest"
)

func TestMetrics(t *testing.T) {
	s, _ := service(sqldbtest.Lite(t, open), Config{})
	create(t, s, alice)
	_, _ = s.Check(t.Context(), "alice", "wrong")
	r := prometheus.NewPedanticRegistry()
	err := r.Register(s)
	if err != nil {
		t.Fatal(err)
	}
	found, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range found {
		text.WriteString(f.String())
	}
	if !strings.Contains(text.String(), `value:"failed"`) || !strings.Contains(text.String(), "value:1") {
		t.Fatal(text.String())
	}
}
