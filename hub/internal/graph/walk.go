package graph

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
)

// Node is an object, or an indicator, as it stands in a graph.
type Node struct {
	ID      string          `json:"id"` // STIX identifier, as the source gave it
	Type    string          `json:"type"`
	Name    string          `json:"name,omitempty"`
	Revoked bool            `json:"revoked,omitempty"`
	Known   bool            `json:"known"`         // false: no object of it that the reader may know of
	Item    contract.ID     `json:"item,omitzero"` // the hub's indicator that it stands for
	State   indicator.State `json:"state,omitempty"`
	Depth   int             `json:"depth"` // steps from the beginning
}

// Edge leads from one node to another, in the direction in which the source has it.
type Edge struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Relation string `json:"relation"`      // uses, indicates ... or the property that names the other
	Via      string `json:"via,omitempty"` // identifier of the relationship
}

// Graph is what a walk found. Nodes stand in the order of their distance.
type Graph struct {
	Nodes []Node `json:"nodes"`
	Edges []Edge `json:"edges"`
	// Cut: there is more within the depth than the bounds allow.
	Cut bool `json:"cut"`
}

// Bounds of a walk.
const (
	MaxDepth = 3
	MaxNodes = 200
	maxSeen  = 2000 // relationships of one step
)

// skipped are properties that name who made an object, or markings: nearly everything
// has them in common.
var skipped = map[string]bool{"created_by_ref": true, "object_marking_refs": true, "marking_ref": true, "x_mitre_modified_by_ref": true}

// Walk walks from an object, or from what sources call an indicator, in both
// directions.
func Walk(ctx context.Context, q sqldb.Querier, r Reader, start string, depth, most int) (Graph, error) {
	return walk(ctx, q, r, []string{start}, depth, most)
}

// FromItem walks from an indicator, by every identifier that sources call it by.
func FromItem(ctx context.Context, q sqldb.Querier, r Reader, id contract.ID, depth, most int) (Graph, error) {
	refs, err := refsOf(ctx, q, r, id)
	if err != nil || len(refs) == 0 {
		return Graph{Nodes: []Node{}, Edges: []Edge{}}, err
	}
	return walk(ctx, q, r, refs, depth, most)
}

func walk(ctx context.Context, q sqldb.Querier, r Reader, starts []string, depth, most int) (Graph, error) {
	depth, most = min(max(depth, 1), MaxDepth), min(max(most, 1), MaxNodes)
	g := Graph{Nodes: []Node{}, Edges: []Edge{}}
	at := map[string]int{} // index of a node
	for _, s := range starts {
		at[s] = len(g.Nodes)
		g.Nodes = append(g.Nodes, Node{ID: s, Type: typeOf(s)})
	}
	have := map[Edge]bool{}
	front := slices.Clone(starts)
	for d := 1; d <= depth && len(front) > 0; d++ {
		edges, cut, err := step(ctx, q, r, front)
		if err != nil {
			return g, err
		}
		g.Cut = g.Cut || cut
		front = nil
		for _, e := range edges {
			if have[Edge{From: e.From, To: e.To, Relation: e.Relation}] {
				continue
			}
			for _, id := range []string{e.From, e.To} {
				_, ok := at[id]
				if ok || len(g.Nodes) >= most {
					continue
				}
				at[id] = len(g.Nodes)
				g.Nodes = append(g.Nodes, Node{ID: id, Type: typeOf(id), Depth: d})
				front = append(front, id)
			}
			_, from := at[e.From]
			_, to := at[e.To]
			if !from || !to {
				g.Cut = true
				continue
			}
			have[Edge{From: e.From, To: e.To, Relation: e.Relation}] = true
			g.Edges = append(g.Edges, e)
		}
	}
	return g, name(ctx, q, r, g.Nodes)
}

func typeOf(id string) string {
	t, _, _ := strings.Cut(id, "--")
	return t
}

// object is a row of source_object on the way.
type object struct {
	number   int64
	id, kind string
	name     string
	modified int64
	revoked  bool
}

// step gives the edges that touch nodes, in a fixed order. cut: there are more.
func step(ctx context.Context, q sqldb.Querier, r Reader, ids []string) ([]Edge, bool, error) {
	var w where
	touching, err := objects(ctx, q, `SELECT DISTINCT o.number, o.id, o.type, o.name, o.modified, o.revoked FROM object_ref x JOIN source_object o ON o.number = x.object
		WHERE x.target IN `+list(&w, ids)+r.visible("o", &w)+` ORDER BY o.number DESC LIMIT `+w.arg(maxSeen+1), w.args)
	if err != nil {
		return nil, false, err
	}
	cut := len(touching) > maxSeen
	w = where{}
	own, err := objects(ctx, q, `SELECT o.number, o.id, o.type, o.name, o.modified, o.revoked FROM source_object o
		WHERE o.id IN `+list(&w, ids)+r.visible("o", &w)+` ORDER BY o.number DESC LIMIT `+w.arg(maxSeen), w.args)
	if err != nil {
		return nil, false, err
	}
	newest, err := current(ctx, q, r, append(touching[:min(len(touching), maxSeen)], own...))
	if err != nil {
		return nil, false, err
	}
	named, err := refs(ctx, q, newest)
	if err != nil {
		return nil, false, err
	}
	var out []Edge
	asked := map[string]bool{}
	for _, id := range ids {
		asked[id] = true
	}
	for _, o := range newest {
		if o.revoked {
			continue
		}
		for _, e := range edges(o, named[o.number]) {
			if asked[e.From] || asked[e.To] {
				out = append(out, e)
			}
		}
	}
	slices.SortFunc(out, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.Relation, b.Relation), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Via, b.Via))
	})
	return out, cut, nil
}

