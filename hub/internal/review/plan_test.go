package review_test

import (
	"strings"
	"testing"

	"ecs/hub/internal/hubtest"
	"ecs/internal/signin"
)

// TestPrecedentsGoByAnIndex: the hub decides millions of times, and each page asks.
func TestPrecedentsGoByAnIndex(t *testing.T) {
	h := hubtest.New(t, signin.Config{})
	for _, tt := range []struct{ query, index string }{
		{`SELECT * FROM decision x WHERE x.kind IN ('return', 'reject', 'recall', 'override') ORDER BY x.at DESC LIMIT 500`, "decision_against"},
		{`SELECT * FROM decision x WHERE x.person = $1 AND x.at >= 5 AND x.kind <> 'undo' ORDER BY x.at DESC LIMIT 5000`, "decision_person"},
		{`SELECT * FROM item x WHERE x.pivot = $1 AND x.pivot <> '' ORDER BY x.number DESC LIMIT 50`, "item_pivot"},
		{`SELECT i.created FROM item i WHERE i.state = $1 AND i.handling IN (1, 2) ORDER BY i.number LIMIT 1001`, "item_state"},
		{`SELECT i.id FROM item i WHERE i.pivot = $1 AND i.pivot <> '' AND i.ended = 0 AND i.handling IN (1, 2) ORDER BY i.number DESC LIMIT 100`, "item_pivot"},
	} {
		rows, err := h.DB.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+tt.query, []any{"something"}[:strings.Count(tt.query, "$1")]...)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var detail string
			err = rows.Scan(&id, &parent, &unused, &detail)
			if err != nil {
				t.Fatal(err)
			}
			plan.WriteString(detail + "\n")
		}
		err = rows.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan.String(), tt.index) || strings.Contains(plan.String(), "TEMP B-TREE") {
			t.Errorf("%s\nis planned as\n%swant the index %s without sorting", tt.query, plan.String(), tt.index)
		}
	}
}
