package graph

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/search"
	"ecs/internal/signin"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const ind = "indicator--11111111-1111-4111-8111-111111111111"

const bundle = `{"type":"bundle","id":"bundle--11111111-1111-4111-8111-1111111111b0","objects":[
{"type":"indicator","spec_version":"2.1","id":"` + ind + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'graph.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"},
{"type":"malware","spec_version":"2.1","id":"malware--11111111-1111-4111-8111-111111111112","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"Old name","is_family":true},
{"type":"malware","spec_version":"2.1","id":"malware--11111111-1111-4111-8111-111111111112","created":"2026-01-01T00:00:00.000Z","modified":"2026-02-01T00:00:00.000Z","name":"Loader","is_family":true},
{"type":"campaign","spec_version":"2.1","id":"campaign--11111111-1111-4111-8111-111111111113","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"Autumn"},
{"type":"threat-actor","spec_version":"2.1","id":"threat-actor--11111111-1111-4111-8111-111111111114","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"Actor","description":"write to john.miller@mail.example"},
{"type":"relationship","spec_version":"2.1","id":"relationship--11111111-1111-4111-8111-111111111115","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"indicates","source_ref":"` + ind + `","target_ref":"malware--11111111-1111-4111-8111-111111111112"},
{"type":"relationship","spec_version":"2.1","id":"relationship--11111111-1111-4111-8111-111111111116","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"uses","source_ref":"campaign--11111111-1111-4111-8111-111111111113","target_ref":"malware--11111111-1111-4111-8111-111111111112"},
{"type":"relationship","spec_version":"2.1","id":"relationship--11111111-1111-4111-8111-111111111117","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"attributed-to","source_ref":"campaign--11111111-1111-4111-8111-111111111113","target_ref":"threat-actor--11111111-1111-4111-8111-111111111114"},
{"type":"relationship","spec_version":"2.1","id":"relationship--11111111-1111-4111-8111-111111111118","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"uses","source_ref":"campaign--11111111-1111-4111-8111-111111111113","target_ref":"tool--11111111-1111-4111-8111-111111111119"}
]}`

func deliver(t *testing.T, h *hubtest.Hub, source, name, text string) intake.Report {
	t.Helper()
	r, err := h.Intake.Submit(t.Context(), intake.Delivery{Source: source, Name: name, Format: "stix", Submitter: "gil"}, strings.NewReader(text), nil)
	must(t, err)
	return r
}

func reader(t *testing.T, h *hubtest.Hub, a signin.Account) Reader {
	t.Helper()
	r, err := ReaderOf(t.Context(), h.DB, a)
	must(t, err)
	return r
}

func lines(g *Graph) []string {
	names := map[string]string{}
	for _, n := range g.Nodes {
		names[n.ID] = n.Label()
		if !n.Known {
			names[n.ID] = "unknown " + n.Type
		}
	}
	var out []string
	for _, e := range g.Edges {
		out = append(out, names[e.From]+" "+e.Relation+" "+names[e.To])
	}
	slices.Sort(out)
	return out
}

func TestWalkFromAnIndicator(t *testing.T) {
	h := hubtest.New(t, signin.Config{})
	deliver(t, h, "cedar", "graph.json", bundle)
	it := h.Find(t, "graph.example")
	one := []string{"graph.example indicates Loader"}
	two := append([]string{"Autumn uses Loader"}, one...)
	for _, tt := range []struct {
		name, login string
		depth       int
		want        []string
	}{
		{"one step", "ann", 1, one},
		{"two steps", "ann", 2, two},
		{"three steps, what holds personal data is unknown", "ann", 3, []string{"Autumn attributed-to unknown threat-actor", "Autumn uses Loader", "Autumn uses unknown tool", "graph.example indicates Loader"}},
		{"three steps of a privacy officer", "paul", 3, []string{"Autumn attributed-to Actor", "Autumn uses Loader", "Autumn uses unknown tool", "graph.example indicates Loader"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := FromItem(t.Context(), h.DB, reader(t, h, hubtest.Account(tt.login)), it.ID, tt.depth, 100)
			must(t, err)
			if diff := cmp.Diff(tt.want, lines(&g)); diff != "" {
				t.Error(diff)
			}
		})
	}
	// From the other end, and an older version does not stand for the newest.
	r := reader(t, h, hubtest.Account("ann"))
	o, err := Read(t.Context(), h.DB, r, "malware--11111111-1111-4111-8111-111111111112")
	must(t, err)
	if o.Name != "Loader" || len(o.Versions) != 2 {
		t.Errorf("%q with %d versions", o.Name, len(o.Versions))
	}
	g, err := Walk(t.Context(), h.DB, r, o.ID, 1, 100)
	must(t, err)
	if diff := cmp.Diff(two, lines(&g)); diff != "" {
		t.Error(diff)
	}
	i := slices.IndexFunc(g.Nodes, func(n Node) bool { return n.ID == ind })
	if i < 0 || g.Nodes[i].Item != it.ID || g.Nodes[i].State != it.State {
		t.Errorf("the indicator is not recognized: %+v", g.Nodes)
	}
	svg := string(g.SVG("x", "A <title>", "text"))
	if !strings.Contains(svg, "&lt;title&gt;") || !strings.Contains(svg, "Loader") {
		t.Errorf("drawing: %s", svg)
	}
	// An officer of another source finds nothing.
	_, err = Read(t.Context(), h.DB, Reader{Reader: search.Reader{Limited: true, Source: "dogwood"}}, o.ID)
	if _, ok := Explain(err); !ok {
		t.Errorf("an object of another source: %v", err)
	}
	// Nor does who is cleared for nothing of it.
	_, err = Read(t.Context(), h.DB, Reader{Reader: search.Reader{Handlings: []int64{}}}, o.ID)
	if _, ok := Explain(err); !ok {
		t.Errorf("an object above the clearance: %v", err)
	}
	g, err = FromItem(t.Context(), h.DB, Reader{Reader: search.Reader{Handlings: []int64{}}}, it.ID, 3, 100)
	must(t, err)
	if len(g.Edges) > 0 {
		t.Errorf("a graph above the clearance: %v", lines(&g))
	}
}

func TestPivots(t *testing.T) {
	h := hubtest.New(t, signin.Config{})
	var b strings.Builder
	b.WriteString("value,type,category,confidence,tlp,valid_until,observed\n")
	for _, v := range []string{"a.shared.example", "b.shared.example", "192.0.2.1", "192.0.2.77", "alone.example"} {
		fmt.Fprintf(&b, "%s,%s,c2,70,green,2099-01-01T00:00:00Z,2026-01-01T00:00:00Z\n", v, map[bool]string{true: "address", false: "domain"}[strings.HasPrefix(v, "192")])
	}
	h.Deliver(t, "cedar", "pivots.csv", b.String())
	r := reader(t, h, hubtest.Account("ann"))
	for value, want := range map[string]string{"a.shared.example": "under:shared.example", "192.0.2.1": "net:192.0.2.0/24", "alone.example": ""} {
		it := h.Find(t, value)
		sources, err := access.Sources(t.Context(), h.DB, hubtest.Account("ann"), it.ID)
		must(t, err)
		ps, err := Pivots(t.Context(), h.DB, r.Reader, &it, sources, false)
		must(t, err)
		first := ""
		if len(ps) > 0 && ps[0].Count == 1 {
			first = ps[0].Query
		}
		if first != want {
			t.Errorf("%s: the rarest is %q, want %q of %+v", value, first, want, ps)
		}
		i := slices.IndexFunc(ps, func(p Pivot) bool { return strings.HasPrefix(p.Query, "batch:") })
		if i < 0 || ps[i].Count != 4 || ps[i].Rarity >= 100 {
			t.Errorf("%s: of the same delivery: %+v", value, ps)
		}
	}
	it := indicator.Item{ID: contract.ID{1}, Value: "x.example", Pivot: "x.example"}
	for _, p := range ask(&it, nil, true) {
		t.Errorf("a hidden value is asked for: %+v", p)
	}
}

// ATT&CK for ICS, whole: every object is kept, and the neighbors of each are those
// that the bundle itself says.
func TestATTACK(t *testing.T) {
	dir := os.Getenv("ECS_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	raw, err := exec.CommandContext(t.Context(), "xz", "-dc", filepath.Join(dir, "attack-ics-18.1.stix.json.xz")).Output()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("ATT&CK cannot be read: %v; set ECS_DATA", err)
		}
		t.Skipf("ATT&CK cannot be read: %v; set ECS_DATA", err)
	}
	h := hubtest.New(t, signin.Config{})
	report := deliver(t, h, "cedar", "attack.json", string(raw))
	var x struct {
		Objects []struct {
			ID      string `json:"id"`
			Type    string `json:"type"`
			Kind    string `json:"relationship_type"`
			From    string `json:"source_ref"`
			To      string `json:"target_ref"`
			Revoked bool   `json:"revoked"`
		} `json:"objects"`
	}
	must(t, json.Unmarshal(raw, &x))
	if len(x.Objects) != 1826 {
		t.Errorf("%d objects in the bundle, want 1,826", len(x.Objects))
	}
	var kept int
	must(t, h.DB.QueryRowContext(t.Context(), `SELECT count(*) FROM source_object`).Scan(&kept))
	markings := 0
	want := map[string]map[string]bool{}
	add := func(at, line string) {
		if want[at] == nil {
			want[at] = map[string]bool{}
		}
		want[at][line] = true
	}
	for _, o := range x.Objects {
		if o.Type == "marking-definition" {
			markings++
		}
		if o.Type == "relationship" && !o.Revoked {
			add(o.From, "> "+o.Kind+" "+o.To)
			add(o.To, "< "+o.Kind+" "+o.From)
		}
	}
	if kept+markings < 1825 {
		t.Errorf("%d objects kept besides %d markings, want all: %+v", kept, markings, report)
	}
	r := Reader{Held: true}
	most, walked := 0, 0
	for _, o := range x.Objects {
		if o.Type == "relationship" || o.Type == "marking-definition" {
			continue
		}
		walked++
		if walked%5 != 0 && len(want[o.ID]) < 100 {
			continue // each fifth, and the largest
		}
		g, err := Walk(t.Context(), h.DB, r, o.ID, 1, MaxNodes)
		must(t, err)
		got := map[string]bool{}
		for _, n := range g.Groups(o.ID) {
			for _, other := range n.Nodes {
				if n.Relation != strings.TrimSuffix(n.Relation, "_ref") || strings.HasSuffix(n.Relation, "_refs") {
					continue // named by a property, not by a relationship
				}
				got[map[bool]string{true: "> ", false: "< "}[n.Forward]+n.Relation+" "+other.ID] = true
			}
		}
		w := want[o.ID]
		if w == nil {
			w = map[string]bool{}
		}
		most = max(most, len(w))
		if g.Cut { // then it is a part
			for line := range got {
				if !w[line] {
					t.Errorf("%s: %s is not in the bundle", o.ID, line)
				}
			}
			continue
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Errorf("%s: %s", o.ID, diff)
		}
	}
	t.Logf("%d objects kept, %d nodes, the largest has %d neighbors", kept, walked, most)
}