// edges turns what an object names into edges: a relationship is one by itself.
func edges(o object, named [][2]string) []Edge {
	if o.kind == "relationship" {
		e := Edge{Relation: o.name, Via: o.id}
		for _, n := range named {
			switch n[0] {
			case "source_ref":
				e.From = n[1]
			case "target_ref":
				e.To = n[1]
			}
		}
		if e.From == "" || e.To == "" {
			return nil
		}
		return []Edge{e}
	}
	var out []Edge
	for _, n := range named {
		if !skipped[n[0]] && n[1] != o.id {
			out = append(out, Edge{From: o.id, To: n[1], Relation: n[0]})
		}
	}
	return out
}

func objects(ctx context.Context, q sqldb.Querier, query string, args []any) ([]object, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("graph: objects: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []object
	for rows.Next() {
		var o object
		err = rows.Scan(&o.number, &o.id, &o.kind, &o.name, &o.modified, &o.revoked)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

// current gives of each object the newest version that the reader may see: an older
// one may have named what the newest does not.
func current(ctx context.Context, q sqldb.Querier, r Reader, found []object) ([]object, error) {
	ids := map[string]bool{}
	for _, o := range found {
		ids[o.id] = true
	}
	newest := map[string]object{}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(ids)), 500) {
		var w where
		all, err := objects(ctx, q, `SELECT o.number, o.id, o.type, o.name, o.modified, o.revoked FROM source_object o WHERE o.id IN `+list(&w, some)+r.visible("o", &w), w.args)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			have, ok := newest[o.id]
			if !ok || cmp.Or(cmp.Compare(o.modified, have.modified), cmp.Compare(o.number, have.number)) > 0 {
				newest[o.id] = o
			}
		}
	}
	var out []object
	for _, id := range slices.Sorted(maps.Keys(newest)) {
		out = append(out, newest[id])
	}
	return out, nil
}

// refs gives what objects name: property and identifier.
func refs(ctx context.Context, q sqldb.Querier, of []object) (map[int64][][2]string, error) {
	out := map[int64][][2]string{}
	for some := range slices.Chunk(of, 500) {
		numbers := make([]int64, len(some))
		for i := range some {
			numbers[i] = some[i].number
		}
		var w where
		rows, err := q.QueryContext(ctx, `SELECT object, property, target FROM object_ref WHERE object IN `+list(&w, numbers)+` ORDER BY object, property, target`, w.args...)
		if err != nil {
			return nil, fmt.Errorf("graph: references: %w", err)
		}
		err = scanRefs(rows, out)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func scanRefs(rows *sql.Rows, into map[int64][][2]string) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var object int64
		var n [2]string
		err := rows.Scan(&object, &n[0], &n[1])
		if err != nil {
			return err
		}
		into[object] = append(into[object], n)
	}
	return rows.Err()
}

// name fills in what the nodes are.
func name(ctx context.Context, q sqldb.Querier, r Reader, nodes []Node) error {
	at, ids := map[string]*Node{}, make([]string, len(nodes))
	for i := range nodes {
		ids[i], at[nodes[i].ID] = nodes[i].ID, &nodes[i]
	}
	found := make([]object, len(ids))
	for i, id := range ids {
		found[i].id = id
	}
	newest, err := current(ctx, q, r, found)
	if err != nil {
		return err
	}
	for _, o := range newest {
		n := at[o.id]
		n.Known, n.Type, n.Name, n.Revoked = true, o.kind, o.name, o.revoked
	}
	return indicators(ctx, q, r, ids, at)
}

// Group is the neighbors of a node by one relation in one direction.
type Group struct {
	Relation string `json:"relation"`
	Forward  bool   `json:"forward"` // from the node
	Nodes    []Node `json:"nodes"`
}

// Groups gives the neighbors of a node by their relations.
func (g *Graph) Groups(id string) []Group {
	byID := map[string]Node{}
	for _, n := range g.Nodes {
		byID[n.ID] = n
	}
	var out []Group
	add := func(relation string, forward bool, other string) {
		i := slices.IndexFunc(out, func(x Group) bool { return x.Relation == relation && x.Forward == forward })
		if i < 0 {
			i = len(out)
			out = append(out, Group{Relation: relation, Forward: forward})
		}
		out[i].Nodes = append(out[i].Nodes, byID[other])
	}
	for _, e := range g.Edges {
		if e.From == id {
			add(e.Relation, true, e.To)
		}
		if e.To == id {
			add(e.Relation, false, e.From)
		}
	}
	for i := range out {
		slices.SortFunc(out[i].Nodes, func(a, b Node) int {
			return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ID, b.ID))
		})
	}
	return out
}
