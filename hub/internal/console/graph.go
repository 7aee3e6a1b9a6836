package console

import (
	"fmt"
	"html/template"
	"net/http"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/casework"
	"ecs/hub/internal/graph"
	"ecs/hub/internal/indicator"
	"ecs/web"
)

func graphExplain(err error) (access.Explanation, bool) { return graph.Explain(err) }

// edgeRow is a relation with what stands at its ends.
type edgeRow struct {
	From, To *graph.Node
	Relation string
}

type relations struct {
	Picture template.HTML
	Edges   []edgeRow
	Cut     bool
}

func relationsOf(g *graph.Graph) relations {
	out := relations{Cut: g.Cut}
	at := map[string]*graph.Node{}
	for i := range g.Nodes {
		at[g.Nodes[i].ID] = &g.Nodes[i]
	}
	for _, e := range g.Edges {
		out.Edges = append(out.Edges, edgeRow{at[e.From], at[e.To], e.Relation})
	}
	if len(g.Edges) > 0 {
		out.Picture = g.SVG("graph", "Relations", fmt.Sprintf("%d things and %d relations between them. The table below has the same facts.", len(g.Nodes), len(g.Edges)))
	}
	return out
}

type relationsData struct {
	row
	Pivots    []graph.Pivot
	Relations relations
	Casework  *caseworkData
}

// relations shows what an indicator has in common with others, what sources relate
// it to, and what colleagues say about it.
func (c *console) relations(w http.ResponseWriter, r *http.Request) {
	id, err := contract.ParseID(r.PathValue("id"))
	if err != nil {
		c.fail(w, r, fmt.Errorf("%w: %s", indicator.ErrNotFound, r.PathValue("id")))
		return
	}
	c.showRelations(w, r, http.StatusOK, nil, id, caseworkForm{})
}

func (c *console) showRelations(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem, id contract.ID, form caseworkForm) {
	ctx, a := r.Context(), account(r)
	it, err := access.Item(ctx, c.DB, a, id)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := relationsData{row: c.rows(r, []indicator.Item{it})[0]}
	sources, err := access.Sources(ctx, c.DB, a, id)
	var reader graph.Reader
	if err == nil {
		reader, err = graph.ReaderOf(ctx, c.DB, a)
	}
	if err == nil {
		d.Pivots, err = graph.Pivots(ctx, c.DB, reader.Reader, &it, sources, d.Hidden)
	}
	var g graph.Graph
	if err == nil {
		g, err = graph.FromItem(ctx, c.DB, reader, id, 2, graph.MaxNodes)
	}
	if err == nil {
		d.Casework, err = c.casework(r, casework.Subject{Kind: casework.Item, ID: id.String()}, form)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d.Relations = relationsOf(&g)
	p := c.page(r, "/indicators")
	p.Title, p.Wide, p.Problems = "Relations of "+web.Short(id), true, problems
	p.Heading = "Relations of " + d.Value
	if d.Hidden {
		p.Heading = "Relations of a hidden value"
	}
	p.Crumbs = []web.Link{{Text: "Indicators", Href: "/indicators"}, {Text: "Indicator " + web.Short(id), Href: "/indicators/" + id.String()}}
	p.Marking = it.TLP.String()
	p.Data = d
	c.pages.Render(w, status, "relations", p)
}

type objectData struct {
	Object    graph.Object
	Groups    []graph.Group
	Depth     int
	Relations relations
	Casework  *caseworkData
}

// object shows an object of a source: malware, a campaign, a technique, a report.
func (c *console) object(w http.ResponseWriter, r *http.Request) {
	c.showObject(w, r, http.StatusOK, nil, r.PathValue("id"), caseworkForm{})
}

func (c *console) showObject(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem, id string, form caseworkForm) {
	ctx := r.Context()
	d := objectData{Depth: 1}
	if r.URL.Query().Get("depth") == "2" {
		d.Depth = 2
	}
	reader, err := graph.ReaderOf(ctx, c.DB, account(r))
	if err == nil {
		d.Object, err = graph.Read(ctx, c.DB, reader, id)
	}
	var g graph.Graph
	if err == nil {
		g, err = graph.Walk(ctx, c.DB, reader, id, d.Depth, graph.MaxNodes)
	}
	if err == nil {
		d.Casework, err = c.casework(r, casework.Subject{Kind: casework.Object, ID: id}, form)
	}
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	d.Groups, d.Relations = g.Groups(id), relationsOf(&g)
	p := c.page(r, "/search")
	p.Title, p.Wide, p.Problems = d.Object.Label(), true, problems
	p.Lead = web.Words(d.Object.Type) + ", as sources have described it."
	p.Crumbs = []web.Link{{Text: "Search", Href: "/search"}}
	p.Data = d
	c.pages.Render(w, status, "object", p)
}
