package api

import (
	"fmt"
	"net/http"
	"strconv"

	"ecs/hub/internal/access"
	"ecs/hub/internal/graph"
	"ecs/internal/signin"
)

type pivotList struct {
	Pivots []graph.Pivot `json:"pivots"` // the rarest first
}

type objectJSON struct {
	graph.Object
	Groups []graph.Group `json:"neighbors"`     // by relation and direction
	Cut    bool          `json:"cut,omitempty"` // there are more
}

var depthParam = param{Name: "depth", Is: "integer", Min: 1, Max: graph.MaxDepth, About: "How many steps to walk; 1 when absent."}

func (a *api) graphRoutes() []route {
	const g = "Relations"
	return []route{
		{Method: "GET", Path: "/items/{id}/pivots", ID: "pivots", Group: g, Title: "Tell what an indicator has in common with others", About: fmt.Sprintf("Counts up to %d: what more share means nothing.", graph.TooCommon), Sees: access.Indicators, Out: pivotList{}, do: a.pivots},
		{Method: "GET", Path: "/items/{id}/graph", ID: "itemGraph", Group: g, Title: "Walk from an indicator to what sources relate it to", Sees: access.Indicators, Out: graph.Graph{}, Query: []param{depthParam}, do: a.itemGraph},
		{Method: "GET", Path: "/objects/{id}", ID: "readObject", Group: g, Title: "Read an object of a source with its neighbors", Sees: access.Indicators, Out: objectJSON{}, do: a.object},
		{Method: "GET", Path: "/objects/{id}/graph", ID: "objectGraph", Group: g, Title: "Walk from an object", Sees: access.Indicators, Out: graph.Graph{}, Query: []param{depthParam}, do: a.objectGraph},
	}
}

func depthOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("depth")
	if text == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > graph.MaxDepth {
		return 0, &badRequest{fmt.Sprintf("depth %q is not a number from 1 to %d.", text, graph.MaxDepth), "Walk fewer steps."}
	}
	return n, nil
}

func toldGraph(err error) error {
	x, ok := graph.Explain(err)
	if ok {
		return &toldError{x}
	}
	return err
}

func (a *api) pivots(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	it, err := access.Item(r.Context(), a.DB, who, id)
	if err != nil {
		return nil, err
	}
	sources, err := access.Sources(r.Context(), a.DB, who, id)
	if err != nil {
		return nil, err
	}
	reader, err := graph.ReaderOf(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	list, err := graph.Pivots(r.Context(), a.DB, reader.Reader, &it, sources, access.Hidden(who, &it))
	if list == nil {
		list = []graph.Pivot{}
	}
	return pivotList{list}, err
}

func (a *api) itemGraph(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	depth, err := depthOf(r)
	if err != nil {
		return nil, err
	}
	_, err = access.Item(r.Context(), a.DB, who, id)
	if err != nil {
		return nil, err
	}
	reader, err := graph.ReaderOf(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	return graph.FromItem(r.Context(), a.DB, reader, id, depth, graph.MaxNodes)
}

func (a *api) object(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	reader, err := graph.ReaderOf(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	o, err := graph.Read(r.Context(), a.DB, reader, r.PathValue("id"))
	if err != nil {
		return nil, toldGraph(err)
	}
	g, err := graph.Walk(r.Context(), a.DB, reader, o.ID, 1, graph.MaxNodes)
	if err != nil {
		return nil, err
	}
	out := objectJSON{Object: o, Groups: g.Groups(o.ID), Cut: g.Cut}
	if out.Groups == nil {
		out.Groups = []graph.Group{}
	}
	return out, nil
}

func (a *api) objectGraph(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	depth, err := depthOf(r)
	if err != nil {
		return nil, err
	}
	reader, err := graph.ReaderOf(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	_, err = graph.Read(r.Context(), a.DB, reader, r.PathValue("id"))
	if err != nil {
		return nil, toldGraph(err)
	}
	return graph.Walk(r.Context(), a.DB, reader, r.PathValue("id"), depth, graph.MaxNodes)
}
